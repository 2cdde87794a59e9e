"""``nctools plot ablation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.options import Force, Weights, WeightsOption
from nctools.cli.plot.output import Formats, Look, StyleOption, TableOut, draw_to, figure_target
from nctools.errors import ConfigError


def run(
    table: Annotated[Path, typer.Argument(help="Table of a study with a row for each run: NAME_runs.csv.")],
    out: TableOut = None,
    measure: Annotated[
        str, typer.Option("--measure", help="What is drawn by group: test mAP, or the id of a metric in the table.")
    ] = "test mAP",
    weights: WeightsOption = Weights.raw,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw a score of each variant of a study, a panel for each group of classes: every seed, mean and spread.

    The paper's values stand beside where the study has them (NAME_map.csv in the same folder).

    Example: nctools plot ablation studies/tables/ablation_runs.csv -o ablation.png
    """
    from nctools.figures import ablation_of

    target = figure_target(out, table.with_name(f"{table.stem}-figure.png"), formats)
    if target.with_suffix(".csv").resolve() == table.resolve():
        raise ConfigError(f"{table} is drawn, and the figure's data would replace it: name -o FILE.png")
    draw_to(
        target,
        lambda: ablation_of(table, measure=measure, weights=weights.value),
        formats=formats,
        force=force,
        style=style,
    )
