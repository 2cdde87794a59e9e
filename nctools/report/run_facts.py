"""What a run is, read from its folder: configuration, environment, checkpoint, how far it came."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nctools.errors import ConfigError, NctoolsError
from nctools.methods.catalogue import METHODS, MethodEntry
from nctools.methods.checkpoint import describe_checkpoint, load_checkpoint
from nctools.run_directory import RunDirectory
from nctools.run_settings import finished_epochs, planned_epochs, settings_of_checkpoint, settings_that_count
from nctools.trained_runs import SEEDS, TrainedRun


@dataclass(frozen=True)
class RunFacts:
    """The facts of one run; what is not known is empty.

    Args:
        name: What tells the run from the others.
        folder: Its directory, as it was given.
        config: What ``config.yaml`` holds.
        environment: What ``environment.json`` holds: versions and device.
        checkpoint: The plain values of its last checkpoint.
        finished: Finished epochs.
        seconds: Time of its epochs.
        written: Day on which its last checkpoint (else its configuration) was written.
        faults: What could not be read, and why.
    """

    name: str
    folder: Path
    config: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    checkpoint: Mapping[str, object] = field(default_factory=dict)
    finished: int | None = None
    seconds: float | None = None
    written: str = ""
    faults: tuple[str, ...] = ()

    @property
    def directory(self) -> RunDirectory:
        """The paths inside the run."""
        return RunDirectory(self.folder)

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self._known("method") or "")

    @property
    def entry(self) -> MethodEntry | None:
        """Row of the method in the catalogue."""
        return METHODS.get(self.method)

    @property
    def title(self) -> str:
        """The method as the literature writes it."""
        return self.entry.title if self.entry else self.method or self.name

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self._known("dataset") or "")

    @property
    def seed(self) -> int | None:
        """Seed of the run."""
        value = self._known("seed")
        return value if isinstance(value, int) else None

    @property
    def configuration(self) -> str:
        """What runs of one configuration and different seeds have in common."""
        # Without config.yaml the checkpoint tells; of a run that tells nothing, nobody knows what it is like.
        settings = settings_that_count(self.config or settings_of_checkpoint(self.checkpoint) or {"run": self.name})
        return repr(sorted((key, str(value)) for key, value in settings.items() if key not in SEEDS))

    @property
    def planned(self) -> int | None:
        """Epochs that it was to run."""
        return planned_epochs(self.config)

    @property
    def arguments(self) -> dict[str, object]:
        """Arguments of the method."""
        found = self._known("arguments")
        return dict(found) if isinstance(found, Mapping) else {}

    @property
    def class_names(self) -> list[str]:
        """Names of the classes."""
        found = self.checkpoint.get("class_names")
        return [str(name) for name in found] if isinstance(found, list) else []

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class."""
        found = self.checkpoint.get("class_counts")
        return [int(count) for count in found] if isinstance(found, list) else []

    @property
    def groups(self) -> dict[str, list[int]]:
        """Named lists of class indices."""
        found = self.checkpoint.get("groups")
        return {str(name): list(classes) for name, classes in found.items()} if isinstance(found, dict) else {}

    def _known(self, key: str) -> object:
        # Older runs, and copied checkpoints, lack one of the two.
        return self.config[key] if key in self.config else self.checkpoint.get(key)


def read_run(folder: Path, name: str) -> RunFacts:
    """Read the facts of a run; what cannot be read is told in words.

    Args:
        folder: The run directory.
        name: What tells it from the others.

    Returns:
        Its facts.

    Raises:
        ConfigError: If the folder is no run: it holds neither a configuration nor a checkpoint.
    """
    run = RunDirectory(folder)
    last = next((path for path in (run.checkpoints / "last.pt", run.checkpoints / "best.pt") if path.is_file()), None)
    if last is None and not run.config.is_file():
        raise ConfigError(
            f"{folder} is no run directory (neither config.yaml nor checkpoints/last.pt): name what `nctools train` "
            "wrote"
        )
    faults: list[str] = []
    return RunFacts(
        name=name,
        folder=folder,
        config=_read(lambda: TrainedRun(name, last or run.config, folder).config(), faults),
        environment=_read(lambda: _json(run.environment), faults),
        checkpoint=_read(lambda: None if last is None else describe_checkpoint(load_checkpoint(last)), faults),
        finished=finished_epochs(run.metrics),
        seconds=_seconds(run.metrics),
        written=_day(last or run.config),
        faults=(
            *faults,
            *([] if last else [f"{folder} holds no checkpoint (checkpoints/last.pt): nothing was scored"]),
        ),
    )


def _read(read: Callable[[], Mapping[str, object] | None], faults: list[str]) -> Mapping[str, object]:
    try:
        return read() or {}
    except NctoolsError as error:
        faults.append(str(error))
        return {}


def _json(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON ({' '.join(str(error).split())})") from error
    return document if isinstance(document, dict) else {}


def _seconds(table: Path) -> float | None:
    if not table.is_file():
        return None
    with table.open(encoding="utf-8", newline="") as file:
        cells = [row.get("seconds") or "" for row in csv.DictReader(file)]
    try:
        return sum(float(cell) for cell in cells if cell) or None
    except ValueError:
        return None


def _day(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).strftime("%Y-%m-%d")
