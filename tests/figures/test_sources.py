from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nctools.checkpoints import extract_checkpoint
from nctools.errors import CheckpointError, ConfigError, StoreError
from nctools.features import import_arrays
from nctools.figures import angles_of, blocks_of, embedding_of, per_class_of, spectrum_of
from nctools.figures.drawing import Drawing
from nctools.figures.sources import as_paths, open_features
from nctools.methods.checkpoint import load_checkpoint, save_checkpoint
from tests.untrained_runs import untrained_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _, erm = untrained_runs(tmp_path_factory.mktemp("runs"))
    (erm / "features").mkdir()
    extract_checkpoint(erm / "checkpoints/last.pt", erm / "features/train.h5", split="train", shard_size=None).close()
    return erm


def opened_at(run: Path, *, later: float) -> list[str]:
    features, last = run / "features/train.h5", run / "checkpoints/last.pt"
    now = features.stat().st_mtime
    os.utime(last, (now + later, now + later))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with open_features(run) as store:
            assert len(store) > 0
    return [str(warning.message) for warning in told]


def test_features_of_an_earlier_epoch_are_told(run: Path) -> None:
    last = run / "checkpoints/last.pt"
    assert opened_at(run, later=60) == [], "only copied: the epoch is the same"
    save_checkpoint(replace(load_checkpoint(last), epoch=7), last)
    (words,) = opened_at(run, later=60)
    assert words == (
        f"{run / 'features/train.h5'} was made of epoch 0, {last} is of epoch 7: remove the features to see that one"
    )
    assert opened_at(run, later=-60) == [], "an older checkpoint is not even read"


def test_a_checkpoint_that_cannot_be_read_does_not_hinder(run: Path) -> None:
    (run / "checkpoints/last.pt").write_bytes(b"half")
    assert opened_at(run, later=60) == []


def test_one_path_or_several_as_text_or_path_are_inputs(tmp_path: Path) -> None:
    assert as_paths(str(tmp_path)) == as_paths([str(tmp_path)]) == as_paths(tmp_path) == [tmp_path]
    with pytest.raises(ValueError, match="names nothing to draw"):
        as_paths([])


def test_a_run_that_is_named_as_text_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a finished run"):
        angles_of(str(tmp_path))


def arrays_file(path: Path) -> Path:
    """Twelve features of three classes, as another program would save them."""
    labels = np.arange(12) % 3
    np.savez(path, features=np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32), labels=labels)
    return path


@pytest.mark.parametrize("draw", [angles_of, blocks_of, embedding_of, per_class_of, spectrum_of])
def test_arrays_of_another_program_are_drawn_as_their_feature_file_is(
    draw: Callable[..., Drawing], tmp_path: Path
) -> None:
    path = arrays_file(tmp_path / "a.npz")
    with import_arrays(path, tmp_path / "a.h5"):
        pass
    drawn, expected = draw(path).data, draw(tmp_path / "a.h5").data
    assert drawn.drop(columns="run").equals(expected.drop(columns="run"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.h5", "a.npz"], "nothing is left beside the arrays"


def test_python_objects_in_arrays_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, features=np.array([{"a": 1}], dtype=object), labels=np.zeros(1, int))
    with pytest.raises(StoreError, match="holds Python objects, which are never loaded"), open_features(path):
        pass


def test_a_file_of_neither_features_nor_weights_names_what_is_drawn(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((12, 4)))
    words = r"a\.npy holds no weights: .*; if it holds features .* nctools convert a\.npz a\.h5"
    with pytest.raises(CheckpointError, match=words), open_features(tmp_path / "a.npy"):
        pass
    (tmp_path / "last.pt").write_bytes(b"")
    with pytest.raises(CheckpointError) as told, open_features(tmp_path / "last.pt"):
        pass
    assert "convert" not in str(told.value)
