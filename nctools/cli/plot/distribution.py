"""``nctools plot distribution``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nctools.cli.data_options import DataSettingsText, parse_data_settings, reading_labels
from nctools.cli.options import DataRoot, Force
from nctools.cli.output import input_errors, say
from nctools.cli.plot.output import DataOut, Formats, Look, StyleOption, draw_to, figure_target

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription
    from nctools.figures.distribution import TrainingData

DatasetArgument = Annotated[
    str,
    typer.Argument(
        help="Data set (digits_lt, voc_lt, ...), split file, path of your own images or labels, or a run directory or "
        "checkpoint: the data that it was trained on."
    ),
]


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
    """Draw class counts, labels per image and co-occurrence of a data set.

    Example: nctools plot distribution digits_lt -o digits_lt.png

    Example: nctools plot distribution runs/erm
    """
    from nctools.figures import distribution_of

    drawn = drawn_data(dataset)
    draw_to(
        figure_target(out, drawn.target(f"{Path(dataset).stem}-{split}.png", "distribution", split), formats),
        lambda: distribution_of(described(drawn, data_root, split, settings)),
        formats=formats,
        force=force,
        style=style,
    )


@dataclass(frozen=True)
class DrawnData:
    """Which data a user means.

    Args:
        dataset: Name or path.
        trained: What a run was trained on, where a run was named.
    """

    dataset: str
    trained: TrainingData | None

    def target(self, usual: str, kind: str, split: str) -> Path:
        """Say where the figure goes: among those of the run, or into the working folder.

        Args:
            usual: File name without a run.
            kind: Kind of the figure.
            split: The drawn split.

        Returns:
            The file.
        """
        folder = None if self.trained is None else self.trained.folder
        return Path(usual) if folder is None else folder / "figures" / f"{kind}-{split}.png"


def drawn_data(dataset: str) -> DrawnData:
    """Find the data that a user means.

    Args:
        dataset: Data set, or run directory or checkpoint, which means the data that it was trained on.

    Returns:
        The data.
    """
    from nctools.figures.distribution import training_data_of

    trained = training_data_of(dataset)
    return DrawnData(dataset if trained is None else trained.dataset, trained)


def described(drawn: DrawnData, data_root: str | None, split: str, settings: str | None) -> DatasetDescription:
    """Describe a split of the data that the user means.

    Args:
        drawn: The data.
        data_root: Folder of the data set; None: that of the training, where a run was named.
        split: Split.
        settings: ``--data-settings`` as given; those of the training hold beside them.

    Returns:
        What ``describe_dataset`` found.
    """
    from nctools.data.description import describe_dataset
    from nctools.data.loading import open_dataset
    from nctools.data.settings import DataSettings

    trained = drawn.trained
    root = data_root or (None if trained is None else stored_root(trained))
    known = {} if trained is None else trained.settings
    run = None if trained is None else trained.folder
    with input_errors(), reading_labels(run=run) as reading:
        chosen = DataSettings.from_dict({**known, **parse_data_settings(settings)})
        opened = open_dataset(drawn.dataset, root=root, settings=chosen, cache=reading.cache, progress=reading.progress)
        return describe_dataset(opened.load(split))


def stored_root(trained: TrainingData) -> str | None:
    """Give the folder of the images; on another machine, or after a move, the one that the environment names.

    Args:
        trained: What a run was trained on.

    Returns:
        The folder that the training had, or None to ask the environment.
    """
    from nctools.data.sources import ROOT_VARIABLE

    elsewhere = os.environ.get(ROOT_VARIABLE)
    if not trained.root or Path(trained.root).is_dir() or not elsewhere:
        return trained.root
    say(f"note: {trained.root}, where the model was trained, does not exist: {ROOT_VARIABLE} is taken, {elsewhere}")
    return elsewhere
