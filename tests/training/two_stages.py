"""Trainings of two stages on the small images, short enough for tests."""

from __future__ import annotations

from pathlib import Path

from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig, make_config
from nctools.training.run_lock import LOCK
from tests.training.interrupted import differences

SETTINGS: dict[str, object] = {
    "epochs": 2, "batch_size": 8, "max_lr": 1e-3, "nc.every": 0, "backbone": "small", "pretrained": False,
    "nc.metrics": "nc1_pinv", "image_size": 24, "ema_decay": 0.9, "device": "cpu",
}  # fmt: skip


def config_of(method: str, table: Path, **settings: object) -> TrainConfig:
    """Configure a training of two epochs, of LWS two and three."""
    own = {"rescaling_epochs": 3} if method == "lws" else {}
    return make_config(method, str(table), SETTINGS | own | settings)


def first_of(run: RunDirectory) -> RunDirectory:
    """Give the directory of the first stage."""
    return RunDirectory(run.stages / "1-erm")


def contents(run: RunDirectory) -> dict[Path, tuple[bytes, int]]:
    """Read all files of a run, with the time they were written."""
    files = [path for path in run.path.rglob("*") if path.is_file() and path.name != LOCK]
    return {path.relative_to(run.path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def assert_same(one: RunDirectory, other: RunDirectory) -> None:
    """See that both stages of two runs came to the same."""
    assert set(contents(one)) == set(contents(other))
    for first, second in ((one, other), (first_of(one), first_of(other))):
        assert differences(first, second) == []
