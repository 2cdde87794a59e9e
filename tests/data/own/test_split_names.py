from __future__ import annotations

from nctools.data.own.split_names import matching_split, training_split


def test_splits_are_found_by_their_usual_names() -> None:
    assert matching_split("validation", ["val", "valid"]) == "val"
    assert matching_split("val", ["valid", "train"]) == "valid"
    assert matching_split("valid", ["validation", "valid"]) == "valid"
    assert matching_split("train", ["Train"]) == "Train"
    assert matching_split("fold1", ["fold1", "val"]) == "fold1"
    assert matching_split("test", ["val"]) is None


def test_trainval_is_trained_on_where_there_is_no_train() -> None:
    assert training_split(["trainval", "Train"]) == "Train"
    assert training_split(["test", "TrainVal"]) == "TrainVal"
    assert training_split(["val", "test"]) is None
