from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.statistics import CollapseStatistics
from nctools.errors import StoreError

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


def collected(
    features: torch.Tensor, classes: torch.Tensor, size: int = 10_000, *, scatter: bool = False
) -> CollapseStatistics:
    statistics = CollapseStatistics(4, 3, scatter=scatter)
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


def exact_scatter(features: torch.Tensor, classes: torch.Tensor, c: int) -> torch.Tensor:
    """Scatter of a class from its residuals."""
    rows = features[classes == c].double()
    moved = rows - rows.mean(dim=0)
    return moved.T @ moved


def same_state(first: CollapseStatistics, second: CollapseStatistics) -> bool:
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_scatters_are_those_of_the_residuals_in_any_batches(offset: float, size: int) -> None:
    features, classes = pairs(300, offset=offset)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    scatters = collected(features[order], classes[order], size, scatter=True).scatters
    assert scatters is not None
    for c in range(4):
        expected = exact_scatter(features, classes, c) if bool((classes == c).any()) else torch.zeros(3, 3).double()
        torch.testing.assert_close(scatters[c], expected, rtol=1e-10, atol=1e-7 if offset else 1e-10)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([1, 5, 100]))
def test_merged_scatters_equal_the_whole(first: int, second: int, size: int) -> None:
    features, classes = pairs(first + second, offset=10.0)
    whole = collected(features, classes, scatter=True)
    left = collected(features[:first], classes[:first], size, scatter=True)
    left.merge(collected(features[first:], classes[first:], size, scatter=True))
    assert left.scatters is not None
    assert whole.scatters is not None
    torch.testing.assert_close(left.scatters, whole.scatters, rtol=1e-10, atol=1e-10)
    traces = left.scatters.diagonal(dim1=1, dim2=2).sum(dim=1)
    torch.testing.assert_close(traces, left.squares, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [1, 7])
def test_order_and_batches_do_not_matter(size: int) -> None:
    features, classes = pairs(500, offset=1e3)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    whole, parts = collected(features, classes), collected(features[order], classes[order], size)
    torch.testing.assert_close(parts.means, whole.means, rtol=1e-12, atol=0, equal_nan=True)
    torch.testing.assert_close(parts.variances(), whole.variances(), rtol=1e-10, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint8])
def test_numpy_arrays_give_the_numbers_of_tensors(dtype: type[np.generic]) -> None:
    features, classes = pairs(50, offset=9.0)
    arrays = features.numpy().astype(dtype)
    given_arrays, given_tensors = CollapseStatistics(4, 3, scatter=True), CollapseStatistics(4, 3, scatter=True)
    given_arrays.update(arrays, classes.numpy().astype(np.uint16))
    given_tensors.update(torch.from_numpy(arrays), classes)
    assert same_state(given_arrays, given_tensors)


@pytest.mark.parametrize("scatter", [False, True])
def test_a_file_gives_back_every_sum(tmp_path: Path, *, scatter: bool) -> None:
    statistics = collected(*pairs(40), scatter=scatter)
    statistics.save(tmp_path / "sums.npz")
    read = CollapseStatistics.load(tmp_path / "sums.npz")
    assert same_state(read, statistics)
    assert read.has_scatter == scatter
    assert [path.name for path in tmp_path.iterdir()] == ["sums.npz"]


def test_damaged_files_are_never_read_as_other_numbers(tmp_path: Path) -> None:
    path, statistics = tmp_path / "sums.npz", collected(*pairs(40), scatter=True)
    statistics.save(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match="cannot be read as statistics"):
            CollapseStatistics.load(path)
    refused = 0
    places = range(0, len(whole), 3)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5B]) + whole[place + 1 :])
        try:
            read = CollapseStatistics.load(path)
        except StoreError:
            refused += 1
        else:
            assert same_state(read, statistics)  # a byte that means nothing, such as a date
    assert refused > len(places) // 2


