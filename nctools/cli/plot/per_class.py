"""``nctools plot per-class``."""

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
        str | None, typer.Option("--metrics", help="Metric ids, a row each. [default: NC1, norm ratio, mean angle]")
    ] = None,
    space: SpaceOption = None,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw a value of each class against its number of training images, coloured by group, with the means of groups.

    Example: nctools plot per-class runs/mlc_nc runs/erm --metrics nc1_pinv,nc4_ncc_accuracy
    """
    from nctools.figures import per_class_of

    chosen = chosen_inputs(inputs)
    draw_to(
        figure_target(out, default_target(chosen[0], "per-class.png"), formats),
        lambda: per_class_of(chosen, metrics=split_names(metrics), space=space),
        formats=formats,
        force=force,
        style=style,
    )
