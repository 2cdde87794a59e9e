"""Names and paths inside a run directory, the newest run, and writing that never leaves half a file."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nctools.errors import ConfigError

# Keys of config.yaml that make no other run of it: where it is computed, what is written beside it.
SETTINGS_OF_PLACE = frozenset(
    {
        *("device", "workers", "data_root", "loggers", "checkpoint_every", "resume_every_steps"),
        *("trainer.devices", "trainer.num_nodes", "trainer.compile"),
    }
)

_STAGES = "stages"


@contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it into place on success, remove it on any error.

    A reader therefore sees the old file or the new one, never a part of one.

    Args:
        path: The file to write. Its folder is made when missing.

    Yields:
        A path in the same folder, not yet existing, with the same suffix.

    Raises:
        OSError: If the folder of ``path`` cannot be written to, or the disk is full; it names ``path``.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> target = Path(folder.name) / "table.csv"
        >>> with replace_atomically(target) as temporary:
        ...     _ = temporary.write_text("a,b")
        >>> target.read_text(), [p.name for p in target.parent.iterdir()]
        ('a,b', ['table.csv'])
        >>> folder.cleanup()
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        # Nobody knows the temporary folder by its name.
        raise OSError(error.errno, error.strerror, str(target)) from error
    with made as folder:
        temporary = Path(folder) / target.name
        try:
            yield temporary
        except OSError as error:
            # A full disk names no file, and the temporary one is gone before anybody reads its name.
            if error.errno is not None and error.filename in {None, str(temporary)}:
                error.filename = str(target)
            raise
        temporary.replace(target)


def remove_half_written(folder: str | os.PathLike[str]) -> None:
    """Remove what ``replace_atomically`` left in a folder when its process was killed.

    Args:
        folder: Nobody else may be writing there; it need not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / ".last.pt.0123abcd").mkdir()
        ...     remove_half_written(folder)
        ...     list(Path(folder).iterdir())
        []
    """
    for entry in Path(folder).glob(".*"):
        found = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", entry.name)
        if not found or entry.is_symlink() or not entry.is_dir():
            continue
        # A folder that holds nothing but the file it is named for.
        if all(inner.is_file() and inner.name == found[1] for inner in entry.iterdir()):
            shutil.rmtree(entry, ignore_errors=True)


@dataclass(frozen=True)
class RunDirectory:
    """The paths inside one run.

    Args:
        path: The run's folder; it need not exist yet.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Everything needed to repeat the run."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions and device of the run."""
        return self.path / "environment.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``last.pt``, ``best.pt``, ``epoch=NNN.pt`` and ``resume.ckpt``."""
        return self.path / "checkpoints"

    @property
    def state(self) -> Path:
        """What an interrupted training goes on from."""
        return self.checkpoints / "resume.ckpt"

    @property
    def stages(self) -> Path:
        """Folder of the stages that were trained before this run's own, each a run directory: ``1-erm``."""
        return self.path / _STAGES

    @property
    def title(self) -> str:
        """The folder's name; of a stage, that of the run that it is a part of, too."""
        folder = self.path.absolute()
        return f"{folder.parent.parent.name}/{folder.name}" if self.is_stage else folder.name

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage of another run; a folder of the user's own may be called ``stages``, too."""
        folder = self.path.absolute().parent
        return folder.name == _STAGES and RunDirectory(folder.parent).config.is_file()

    @property
    def can_go_on(self) -> bool:
        """Whether an interrupted training, in whichever stage, left a state to go on from."""
        return self.state.exists() or any(self.stages.glob("*/checkpoints/resume.ckpt"))

    @property
    def metrics(self) -> Path:
        """Loss and mAP per epoch (CSV)."""
        return self.path / "metrics.csv"

    @property
    def collapse(self) -> Path:
        """Tidy table of NC values per epoch (CSV)."""
        return self.path / "nc.csv"

    @property
    def features(self) -> Path:
        """Folder of extracted features (HDF5)."""
        return self.path / "features"

    @property
    def figures(self) -> Path:
        """Folder of figures, each with its data as CSV."""
        return self.path / "figures"

    @property
    def scores(self) -> Path:
        """Folder of what checkpoints answer on the images of a split (NumPy)."""
        return self.path / "scores"

    @property
    def loggers(self) -> Path:
        """Which run of W&B or MLflow this one is (JSON), so that it goes on there when it is resumed."""
        return self.path / "loggers.json"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard."""
        return self.path / "tensorboard"

    @property
    def wandb(self) -> Path:
        """Folder that W&B makes."""
        return self.path / "wandb"

    @property
    def mlflow(self) -> Path:
        """Folder of MLflow, where no server was named."""
        return self.path / "mlflow"


def newest_run(folder: str | os.PathLike[str] = "runs") -> RunDirectory:
    """Find the run under ``folder`` (at any depth up to three) whose ``config.yaml`` was written last.

    Args:
        folder: Where runs are kept.

    Returns:
        The newest run.

    Raises:
        ConfigError: If there is no run below ``folder``.
    """
    root = Path(folder)
    found = [path for depth in range(1, 4) for path in root.glob("/".join(["*"] * depth) + "/config.yaml")]
    # A stage is part of a run.
    configs = [path for path in found if not RunDirectory(path.parent).is_stage]
    if not configs:
        raise ConfigError(
            f"no run found below {root}/ (no folder there holds a config.yaml): name a run directory, "
            "or make one with `nctools train mlc_nc --dataset digits_lt`"
        )
    return RunDirectory(max(configs, key=lambda path: path.stat().st_mtime).parent)


def label_cache_beside(run: str | os.PathLike[str] | None) -> Path:
    """Return where labels are kept whose reading took long: beside a run, never among the user's data.

    Args:
        run: A run directory, or None where there is no run.

    Returns:
        ``label-cache`` in the folder that holds the run, or in ``runs``; it need not exist.

    Example:
        >>> label_cache_beside("runs/mlc_nc").as_posix()
        'runs/label-cache'
    """
    return (Path("runs") if run is None else Path(run).parent) / "label-cache"
