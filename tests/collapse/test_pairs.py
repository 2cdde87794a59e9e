from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import Array, PairSource


def listed(source: PairSource) -> list[tuple[list[float], int, int]]:
    """All pairs, one by one."""
    return [
        (feature, label, sample)
        for features, classes, samples in source.batches()
        for feature, label, sample in zip(features.tolist(), classes.tolist(), samples.tolist(), strict=True)
    ]


FEATURES = torch.arange(6.0).reshape(3, 2)
DENSE = torch.arange(12.0).reshape(3, 2, 2)
TARGETS = torch.tensor([[1, 0], [1, 1], [0, 0]])


def test_single_label_features_give_a_pair_for_each_sample() -> None:
    source = PairSource.from_arrays(FEATURES, torch.tensor([2, 0, 2]))
    assert (source.kind, source.num_classes, source.num_features) == ("single", 3, 2)
    assert listed(source) == [([0, 1], 2, 0), ([2, 3], 0, 1), ([4, 5], 2, 2)]
    assert listed(source) == listed(source)  # a second pass


def test_classwise_features_give_a_pair_for_each_positive_label() -> None:
    source = PairSource.from_arrays(DENSE, TARGETS)
    assert (source.kind, source.num_classes, source.num_features) == ("classwise", 2, 2)
    assert listed(source) == [([0, 1], 0, 0), ([4, 5], 0, 1), ([6, 7], 1, 1)]
    assert listed(PairSource.from_arrays(DENSE, torch.tensor([0, 1, 1])))[1] == ([6, 7], 1, 1)


def test_shared_features_come_once_for_each_label() -> None:
    source = PairSource.from_arrays(FEATURES, TARGETS)
    assert source.kind == "shared"
    assert listed(source) == [([0, 1], 0, 0), ([2, 3], 0, 1), ([2, 3], 1, 1)]
    assert source.targets is not None
    assert source.targets.tolist() == TARGETS.bool().tolist()


@pytest.mark.parametrize("labels", [TARGETS, TARGETS.float(), TARGETS.bool(), TARGETS.numpy(), TARGETS.numpy() > 0])
def test_label_matrices_of_every_dtype_are_the_same(labels: Array) -> None:
    assert listed(PairSource.from_arrays(FEATURES, labels)) == listed(PairSource.from_arrays(FEATURES, TARGETS))


