"""``nctools plot cooccurrence``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.data_options import DataSettingsText
from nctools.cli.options import DataRoot, Force
from nctools.cli.plot.distribution import DatasetArgument, described, drawn_data
from nctools.cli.plot.output import DataOut, Formats, Look, StyleOption, draw_to, figure_target


def run(
    dataset: DatasetArgument,
    out: DataOut = None,
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option("--split", help="Split to draw.")] = "train",
    settings: DataSettingsText = None,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw the share of each class's images that hold each other class, most frequent class first.

    Example: nctools plot cooccurrence digits_lt -o cooccurrence.png
    """
    from nctools.figures import cooccurrence_of

    drawn = drawn_data(dataset)
    draw_to(
        figure_target(
            out, drawn.target(f"{Path(dataset).stem}-{split}-cooccurrence.png", "cooccurrence", split), formats
        ),
        lambda: cooccurrence_of(described(drawn, data_root, split, settings)),
        formats=formats,
        force=force,
        style=style,
    )
