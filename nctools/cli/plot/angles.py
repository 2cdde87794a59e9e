"""``nctools plot angles``."""

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


class Centre(StrEnum):
    """What is taken away from the class means before their angles are measured."""

    by_class = "class"
    none = "none"


def run(
    inputs: Inputs = None,
    out: Out = None,
    space: SpaceOption = None,
    centre: Annotated[
        Centre, typer.Option("--centre", help="class: angles of centred class means; none: as they are.")
    ] = Centre.by_class,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw the class-by-class angles of the class means on the training images, most frequent class first.

    Example: nctools plot angles runs/mlc_nc runs/erm
    """
    from nctools.figures import angles_of

    chosen = chosen_inputs(inputs)
    target = figure_target(
        out, default_target(chosen[0], "angles.png" if centre is Centre.by_class else "angles-uncentred.png"), formats
    )
    draw_to(
        target,
        lambda: angles_of(chosen, space=space, centre="class" if centre is Centre.by_class else "none"),
        formats=formats,
        force=force,
        style=style,
    )