@pytest.mark.parametrize(
    "change",
    [
        {"counts": np.array([3, -1, 0, 0])},
        {"sums": np.full((4, 3), math.nan)},
        {"sums": np.zeros(4)},
        {"squares": np.zeros((4, 1))},
        {"scatters": np.zeros((2, 3, 3))},
        {"shifts": np.array([["a"] * 3] * 4)},
        {"shifts": np.array([[None] * 3] * 4)},
    ],
)
def test_archives_of_other_content_are_refused(tmp_path: Path, change: dict[str, NDArray[np.generic]]) -> None:
    state: dict[str, Any] = {name: value.numpy() for name, value in collected(*pairs(40)).state_dict().items()}
    np.savez(tmp_path / "other.npz", **(state | change))
    with pytest.raises(StoreError, match=r"other.npz cannot be read"):
        CollapseStatistics.load(tmp_path / "other.npz")


def test_files_of_other_kinds_are_refused_and_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    with pytest.raises(StoreError):
        CollapseStatistics.load(path)  # missing
    with pytest.raises(StoreError):
        CollapseStatistics.load(tmp_path)  # a folder
    contents = [b"", b"no archive", pickle.dumps(collected(*pairs(5)).state_dict())]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(StoreError):
            CollapseStatistics.load(path)
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(StoreError):
        CollapseStatistics.load(path)


def test_an_update_that_fails_changes_nothing() -> None:
    features, classes = pairs(3000)
    statistics, copy = (collected(features[:9], classes[:9], scatter=True) for _ in range(2))
    broken = features.clone()
    broken[2999, 1] = math.inf  # in the last block
    for rows, own in (
        (broken, classes),
        (features, classes + 1),
        (features[:, :2], classes),
        (features * 1e200, classes),
    ):
        with pytest.raises(ValueError, match=r"inf|out of range|shape|too large"):
            statistics.update(rows, own)
        assert same_state(statistics, copy)


def test_statistics_with_and_without_scatters_do_not_merge() -> None:
    with pytest.raises(ValueError, match="keeps scatters and the other does not"):
        collected(*pairs(9)).merge(collected(*pairs(9), scatter=True))


@pytest.mark.parametrize("settings", [{}, {"weighting": "sample", "ddof": 1}, {"scope": "within"}, {"min_count": 9}])
def test_scatters_of_one_pass_give_what_a_second_pass_gives(settings: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(4)
    classes = torch.repeat_interleave(torch.arange(5), torch.tensor([40, 20, 9, 5, 1]))
    features = torch.randn(75, 6, generator=generator, dtype=torch.float64) + classes[:, None] * torch.arange(6) ** 0.5
    statistics = CollapseStatistics(5, 6, scatter=True)
    for part in torch.arange(75).split(13):
        statistics.update(features[part], classes[part])
    arguments = {"metrics": ["nc1_pinv", "nc1_dcdnv", "nc1_vci"], "groups": {"a": [0, 1], "b": [2, 3, 4]}, **settings}
    found = compute_metrics(statistics, **arguments)  # type: ignore[arg-type]
    expected = compute_metrics(PairSource.from_arrays(features, classes), **arguments)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.table["value"], expected.table["value"], rtol=1e-9)
    columns = ["nc1_pinv", "nc1_dcdnv", "nc1_vci"]
    np.testing.assert_allclose(found.per_class[columns], expected.per_class[columns], rtol=1e-9)


def test_a_warning_of_vci_needs_vci() -> None:
    statistics = collected(*pairs(5), scatter=True)
    assert not any("nc1_vci" in text for text in compute_metrics(statistics, metrics=["nc1_pinv"]).warnings)
    assert any("nc1_vci" in text for text in compute_metrics(statistics, metrics=["nc1_vci"]).warnings)


def test_a_file_of_another_kind_is_told_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_bytes(b"hello")
    with pytest.raises(StoreError, match="it is not a NumPy archive"):
        CollapseStatistics.load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(StoreError, match="it holds weights, and no sums"):
        CollapseStatistics.load(tmp_path / "other.npz")
    assert repr(CollapseStatistics(3, 2)) == "CollapseStatistics(3 classes, width 2, 0 pairs)"