def awkward(array: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """The same values: read-only, reversed, byte-swapped, of a wider type."""
    frozen = array.copy()
    frozen.flags.writeable = False
    reverse = array[::-1].copy()[::-1]
    return [frozen, reverse, array.astype(array.dtype.newbyteorder(">")), array.astype(np.longdouble)]


@pytest.mark.parametrize("index", range(4))
def test_awkward_numpy_arrays_are_read_as_they_are(index: int) -> None:
    features = awkward(FEATURES.numpy())[index]
    dense = awkward(DENSE.numpy())[index]
    labels = np.array([1, 0, 1], dtype=np.uint16)[::-1][::-1]
    assert listed(PairSource.from_arrays(features, labels)) == listed(
        PairSource.from_arrays(FEATURES, torch.tensor([1, 0, 1]))
    )
    assert listed(PairSource.from_arrays(dense, TARGETS)) == listed(PairSource.from_arrays(DENSE, TARGETS))


def test_half_precision_is_kept_until_the_sums() -> None:
    source = PairSource.from_arrays(FEATURES.numpy().astype(np.float16), np.array([0, 1, 1]))
    assert {features.dtype for features, _, _ in source.batches()} == {torch.float16}


@pytest.mark.parametrize(
    ("labels", "ignored", "kept"),
    [
        (torch.tensor([0, -100, 1]), -100, [(0, 0), (1, 2)]),
        (torch.tensor([0, 1, 1]), 1, [(0, 0)]),
        (torch.tensor([[1, -1], [-1, 1], [0, 0]]), -1, [(0, 0), (1, 1)]),
        (torch.tensor([[1, 0], [0, 1], [0, 0]]), 1, []),
    ],
)
def test_ignored_labels_give_no_pair(labels: Tensor, ignored: int, kept: list[tuple[int, int]]) -> None:
    source = PairSource.from_arrays(FEATURES, labels, ignore_index=ignored)
    assert [(label, sample) for _, label, sample in listed(source)] == kept
    assert source.targets is None or source.targets.sum() == len(kept)


def test_classes_may_be_declared_beyond_the_labels() -> None:
    assert PairSource.from_arrays(FEATURES, torch.tensor([0, 1, 1]), num_classes=5).num_classes == 5


@pytest.mark.parametrize(
    ("features", "labels", "options", "error", "message"),
    [
        (FEATURES, torch.tensor([0, 1]), {}, ValueError, r"labels have shape \[2\] but there are 3 samples"),
        (FEATURES, torch.tensor([0, -1, 1]), {}, ValueError, "label -1 of sample 1 is out of range"),
        (FEATURES, torch.tensor([0, 3, 1]), {"num_classes": 3}, ValueError, "label 3 of sample 1.*give 0 to 2"),
        (FEATURES, torch.tensor([0.0, 1, 1]), {}, TypeError, "class indices must be integers"),
        (FEATURES, torch.tensor([[1, 2], [0, 0], [0, 0]]), {}, ValueError, r"labels\[0, 1\] is 2"),
        (FEATURES, torch.tensor([[1, float("nan")]] * 3), {}, ValueError, r"labels\[0, 1\] is nan"),
        (FEATURES, TARGETS, {"num_classes": 3}, ValueError, "num_classes is 3 but labels have 2 columns"),
        (
            DENSE,
            torch.zeros(3, 4),
            {},
            ValueError,
            r"labels have 4 columns but features have 2 classes \(shape \[3, 2, 2\]",
        ),
        (DENSE, torch.tensor([0, 1, 1]), {"num_classes": 3}, ValueError, "num_classes is 3 but the features have 2"),
        (torch.zeros(3), torch.tensor([0, 1, 1]), {}, ValueError, r"features have shape \[3\]"),
        (torch.zeros(3, 0), torch.tensor([0, 1, 1]), {}, ValueError, "width must be at least 1"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), {}, ValueError, "no sample to measure"),
        (np.array([["a"]]), np.array([0]), {}, TypeError, "features are <U1"),
        (np.zeros((1, 2)), np.array(["a"]), {}, TypeError, "labels are <U1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    features: Array, labels: Array, options: dict[str, int], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PairSource.from_arrays(features, labels, num_classes=options.get("num_classes"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "shared"}, "targets are missing"),
        ({"kind": "shared", "targets": torch.zeros(5, 4)}, r"targets have shape \[5, 4\]: give \[samples, 3\]"),
        ({"kind": "dense"}, "kind is 'dense'"),
        ({"kind": "single", "num_features": 0}, "num_features=0"),
    ],
)
def test_streams_that_cannot_be_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairSource(**{"num_classes": 3, "num_features": 2, "batches": list, **arguments})  # type: ignore[arg-type]


def test_classwise_accuracy_asks_for_the_own_class_and_shared_for_any_label() -> None:
    # The feature of class 0 in image 1 lies at the mean of class 1, which is a label of that image, too.
    dense = torch.tensor([[[0.0], [9.0]], [[10.0], [10.0]], [[0.0], [9.0]], [[0.0], [10.0]]])
    targets = torch.tensor([[1, 0], [1, 1], [1, 0], [0, 1]])
    ids = ["nc4_ncc_accuracy"]
    classwise = compute_metrics(PairSource.from_arrays(dense, targets), metrics=ids)
    shared = compute_metrics(PairSource.from_arrays(dense[:, 0], targets), metrics=ids)
    assert classwise.per_class["nc4_ncc_accuracy"].tolist() == [pytest.approx(2 / 3), 1.0]
    assert shared.per_class["nc4_ncc_accuracy"][0] == 1.0
