"""Class means from one split, pairs from another: the values against loops over all pairs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult

NUM_CLASSES, WIDTH = 5, 3


def split(counts: list[int], seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    means = 2 * torch.randn(NUM_CLASSES, WIDTH, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(NUM_CLASSES).repeat_interleave(torch.tensor(counts))
    return means[labels] + torch.randn(len(labels), WIDTH, generator=generator).double(), labels


def pairs(rows: tuple[Tensor, Tensor]) -> PairSource:
    return PairSource.from_arrays(*rows, num_classes=NUM_CLASSES)


def value(result: CollapseResult, metric: str) -> float:
    return float(result.to_dict()["all"][metric])


TRAIN = split([20, 12, 6, 3, 0], seed=1)
TEST = split([4, 1, 5, 2, 3], seed=2)


@pytest.mark.parametrize("min_count", [1, 6])
@pytest.mark.parametrize("weighting", ["class", "sample"])
def test_values_are_those_of_loops_over_the_pairs(min_count: int, weighting: str) -> None:
    known = [index for index in range(NUM_CLASSES) if int((TRAIN[1] == index).sum()) >= min_count]
    means = torch.stack([TRAIN[0][TRAIN[1] == index].mean(dim=0) for index in known])
    centred = means - means.mean(dim=0)
    between = centred.T @ centred / len(known)
    inverse = torch.linalg.pinv(between, hermitian=True)
    quotients, whitened, hits, sizes = [], [], [], []
    for row, index in enumerate(known):
        own = TEST[0][TEST[1] == index]
        moved = own - means[row]
        sizes.append(len(own))
        quotients.append(float(moved.square().sum(dim=1).mean() / between.trace()))
        whitened.append(float(torch.einsum("nd,de,ne->n", moved, inverse, moved).mean()) / len(known))
        hits.append(float((torch.cdist(own, means).argmin(dim=1) == row).double().mean()))
    shares = [size if weighting == "sample" else 1 for size in sizes]
    result = compute_metrics(
        pairs(TEST),
        means_from=pairs(TRAIN),
        metrics=["nc1_quotient", "nc1_pinv", "nc4_ncc_accuracy"],
        min_count=min_count,
        weighting="sample" if weighting == "sample" else "class",
    )
    expected = {"nc1_quotient": quotients, "nc1_pinv": whitened, "nc4_ncc_accuracy": hits}
    for metric, numbers in expected.items():
        mean = sum(number * share for number, share in zip(numbers, shares, strict=True)) / sum(shares)
        assert value(result, metric) == pytest.approx(mean), metric


def test_the_same_split_gives_the_usual_values() -> None:
    metrics = ["nc1_pinv", "nc1_quotient", "nc4_ncc_accuracy"]
    own = compute_metrics(pairs(TRAIN), metrics=metrics)
    other = compute_metrics(pairs(TRAIN), metrics=metrics, means_from=pairs(TRAIN))
    for metric in metrics:
        assert value(other, metric) == pytest.approx(value(own, metric))


def test_classes_are_too_small_by_the_split_of_the_means_alone() -> None:
    result = compute_metrics(pairs(TEST), metrics=["nc1_quotient"], means_from=pairs(TRAIN), min_count=3)
    row = result.table[result.table["group"] == "all"].iloc[0]
    assert (row["num_classes"], row["num_used"], row["n_min"]) == (4, 4, 1)


def test_the_number_of_labels_chooses_images_of_both_splits() -> None:
    features, classes = split([20, 12, 8, 6, 0], seed=1)
    labels = torch.nn.functional.one_hot(classes, NUM_CLASSES)
    labels[::2, 0] = 1
    source = PairSource.from_arrays(features, labels)
    alone = compute_metrics(source, metrics=["nc1_quotient"], multiplicity=1)
    apart = compute_metrics(source, metrics=["nc1_quotient"], multiplicity=1, means_from=source)
    assert value(apart, "nc1_quotient") == pytest.approx(value(alone, "nc1_quotient"))


def test_a_divisor_less_by_one_is_refused() -> None:
    with pytest.raises(ValueError, match="no degree of freedom"):
        compute_metrics(pairs(TEST), metrics=["nc1_quotient"], means_from=pairs(TRAIN), ddof=1)


def test_a_class_without_pairs_in_one_split_has_no_value() -> None:
    result = compute_metrics(pairs(TEST), means_from=pairs(TRAIN))
    assert math.isnan(result.per_class["nc4_ncc_accuracy"].iloc[4])
    assert any("1 classes have no pair in one of the splits" in warning for warning in result.warnings)
