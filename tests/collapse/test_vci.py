from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.statistics import CollapseStatistics

Floats = NDArray[np.float64]


def vci(features: Floats, labels: NDArray[np.int64], **settings: object) -> float:
    """The index of a second pass; statistics of one pass must agree."""
    arguments = {"metrics": ["nc1_vci"], "groups": {}, **settings}
    found = compute_metrics(PairSource.from_arrays(features, labels), **arguments)  # type: ignore[arg-type]
    statistics = CollapseStatistics(int(labels.max()) + 1, features.shape[1], scatter=True)
    for part in np.array_split(np.arange(len(labels)), 5):
        statistics.update(features[part], labels[part])
    once = compute_metrics(statistics, **arguments)  # type: ignore[arg-type]
    value = found.to_dict()["all"]["nc1_vci"]
    assert once.to_dict()["all"]["nc1_vci"] == pytest.approx(value, rel=1e-6, abs=1e-12)
    return value


def by_definition(features: Floats, labels: NDArray[np.int64]) -> float:
    """``1 - tr(Sigma_T^+ Sigma_B) / r`` as it is written, with pseudo-inverses."""
    classes = np.unique(labels)
    means = np.stack([features[labels == c].mean(axis=0) for c in classes])
    centred = means - means.mean(axis=0)
    between = centred.T @ centred / len(classes)
    within = sum(np.cov(features[labels == c].T, bias=True) for c in classes) / len(classes)
    total = np.linalg.pinv(within + between, rcond=1e-10, hermitian=True)
    return float(1 - np.trace(total @ between) / np.linalg.matrix_rank(centred, tol=1e-9))


def case(num_pairs: int, width: int, *, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.arange(num_pairs) % 4
    return generator.normal(size=(num_pairs, width)) + generator.normal(size=(4, width))[labels], labels


@pytest.mark.parametrize(("num_pairs", "width"), [(200, 6), (40, 12), (200, 2), (30, 22)])
def test_value_equals_the_definition(num_pairs: int, width: int) -> None:
    features, labels = case(num_pairs, width)
    assert vci(features, labels) == pytest.approx(by_definition(features, labels), rel=1e-8)


@pytest.mark.parametrize("width", [23, 24, 60])
def test_any_labels_look_collapsed_from_as_many_features_as_pairs(width: int) -> None:
    features, labels = case(24, width)
    random = np.random.default_rng(1).permutation(labels)
    for own in (labels, random):
        assert vci(features, own) == pytest.approx(0, abs=1e-9)
    warnings = compute_metrics(PairSource.from_arrays(features, random), metrics=["nc1_vci"]).warnings
    assert any("look collapsed whatever the labels" in text for text in warnings)


def test_directions_without_spread_count_as_collapsed_and_the_others_as_they_are() -> None:
    # Means spread along three axes; the noise fills the first two, and two more.
    generator = np.random.default_rng(2)
    labels = np.arange(400) % 4
    corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    features = np.zeros((400, 6))
    features[:, :3] = corners[labels]
    features[:, [0, 1, 3, 4]] += generator.normal(size=(400, 4))
    turn = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    found = vci(features, labels)
    assert found == pytest.approx(by_definition(features, labels), rel=1e-8)
    assert 0.2 < found < 0.5
    # Any invertible map of the features keeps the value, though not which numbers are exactly zero.
    for mapped in (features @ turn, 1e3 * features @ turn + 7, features @ (turn * np.geomspace(0.1, 10, 6))):
        assert vci(mapped, labels) == pytest.approx(found, rel=1e-7)


def test_collapsed_features_have_exactly_nothing_left() -> None:
    _, labels = case(40, 6)
    means = np.random.default_rng(0).normal(size=(4, 6))
    assert vci(means[labels], labels) == pytest.approx(0, abs=1e-15)
    nearly = means[labels] + 1e-7 * np.random.default_rng(1).normal(size=(40, 6))
    assert 0 < vci(nearly, labels) < 1e-12


def test_classes_of_one_pair_take_no_part() -> None:
    features, labels = case(60, 5)
    lone = np.concatenate([labels, [4]])
    more = np.concatenate([features, [[9.0, -9, 9, -9, 9]]])
    result = compute_metrics(
        PairSource.from_arrays(torch.from_numpy(more), torch.from_numpy(lone)), metrics=["nc1_vci"]
    )
    assert result.per_class["nc1_vci"].isna().tolist() == [False] * 4 + [True]
