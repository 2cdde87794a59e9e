"""``nctools plot spectrum``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from nctools.cli.options import Force
from nctools.cli.plot.output import (
    Formats,
    Inputs,
    Look,
    Out,
    SpaceOption,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
    figure_target,
)


class Weighting(StrEnum):
    """What counts alike in the scatters."""

    by_class = "class"
    by_sample = "sample"


def run(
    inputs: Inputs = None,
    out: Out = None,
    space: SpaceOption = None,
    weighting: Annotated[
        Weighting, typer.Option("--weighting", help="class: every class counts alike; sample: every pair does.")
    ] = Weighting.by_class,
    by_group: Annotated[
        bool, typer.Option("--by-group", help="Draw the scatters of each group of classes too.")
    ] = False,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw the eigenvalues of between-class and within-class scatter against their rank, and their cumulative share.

    Example: nctools plot spectrum runs/mlc_nc runs/erm --by-group
    """
    from nctools.figures import spectrum_of

    chosen = chosen_inputs(inputs)
    draw_to(
        figure_target(out, default_target(chosen[0], "spectrum.png"), formats),
        lambda: spectrum_of(
            chosen, space=space, weighting="class" if weighting is Weighting.by_class else "sample", by_group=by_group
        ),
        formats=formats,
        force=force,
        style=style,
    )
