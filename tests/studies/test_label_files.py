from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nctools.errors import ConfigError
from nctools.methods.checkpoint import Checkpoint, save_checkpoint
from nctools.studies.label_files import label_file_changed
from nctools.studies.plan import Variant, is_finished, plan_runs
from nctools.training import TrainConfig, make_config, save_config
from tests.studies.fake_runs import training_images

ROWS = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)


def trained_with(file: Path, path: Path) -> TrainConfig:
    """A finished run whose weights hold the rows, and the file that they came from."""
    np.save(file, ROWS)
    config = make_config("mlc_nc", "digits_lt", {"label_embedding": f"text:{file}", "epochs": 2})
    save_config(config, path / "config.yaml")
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    images = training_images()
    checkpoint = Checkpoint(
        method="mlc_nc",
        arguments={},
        state_dict={"head.label_embedding.vectors": torch.from_numpy(unit)},
        ema_state_dict=None,
        class_names=list(images.class_names),
        class_counts=list(images.class_counts),
        groups={},
        dataset="digits_lt",
        preprocessing={},
        epoch=2,
    )
    save_checkpoint(checkpoint, path / "checkpoints" / "last.pt")
    return config


def test_a_file_with_the_same_vectors_or_none_by_now_makes_no_other_run(tmp_path: Path) -> None:
    file, run = tmp_path / "words.npy", tmp_path / "run"
    config = trained_with(file, run)
    assert label_file_changed(config, run) is None
    np.save(file, 3 * ROWS)
    assert label_file_changed(config, run) is None, "a run takes directions alone"
    file.unlink()
    assert label_file_changed(config, run) is None


def test_a_run_of_another_kind_or_without_a_checkpoint_has_no_vectors_to_compare(tmp_path: Path) -> None:
    config = trained_with(tmp_path / "words.npy", tmp_path / "run")
    assert label_file_changed(make_config("mlc_nc", "digits_lt"), tmp_path / "run") is None
    assert label_file_changed(config, tmp_path / "nothing") is None


@pytest.mark.parametrize("now", [ROWS[::-1], ROWS[:, :5], ROWS[:4]])
def test_a_run_is_not_used_again_when_its_file_holds_other_vectors(now: np.ndarray, tmp_path: Path) -> None:
    file, out = tmp_path / "words.npy", tmp_path / "out"
    config = trained_with(file, out / "text-s0")
    variant, settings = Variant("text", "mlc_nc", {"label_embedding": f"text:{file}"}), {"epochs": 2}

    def plan(*, force: bool) -> list[Path]:
        runs = plan_runs([variant], dataset="digits_lt", seeds=[0], out=out, settings=settings, force=force)
        return [run.path for run in runs]

    assert plan(force=False) == [out / "text-s0"]
    assert is_finished(config, out / "text-s0")
    np.save(file, now)
    assert label_file_changed(config, out / "text-s0") == str(file)
    with pytest.raises(ConfigError, match=r"other settings \(.*words.npy held other vectors when it was trained\)"):
        plan(force=False)
    assert plan(force=True) == [out / "text-s0"]
