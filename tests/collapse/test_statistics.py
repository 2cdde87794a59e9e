from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.collapse.statistics import CollapseStatistics

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int16]


def pairs(
    num_pairs: int, *, offset: float = 0.0, spread: float = 1.0, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and classes 0, 1, 3 of 4."""
    generator = torch.Generator().manual_seed(num_pairs)
    features = offset + spread * torch.randn(num_pairs, 3, generator=generator, dtype=torch.float64)
    classes = torch.tensor([0, 1, 3])[torch.randint(0, 3, (num_pairs,), generator=generator)]
    return features.to(dtype), classes


def exact_spread(features: torch.Tensor, classes: torch.Tensor, c: int) -> float:
    """Variance of a class in extended precision."""
    rows = features[classes == c].double().numpy().astype(np.longdouble)
    return float(((rows - rows.mean(axis=0)) ** 2).sum() / len(rows))


def collected(features: torch.Tensor, classes: torch.Tensor, size: int = 10_000) -> CollapseStatistics:
    statistics = CollapseStatistics(4, 3)
    for part in torch.arange(len(classes)).split(size):
        statistics.update(features[part], classes[part])
    return statistics


@given(st.integers(1, 60), st.sampled_from(DTYPES), st.integers(1, 20))
def test_sums_equal_those_of_numpy(num_pairs: int, dtype: torch.dtype, size: int) -> None:
    features, classes = pairs(num_pairs, offset=3.0, spread=2.0, dtype=dtype)
    statistics = collected(features, classes, size)
    for c in range(4):
        rows = features[classes == c].double().numpy()
        assert statistics.counts[c] == len(rows)
        assert statistics.counts.dtype == torch.int64
        if len(rows):
            np.testing.assert_allclose(statistics.means[c], rows.mean(axis=0), rtol=1e-14)
            np.testing.assert_allclose(statistics.variances()[c], rows.var(axis=0).sum(), rtol=1e-13, atol=1e-13)
        else:
            assert statistics.means[c].isnan().all()
            assert math.isnan(statistics.variances()[c])


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (1.0, 1e-4), (1.0, 1e-7), (1e4, 1e-3), (1e8, 1.0)])
def test_spread_survives_offset_and_collapse(offset: float, spread: float) -> None:
    features, classes = pairs(3000, offset=offset, spread=spread)
    statistics = collected(features, classes, 64)
    assert statistics.variances()[1] == pytest.approx(exact_spread(features, classes, 1), rel=1e-13)


@given(st.integers(0, 30), st.integers(0, 30))
def test_merged_halves_equal_the_whole(first: int, second: int) -> None:
    features, classes = pairs(first + second, offset=1e4, spread=1e-2)
    whole, left = collected(features, classes), collected(features[:first], classes[:first])
    right = collected(features[first:], classes[first:])
    before = right.state_dict()
    left.merge(right)
    assert torch.equal(left.counts, whole.counts)
    np.testing.assert_allclose(left.means, whole.means, rtol=1e-14)
    np.testing.assert_allclose(left.variances(), whole.variances(), rtol=1e-10, atol=1e-18)
    assert all(torch.equal(value, before[name]) for name, value in right.state_dict().items())
    left.update(features, classes)  # goes on after a merge
    np.testing.assert_allclose(left.variances(), whole.variances(), rtol=1e-10, atol=1e-18)


def test_single_pairs_have_no_unbiased_variance() -> None:
    statistics = CollapseStatistics(2, 1)
    statistics.update(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([0, 1, 1]))
    assert statistics.variances().tolist() == [0.0, 1.0]
    assert math.isnan(statistics.variances(ddof=1)[0])
    assert statistics.variances(ddof=1)[1] == 2.0


def test_state_survives_saving() -> None:
    features, classes = pairs(20)
    statistics, copy = collected(features, classes), CollapseStatistics(4, 3)
    copy.load_state_dict(statistics.state_dict())
    assert torch.equal(copy.means.nan_to_num(), statistics.means.nan_to_num())
    copy.update(features, classes)
    assert statistics.counts.sum() == 20


def test_fault_leaves_the_sums_usable() -> None:
    features, classes = pairs(20)
    statistics = CollapseStatistics(4, 3)
    broken = features.clone()
    broken[classes == 1] = math.nan
    with pytest.raises(ValueError, match="is nan"):
        statistics.update(broken, classes)
    statistics.update(features, classes)
    assert torch.equal(statistics.means.nan_to_num(), collected(features, classes).means.nan_to_num())


@pytest.mark.parametrize(
    ("features", "classes", "error", "message"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 4]), ValueError, r"class 4 \(pair 1 of the batch\) is out of range"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), ValueError, "class -1"),
        (torch.zeros(2, 4), torch.tensor([0, 1]), ValueError, r"shape \[2, 4\].*give \[m, 3\]"),
        (torch.zeros(2, 3), torch.tensor([0]), ValueError, r"classes \[1\]"),
        (torch.zeros(2, 3), torch.tensor([0.0, 1.0]), TypeError, "classes are torch.float32"),
        (torch.zeros(2, 3, dtype=torch.complex64), torch.tensor([0, 1]), TypeError, "features are torch.complex64"),
        (torch.tensor([[0.0, 0, math.nan]]), torch.tensor([2]), ValueError, "sample 0, class 2 is nan in column 2"),
    ],
)
def test_wrong_batches_are_refused(
    features: torch.Tensor, classes: torch.Tensor, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        CollapseStatistics(4, 3).update(features, classes)


def test_other_sizes_do_not_merge_or_load() -> None:
    statistics = CollapseStatistics(4, 3)
    with pytest.raises(ValueError, match="5 classes and width 3 into 4 classes and width 3"):
        statistics.merge(CollapseStatistics(5, 3))
    with pytest.raises(ValueError, match=r"shape \[5\] for 'counts'"):
        statistics.load_state_dict(CollapseStatistics(5, 3).state_dict())
    with pytest.raises(ValueError, match="nothing for 'counts'"):
        statistics.load_state_dict({})
    with pytest.raises(ValueError, match="num_classes=0"):
        CollapseStatistics(0, 3)
