"""``nctools plot distribution``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nctools.cli.data_options import DataSettingsText, data_settings, reading_labels
from nctools.cli.options import DataRoot, Force
from nctools.cli.output import input_errors
from nctools.cli.plot.output import Formats, Look, Out, StyleOption, draw_to

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription

DatasetArgument = Annotated[
    str, typer.Argument(help="Data set (digits_lt, voc_lt, ...), split file, or path of your own images or labels.")
]


def run(
    dataset: DatasetArgument,
    out: Out = None,
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option("--split", help="Split to draw.")] = "train",
    settings: DataSettingsText = None,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw class counts, labels per image and co-occurrence of a data set.

    Example: nctools plot distribution digits_lt -o digits_lt.png
    """
    from nctools.figures import distribution_of

    draw_to(
        out or Path(f"{Path(dataset).stem}-{split}.png"),
        lambda: distribution_of(described(dataset, data_root, split, settings)),
        formats=formats,
        force=force,
        style=style,
    )


def described(dataset: str, data_root: str | None, split: str, settings: str | None) -> DatasetDescription:
    """Describe a split of a data set that the user named.

    Args:
        dataset: Name or path.
        data_root: Folder of the data set.
        split: Split.
        settings: ``--data-settings`` as given.

    Returns:
        What ``describe_dataset`` found.
    """
    from nctools.data.description import describe_dataset
    from nctools.data.loading import open_dataset

    with input_errors(), reading_labels() as reading:
        chosen = data_settings(settings)
        opened = open_dataset(dataset, root=data_root, settings=chosen, cache=reading.cache, progress=reading.progress)
        return describe_dataset(opened.load(split))
