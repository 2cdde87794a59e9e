"""Class counts, labels per image and co-occurrence of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.run_directory import RunDirectory

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription

_WEIGHTS: Final = frozenset({".pt", ".pth", ".ckpt"})


@dataclass(frozen=True)
class TrainingData:
    """The data set that a run was trained on.

    Args:
        dataset: Its name, or the path of a split file or of the user's own data.
        root: Folder of its images, if one was given.
        settings: What was chosen about the data (``nctools.data.DataSettings``), as plain values.
        folder: The run directory; None for a file of weights that lies in none.
    """

    dataset: str
    root: str | None
    settings: dict[str, object]
    folder: Path | None


def training_data_of(path: str | Path) -> TrainingData | None:
    """Find the data set that a run was trained on: ``config.yaml`` tells, else the checkpoint.

    Args:
        path: What a user named.

    Returns:
        The data; None where the path is neither a run directory nor a file of weights, but perhaps data itself.

    Raises:
        ConfigError: If it is a folder of runs, or its configuration cannot be read or tells of no data set.
    """
    from nctools.trained_runs import TrainedRun, one_run

    place = Path(path)
    run = RunDirectory(place)
    if not place.is_dir():
        if place.suffix not in _WEIGHTS or not place.is_file():
            return None
    elif not run.config.is_file() and not any(run.checkpoints.glob("*.pt")):
        inside = sorted(config.parent.name for config in place.glob("*/config.yaml"))
        if inside:
            raise ConfigError(f"{path} is a folder of {len(inside)} runs ({', '.join(inside)}): name one of them")
        return None
    # A run that was stopped before its first checkpoint has its configuration already.
    found = TrainedRun(place.name, run.checkpoints / "last.pt", place) if run.config.is_file() else one_run(place)
    config = found.config()
    if config is None:
        trained = found.read()
        return TrainingData(trained.dataset, trained.data_root, dict(trained.data_settings), found.folder)
    dataset, root, settings = config.get("dataset"), config.get("data_root"), config.get("data")
    if not isinstance(dataset, str):
        raise ConfigError(f"config.yaml of {found.folder} tells of no data set (dataset is {dataset!r}): name it")
    known = {str(key): value for key, value in settings.items()} if isinstance(settings, Mapping) else {}
    return TrainingData(dataset, None if root is None else str(root), known, found.folder)


def distribution_of(facts: DatasetDescription) -> Drawing:
    """Draw what ``describe_dataset`` found.

    Args:
        facts: What ``nctools.data.describe_dataset`` returned.

    Returns:
        The figure and the drawn data.

    Raises:
        TypeError: If it is something else, such as the name of a data set.
    """
    from nctools.data.description import DatasetDescription
    from nctools.plots import distribution, distribution_data

    if not isinstance(facts, DatasetDescription):
        raise TypeError(
            f"distribution_of takes what describe_dataset returns, not a {type(facts).__name__}: distribution_of("
            f"describe_dataset({f'load_dataset({facts!r})' if isinstance(facts, str) else 'a MultiLabelDataset'}))"
        )
    labels, pairs = facts.labels_per_image, facts.co_occurrence
    counts, names, groups = facts.class_counts, facts.class_names, facts.groups
    which = {"name": facts.name, "split": facts.split}
    return Drawing(
        distribution(counts, names, groups, labels_per_image=labels, cooccurrence=pairs, **which),
        distribution_data(counts, names, groups, labels_per_image=labels, cooccurrence=pairs),
    )
