from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nctools.data.annotations import Annotations
from nctools.data.parts import Parts, held_out_rows, split_of
from nctools.data.settings import DataSettings
from nctools.errors import DatasetError

CLASSES = ["cat", "dog", "owl"]


def labelled(folder: Path, labels: NDArray[np.uint8], name: str = "train", *, doubtful: bool = False) -> Annotations:
    ids = [f"{name}{row}" for row in range(len(labels))]
    for identifier in ids:
        Image.new("RGB", (4, 4)).save(folder / f"{identifier}.png")
    mask = np.zeros_like(labels)
    mask[0] = labels[0]
    return Annotations(name, CLASSES, ids, folder, [f"{i}.png" for i in ids], labels, mask if doubtful else None)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    labels = np.array([[1, 1, 0]] * 6 + [[1, 0, 1]] * 4 + [[0, 1, 0]] * 2, dtype=np.uint8)
    test = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1]], dtype=np.uint8)
    return Parts(
        "pets",
        labelled(tmp_path, labels, doubtful=True),
        {"test": lambda: labelled(tmp_path, test, "test")},
        notes=("a note",),
    )


def test_every_split_has_the_groups_of_the_training_counts(parts: Parts) -> None:
    settings = DataSettings(groups="9,6")
    train, test = split_of(parts, "train", settings), split_of(parts, "test", settings)
    assert train.class_counts == [10, 8, 4]
    assert train.groups == test.groups == {"head": [0], "medium": [1], "tail": [2]}
    assert test.class_counts == [1, 1, 1]
    assert test.ids == ["test0", "test1", "test2"]
    assert train.notes[0] == "a note"


def test_validation_images_are_taken_from_training_and_leave_it(parts: Parts) -> None:
    settings = DataSettings(val_fraction=0.25, seed=1)
    assert parts.splits(settings) == ["train", "validation", "test"]
    train, validation = split_of(parts, "train", settings), split_of(parts, "validation", settings)
    assert sorted(train.ids + validation.ids) == sorted(parts.train.ids)
    assert len(validation) == 3  # a quarter of the 8 images whose rarest class is dog, and of the 4 with an owl
    assert split_of(parts, "validation", settings).ids == validation.ids
    assert validation.groups == train.groups


def test_labels_are_dropped_in_training_alone_and_kept_for_diagnosis(parts: Parts) -> None:
    settings = DataSettings(drop_labels=0.6, val_fraction=0.25)
    train, validation = split_of(parts, "train", settings), split_of(parts, "validation", settings)
    full = train.extras["full_targets"]
    assert 0 < train.targets.sum() < full.sum()
    assert ((full - train.targets) >= 0).all()
    assert (train.targets.sum(1) > 0).all()
    assert (
        validation.targets.sum(1).tolist()
        == split_of(parts, "validation", DataSettings(val_fraction=0.25)).targets.sum(1).tolist()
    )
    assert "full_targets" not in validation.extras
    assert any("dropped with probability 0.6" in note for note in train.notes)


def test_difficult_objects_are_present_absent_or_unknown(parts: Parts) -> None:
    included = split_of(parts, "train", DataSettings())
    excluded = split_of(parts, "train", DataSettings(difficult="exclude"))
    ignored = split_of(parts, "train", DataSettings(difficult="ignore"))
    assert included.targets[0].tolist() == [1, 1, 0]
    assert excluded.targets[0].tolist() == ignored.targets[0].tolist() == [0, 0, 0]
    assert (included.unknown, excluded.unknown) == (None, None)
    assert ignored.with_unknown_marked()[0][1].tolist() == [-1, -1, 0]
    assert ignored[0][1].tolist() == [0, 0, 0]  # what is measured is told only what is known to be there
    assert ignored.class_counts == excluded.class_counts == [9, 7, 4]


@pytest.mark.parametrize("difficult", ["exclude", "ignore"])
def test_a_choice_about_difficult_objects_without_any_is_told(
    difficult: Literal["exclude", "ignore"], parts: Parts
) -> None:
    note = f"no label of test is known to come from difficult objects alone: difficult={difficult} changes nothing here"
    assert note in split_of(parts, "test", DataSettings(difficult=difficult)).notes
    assert not any("changes nothing" in text for text in split_of(parts, "test", DataSettings()).notes)
    assert not any(
        "changes nothing" in text for text in split_of(parts, "train", DataSettings(difficult=difficult)).notes
    )


def test_unlabelled_test_images_are_left_out_on_request(parts: Parts) -> None:
    assert split_of(parts, "test", DataSettings(drop_unlabelled=True)).ids == ["test0", "test2"]


def test_missing_split_and_missing_image_are_named(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="pets has no split 'validation'; it has: train, test; val_fraction"):
        split_of(parts, "validation", DataSettings())
    (tmp_path / "train3.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 12 image files are missing: .*train3\.png"):
        split_of(parts, "train", DataSettings())


def test_other_classes_in_the_test_are_refused(parts: Parts, tmp_path: Path) -> None:
    other = labelled(tmp_path, np.ones((1, 3), dtype=np.uint8), "other")
    strange = Parts("pets", parts.train, {"test": lambda: Annotations(
        "test", ["cow", "dog", "owl"], other.ids, tmp_path, other.files, other.labels)})  # fmt: skip
    with pytest.raises(DatasetError, match="the split test has the classes cow, dog, owl"):
        split_of(strange, "test", DataSettings())


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 1000),
)
def test_validation_keeps_the_shares_of_single_label_classes(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.repeat(np.eye(len(counts), dtype=np.uint8), counts, axis=0)
    rows = held_out_rows(labels, fraction, seed)
    assert rows.tolist() == sorted(set(rows.tolist()))
    chosen = labels[rows].sum(axis=0)
    assert all(abs(int(chosen[c]) - fraction * n) <= 0.5 + 1e-9 for c, n in enumerate(counts))


def test_both_eyes_of_a_patient_stay_together() -> None:
    labels = np.tile(np.eye(2, dtype=np.uint8), (20, 1)).repeat(2, axis=0)
    patients = [str(row // 2) for row in range(len(labels))]
    rows = set(held_out_rows(labels, 0.3, 0, patients).tolist())
    assert rows
    assert all((row ^ 1) in rows for row in rows)


def test_validation_images_of_the_source_win_and_that_is_said(parts: Parts, tmp_path: Path) -> None:
    own = labelled(tmp_path, np.ones((1, 3), dtype=np.uint8), "validation")
    divided = Parts("pets", parts.train, {"validation": lambda: own})
    train = split_of(divided, "train", DataSettings(val_fraction=0.25))
    assert len(train) == 12
    assert any("val_fraction 0.25 sets none aside" in note for note in train.notes)


def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path: Path) -> None:
    names = ["x" * 300 + ".png"]
    long = Annotations("long", CLASSES, ["a"], tmp_path, names, np.ones((1, 3), dtype=np.uint8))
    with pytest.raises(DatasetError, match="1 of 1 image files are missing"):
        split_of(Parts("pets", long), "train", DataSettings())
