from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import nctools
from nctools.collapse.pairs import PairSource
from nctools.collapse.spectra import scatter_spectra

COUNTS = (30, 1, 0, 12, 7, 3)
GROUPS = {"often": [0, 3], "rare": [5, 1, 4], "absent": [2]}


def pairs(width: int = 9, *, offset: float = 0.0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.repeat_interleave(torch.arange(len(COUNTS)), torch.tensor(COUNTS))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    means = torch.randn(len(COUNTS), width, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(labels), width, generator=generator, dtype=torch.float64) * torch.linspace(1, 0.01, width)
    return (means[labels] + noise + offset).to(dtype), labels


def source(features: Tensor, labels: Tensor) -> PairSource:
    return PairSource.from_arrays(features, labels, num_classes=len(COUNTS))


def slow_scatters(
    features: Tensor, labels: Tensor, members: list[int], weighting: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sigma_B and Sigma_W as their formulas stand, pair by pair in float64."""
    rows, own = features.double().numpy(), labels.numpy()
    present = [c for c in range(len(COUNTS)) if (own == c).any()]
    mean = {c: rows[own == c].mean(axis=0) for c in present}
    share = {c: 1 / len(present) if weighting == "class" else (own == c).sum() / len(own) for c in present}
    centre = sum(share[c] * mean[c] for c in present)
    inside = [c for c in present if c in members]
    total = sum(share[c] for c in inside)
    spread = [c for c in inside if weighting == "sample" or (own == c).sum() > 1]
    spread_total = sum(share[c] for c in spread)
    between = np.zeros((rows.shape[1], rows.shape[1]))
    within = np.zeros_like(between)
    for c in inside:
        between += share[c] / total * np.outer(mean[c] - centre, mean[c] - centre)
    for c in spread:
        for row in rows[own == c]:
            within += share[c] / spread_total / (own == c).sum() * np.outer(row - mean[c], row - mean[c])
    return between, within


def padded(values: Tensor, width: int) -> NDArray[np.float64]:
    return np.pad(values.numpy(), (0, width - len(values)))


@pytest.mark.parametrize("weighting", ["class", "sample"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_eigenvalues_are_those_of_the_slow_scatters(weighting: str, dtype: torch.dtype) -> None:
    features, labels = pairs(dtype=dtype)
    found = scatter_spectra(source(features, labels), GROUPS, weighting=weighting)  # type: ignore[arg-type]
    assert list(found) == ["all", "often", "rare"]  # a group without a pair has no scatter
    for group, members in {"all": list(range(len(COUNTS))), **GROUPS}.items():
        if group == "absent":
            continue
        between, within = slow_scatters(features, labels, members, weighting)
        for scatter, values in ((between, found[group].between), (within, found[group].within)):
            expected = np.linalg.eigvalsh(scatter)[::-1]
            np.testing.assert_allclose(padded(values, 9), expected, rtol=1e-8, atol=1e-13 * expected[0])
    assert [found[group].num_classes for group in found] == [5, 2, 3]


def test_the_scatters_of_all_pairs_add_up_to_their_covariance() -> None:
    features, labels = pairs()
    found = scatter_spectra(source(features, labels), weighting="sample")["all"]
    covariance = np.cov(features.numpy().T, bias=True)
    assert float(found.between.sum() + found.within.sum()) == pytest.approx(np.trace(covariance), rel=1e-12)


@pytest.mark.parametrize("weighting", ["class", "sample"])
def test_groups_recombine_to_the_whole(weighting: str) -> None:
    features, labels = pairs()
    found = scatter_spectra(source(features, labels), GROUPS, weighting=weighting)  # type: ignore[arg-type]
    pairs_often = {"between": 42 / 53, "within": 42 / 53}
    # The class of one pair has no spread.
    often = {"between": 2 / 5, "within": 2 / 4} if weighting == "class" else pairs_often
    for scatter, share in often.items():
        traces = {group: float(getattr(spectrum, scatter).sum()) for group, spectrum in found.items()}
        whole = share * traces["often"] + (1 - share) * traces["rare"]
        assert whole == pytest.approx(traces["all"], rel=1e-12)


def test_the_ratio_of_the_traces_is_nc1_quotient() -> None:
    features, labels = pairs()
    found = scatter_spectra(source(features, labels))["all"]
    measured = nctools.measure(features, labels, metrics=["nc1_quotient"]).to_dict()["all"]["nc1_quotient"]
    assert float(found.within.sum() / found.between.sum()) == pytest.approx(measured, rel=1e-10)


def test_a_large_common_offset_costs_no_digits() -> None:
    near = scatter_spectra(source(*pairs()))["all"]
    far = scatter_spectra(source(*pairs(offset=1e5)))["all"]
    np.testing.assert_allclose(far.within, near.within, rtol=1e-6)
    np.testing.assert_allclose(far.between[:4], near.between[:4], rtol=1e-6)


def test_order_and_batches_do_not_matter() -> None:
    features, labels = pairs()

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rows = torch.arange(len(labels)).flip(0)
        for part in (rows[:1], rows[:0], rows[1:20], rows[20:]):
            yield features[part], labels[part], part

    streamed = scatter_spectra(PairSource("single", len(COUNTS), 9, batches))["all"]
    whole = scatter_spectra(source(features, labels))["all"]
    np.testing.assert_allclose(streamed.within, whole.within, rtol=1e-10)
    np.testing.assert_allclose(streamed.between, whole.between, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(("num_classes", "width"), [(2, 5), (20, 64), (80, 8)])
def test_means_span_no_more_than_c_minus_1_directions(num_classes: int, width: int) -> None:
    labels = torch.arange(num_classes).repeat(3)
    features = torch.randn(len(labels), width, generator=torch.Generator().manual_seed(1))
    found = scatter_spectra(PairSource.from_arrays(features, labels))["all"]
    assert int((found.between > 0).sum()) == min(num_classes - 1, width)
    assert len(found.between) == min(num_classes, width)
    assert len(found.within) == width


def test_at_collapse_c_minus_1_eigenvalues_are_equal_and_nothing_is_left_within() -> None:
    labels = torch.arange(6).repeat(4)
    found = scatter_spectra(PairSource.from_arrays(torch.eye(6)[labels], labels))["all"]
    np.testing.assert_allclose(found.between, [1 / 6] * 5 + [0], rtol=1e-12)
    assert found.within.tolist() == [0.0] * 6


def test_label_sets_give_a_pair_for_each_label() -> None:
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    targets = torch.rand(40, 3, generator=torch.Generator().manual_seed(3)) < 0.5
    samples, classes = targets.nonzero(as_tuple=True)
    found = scatter_spectra(PairSource.from_arrays(features, targets))["all"]
    apart = scatter_spectra(PairSource.from_arrays(features[samples], classes))["all"]
    np.testing.assert_allclose(found.within, apart.within, rtol=1e-10)


def test_what_cannot_be_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of the 3 classes has a pair"):
        scatter_spectra(PairSource.from_arrays(torch.zeros(2, 4), torch.zeros(2, 3)))
    with pytest.raises(ValueError, match="holds class 6, but there are 6 classes"):
        scatter_spectra(source(*pairs()), {"a": [6]})
    features, labels = pairs()
    features[7, 2] = torch.nan
    with pytest.raises(ValueError, match=r"sample 7, class \d is nan in column 2"):
        scatter_spectra(source(features, labels))
