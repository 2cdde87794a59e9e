"""``nctools plot blocks``."""

from __future__ import annotations

from typing import Annotated

import typer

from nctools.cli.options import Force
from nctools.cli.plot.output import (
    Formats,
    Look,
    Out,
    ResultInputs,
    SpaceOption,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
    figure_target,
    split_names,
)


def run(
    inputs: ResultInputs = None,
    out: Out = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="Metric ids of pairs, a band each. [default: CDNV and the mean angle]"),
    ] = None,
    space: SpaceOption = None,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw head-tail matrices: the mean of a metric over the pairs of classes between every two groups.

    Example: nctools plot blocks runs/mlc_nc runs/erm --metrics nc1_cdnv,nc2_angle_deviation
    """
    from nctools.figures import blocks_of

    chosen = chosen_inputs(inputs)
    draw_to(
        figure_target(out, default_target(chosen[0], "blocks.png"), formats),
        lambda: blocks_of(chosen, metrics=split_names(metrics), space=space),
        formats=formats,
        force=force,
        style=style,
    )
