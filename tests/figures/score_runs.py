"""Run directories with scores beside them: no training, no pass over images."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from nctools import run_scores
from nctools.run_scores import RunScores

CLASSES: Final = ["cat", "dog", "bus", "car"]
GROUPS: Final = {"head": [3], "medium": [2], "tail": [0, 1]}
COUNTS: Final = [5, 9, 40, 300]


def made_up(seed: int, shift: float = 2.0, num_images: int = 200) -> RunScores:
    """Scores whose positives lie ``shift`` above the negatives."""
    generator = np.random.default_rng(seed)
    targets = generator.random((num_images, len(CLASSES))) < 0.3
    logits = (generator.standard_normal(targets.shape) - 2 + shift * targets).astype(np.float32)
    unknown = np.zeros_like(targets)
    return RunScores(logits, targets, unknown, CLASSES, GROUPS, COUNTS, False, None, "test")


def run_directory(folder: Path, *, method: str = "erm", seed: int = 0) -> Path:
    """A run with a configuration and a checkpoint that nobody reads."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.pt").write_bytes(b"")
    (folder / "config.yaml").write_text(f"method: {method}\ndataset: digits_lt\nseed: {seed}\n")
    return folder


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[str, RunScores]:
    """Fill it: name of the run's folder -> its scores."""
    known: dict[str, RunScores] = {}
    monkeypatch.setattr(run_scores, "scores_of", lambda path, **_: known[Path(path).name])
    return known
