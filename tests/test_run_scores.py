"""Logits of a run are computed once, kept beside it, and taken again only where nothing changed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nctools import checkpoints, run_scores
from nctools.checkpoints import evaluate_checkpoint
from nctools.errors import CheckpointError, DatasetError
from nctools.methods import Checkpoint, build, load_checkpoint, save_checkpoint
from nctools.run_scores import RunScores, scores_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a best and a last checkpoint, as a training of no steps would leave it."""
    from nctools.data import load_dataset

    images = load_dataset("digits_lt", "train")
    folder = tmp_path_factory.mktemp("runs") / "erm"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("method: erm\ndataset: digits_lt\nseed: 0\n")
    for seed, name in enumerate(("best", "last")):
        torch.manual_seed(seed)
        state = build("erm", num_classes=20, backbone="small").state_dict()
        checkpoint = Checkpoint(
            method="erm",
            arguments={"backbone": "small"},
            state_dict=state,
            ema_state_dict={key: value * 0.5 for key, value in state.items()},
            class_names=list(images.class_names),
            class_counts=list(images.class_counts),
            groups=dict(images.groups),
            dataset="digits_lt",
            preprocessing={"mean": [0.115, 0.102, 0.108], "std": [0.136, 0.091, 0.123], "augmentation": "none"},
            epoch=0,
            seed=seed,
        )
        save_checkpoint(checkpoint, folder / "checkpoints" / f"{name}.pt")
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "erm"))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that a model was run over."""
    done: list[str] = []
    original = checkpoints.answers_of

    def counted(*arguments: object, **options: object) -> object:
        done.append(arguments[0].split)  # type: ignore[attr-defined]
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(run_scores, "answers_of", counted)
    return done


def same(one: RunScores, two: RunScores) -> bool:
    plain = [
        field.name for field in dataclasses.fields(RunScores) if field.name not in {"logits", "targets", "unknown"}
    ]
    arrays = all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("logits", "targets", "unknown"))
    return arrays and all(getattr(one, name) == getattr(two, name) for name in plain)


def test_the_best_checkpoint_is_run_once_and_its_scores_are_taken_again(run: Path, passes: list[str]) -> None:
    first = scores_of(run)
    assert first.logits.shape == first.targets.shape == (1000, 20)
    assert (str(first.logits.dtype), str(first.targets.dtype)) == ("float32", "bool")
    assert not first.unknown.any()
    assert (first.split, first.checkpoint, first.single_label) == ("test", run / "checkpoints/best.pt", False)
    assert first.class_counts is not None
    assert (max(first.class_counts), sum(map(len, first.groups.values()))) == (775, 20)
    assert [path.name for path in (run / "scores").iterdir()] == ["best-test.npz"]
    assert same(scores_of(run, batch_size=64, workers=0, weights="raw"), first)
    assert same(scores_of(run / "checkpoints" / "best.pt"), first)
    assert passes == ["test"]


def test_its_summary_is_that_of_evaluate(run: Path) -> None:
    found, expected = scores_of(run).evaluate(), evaluate_checkpoint(run)
    assert found.values() == expected.values()
    assert found.average_precision == expected.average_precision


def test_other_weights_checkpoints_and_splits_have_files_of_their_own(run: Path, passes: list[str]) -> None:
    raw, averaged = scores_of(run), scores_of(run, weights="ema")
    last, validation = scores_of(run / "checkpoints/last.pt"), scores_of(run, split="validation")
    assert len({float(each.logits.sum()) for each in (raw, averaged, last, validation)}) == 4
    assert len(validation.logits) == 500
    names = {path.name for path in (run / "scores").iterdir()}
    assert names == {"best-test.npz", "best-test-ema.npz", "last-test.npz", "best-validation.npz"}
    assert same(scores_of(run), raw)
    assert passes == ["test", "test", "test", "validation"]


def test_new_weights_or_options_are_scored_anew(run: Path, passes: list[str]) -> None:
    first = scores_of(run)
    shutil.copyfile(run / "checkpoints/last.pt", run / "checkpoints/best.pt")
    assert not np.array_equal(scores_of(run).logits, first.logits)
    scores_of(run, mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    assert len(passes) == 3
    scores_of(run, mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    assert len(passes) == 3


def test_changed_files_in_a_folder_of_the_users_own_are_scored_anew(
    run: Path, tmp_path: Path, passes: list[str]
) -> None:
    folder = tmp_path / "own"
    best = load_checkpoint(run / "checkpoints/best.pt")
    names = sorted(best.class_names)  # as folders are read
    save_checkpoint(dataclasses.replace(best, class_names=names), run / "checkpoints/best.pt")
    for index, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (48, 48), (10 * index, 0, 0)).save(folder / name / "one.png")
    first = scores_of(run, split=None, data=folder)
    assert first.logits.shape == (20, 20)
    scores_of(run, split=None, data=folder)
    assert len(passes) == 1
    Image.new("RGB", (48, 48), (0, 255, 0)).save(folder / names[0] / "one.png")
    assert not np.array_equal(scores_of(run, split=None, data=folder).logits, first.logits)
    shutil.copyfile(folder / names[0] / "one.png", folder / names[1] / "two.png")
    assert scores_of(run, split=None, data=folder).targets.sum(0)[names.index(names[1])] == 2
    assert len(passes) == 3


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "objects", "names", "shape"])
def test_a_damaged_file_is_made_anew(run: Path, passes: list[str], damage: str) -> None:
    first = scores_of(run)
    kept = run / "scores" / "best-test.npz"
    whole = kept.read_bytes()
    with np.load(kept) as file:
        content = dict(file)
    if damage in {"empty", "garbage", "cut"}:
        kept.write_bytes({"empty": b"", "garbage": b"no such file" * 50, "cut": whole[: len(whole) // 2]}[damage])
    elif damage == "objects":
        np.savez(kept, **{**content, "about": np.array([{}], dtype=object)})
    elif damage == "names":
        np.savez(kept, **{**content, "logits": content["logits"][:, :5]})
    else:
        np.savez(kept, **{**content, "logits": content["logits"].ravel()})
    assert same(scores_of(run), first)
    assert len(passes) == 2
    assert kept.read_bytes() == whole


def test_nothing_is_kept_where_it_is_not_wanted_or_there_is_no_run(run: Path, tmp_path: Path) -> None:
    first = scores_of(run, keep=False)
    assert not (run / "scores").exists()
    loose = tmp_path / "loose.pt"
    shutil.copyfile(run / "checkpoints/best.pt", loose)
    assert np.array_equal(scores_of(loose).logits, first.logits)
    assert {path.name for path in tmp_path.iterdir()} == {"erm", "loose.pt"}


def test_data_from_code_are_never_kept(run: Path) -> None:
    batches = [(torch.zeros(4, 3, 48, 48), torch.eye(20)[:4]), (torch.ones(2, 3, 48, 48), torch.eye(20)[:2])]
    found = scores_of(run, split=None, data=batches)
    assert found.targets.argmax(1).tolist() == [0, 1, 2, 3, 0, 1]
    assert not (run / "scores").exists()


def test_unknown_labels_are_no_positives(run: Path) -> None:
    targets = torch.zeros(4, 20)
    targets[:, 0], targets[0, 1], targets[1, 2] = 1, -1, -1
    found = scores_of(run, split=None, data=[(torch.rand(4, 3, 48, 48), targets)])
    assert np.argwhere(found.unknown).tolist() == [[0, 1], [1, 2]]
    assert found.targets.sum() == 4


def test_a_run_that_may_only_be_read_has_its_scores(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "scores").write_text("a file where the folder would be")
    assert len(scores_of(run).logits) == 1000
    assert "note: the scores are not kept: " in capsys.readouterr().err


def test_progress_says_that_scores_were_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores_of(run)
    assert capsys.readouterr().err == ""
    scores_of(run, progress=True)
    assert (
        capsys.readouterr().err == f"scores of {run / 'checkpoints/best.pt'} kept in {run / 'scores/best-test.npz'}\n"
    )


def test_several_runs_and_no_image_are_errors(run: Path) -> None:
    shutil.copytree(run, run.parent / "erm2")
    with pytest.raises(CheckpointError, match="holds 2 runs"):
        scores_of(run.parent)
    with pytest.raises(DatasetError, match="holds no image"):
        scores_of(run, split=None, data=[])
