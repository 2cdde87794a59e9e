"""``nctools plot nc-curves``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.options import Force
from nctools.cli.plot.output import (
    CurvesOut,
    Formats,
    Look,
    SpaceOption,
    StyleOption,
    chosen_inputs,
    draw_to,
    figure_target,
)
from nctools.errors import ConfigError


def run(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run directories or NC tables (.csv), side by side. Default: the newest run in runs/."),
    ] = None,
    out: CurvesOut = None,
    space: SpaceOption = None,
    metrics: Annotated[
        str, typer.Option("--metrics", help="Metric ids, a row each.")
    ] = "nc1_pinv,nc2_etf_error,nc3_self_duality",
    weights: Annotated[
        str | None, typer.Option("--weights", help="raw or ema, where nc.csv has both. [default: raw]")
    ] = None,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw NC1 (log axis), NC2, NC3 and mAP over the epochs, a line for each group of classes.

    Example: nctools plot nc-curves runs/mlc_nc runs/erm -o curves.pdf
    """
    from nctools.figures import curves_of

    chosen = chosen_inputs(runs)
    first = chosen[0]
    beside = first.with_name(f"{first.stem}-curves.png") if first.suffix == ".csv" else first / "figures/nc-curves.png"
    target = figure_target(out, beside, formats)
    # The data of a figure go beside it as CSV: never over a table that is drawn.
    if target.with_suffix(".csv").resolve() in {path.resolve() for path in chosen}:
        raise ConfigError(
            f"{target.with_suffix('.csv')} is drawn, and the figure's data would replace it: name -o FILE.png"
        )
    names = [name.strip() for name in metrics.split(",")]
    draw_to(
        target,
        lambda: curves_of(chosen, space=space, metrics=names, weights=weights),
        formats=formats,
        force=force,
        style=style,
    )
