from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from tests.collapse.streams import rebatched

NAMES = ["mlab_topm_agreement", "mlab_binary_agreement"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def images(kind: str, *, absent: bool = False, seed: int = 0) -> tuple[Floats, Bools, Floats, Floats]:
    """Features, label sets (some empty), rows and biases of five classes."""
    generator = np.random.default_rng(seed)
    labels = generator.random((60, 5)) < 0.35
    labels[:3] = False
    if absent:
        labels[:, 2] = False
    means = generator.normal(size=(5, 4))
    features = labels @ means + generator.normal(size=(60, 4))
    if kind == "classwise":
        features = features[:, None] + generator.normal(size=(60, 5, 4))
    return features, labels, means + 0.5 * generator.normal(size=(5, 4)), generator.normal(size=5)


def of_class(features: Floats, c: int) -> Floats:
    return features[:, c] if features.ndim == 3 else features


def binary_by_loops(features: Floats, labels: Bools, weight: Floats, bias: Floats, c: int) -> float:
    """Mean over positives and negatives of: the logit's sign says which of the two means is nearer."""
    rows = of_class(features, c)
    if labels[:, c].all() or not labels[:, c].any():
        return math.nan
    positive, negative = rows[labels[:, c]].mean(axis=0), rows[~labels[:, c]].mean(axis=0)
    same = [
        (row @ weight[c] + bias[c] > 0) == (np.linalg.norm(row - positive) < np.linalg.norm(row - negative))
        for row in rows
    ]
    shares = [np.mean([hit for hit, mine in zip(same, labels[:, c], strict=True) if mine == side]) for side in (0, 1)]
    return float(np.mean(shares))


def overlaps_by_loops(features: Floats, labels: Bools, weight: Floats, bias: Floats) -> list[float]:
    """Overlap of the m highest logits and the m nearest means, for each image."""
    present = [c for c in range(labels.shape[1]) if labels[:, c].any()]
    means = {c: features[labels[:, c]].mean(axis=0) for c in present}
    found = []
    for row, own in zip(features, labels, strict=True):
        m = int(own.sum())
        near = sorted(present, key=lambda c: float(np.linalg.norm(row - means[c])))[:m]
        high = sorted(range(len(bias)), key=lambda c: -float(row @ weight[c] + bias[c]))[:m]
        found.append(len({*near} & {*high}) / m if m else math.nan)
    return found


def measured(
    features: Floats, labels: Bools, weight: Floats, bias: Floats, names: Sequence[str], **settings: object
) -> CollapseResult:
    return compute_metrics(
        PairSource.from_arrays(features, labels),
        classifier=torch.from_numpy(weight),
        bias=torch.from_numpy(bias),
        groups={"first": [0, 1, 2], "last": [3, 4]},
        metrics=names,
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("kind", ["shared", "classwise"])
def test_binary_agreement_is_the_balanced_share_of_the_formula(kind: str, *, absent: bool) -> None:
    case = images(kind, absent=absent)
    result = measured(*case, ["mlab_binary_agreement"])
    expected = [binary_by_loops(*case, c) for c in range(5)]
    np.testing.assert_allclose(result.per_class["mlab_binary_agreement"].to_numpy(float), expected, rtol=1e-12)
    values = result.to_dict()
    assert math.isnan(expected[2]) == absent
    assert values["all"]["mlab_binary_agreement"] == pytest.approx(np.nanmean(expected))
    assert values["first"]["mlab_binary_agreement"] == pytest.approx(np.nanmean(expected[:3]))


@pytest.mark.parametrize("absent", [False, True])
def test_top_agreement_is_the_mean_overlap_of_the_formula(*, absent: bool) -> None:
    case = images("shared", absent=absent)
    labels, overlaps = case[1], np.array(overlaps_by_loops(*case))
    result = measured(*case, ["mlab_topm_agreement"])
    assert result.to_dict()["all"]["mlab_topm_agreement"] == pytest.approx(np.nanmean(overlaps))
    last = overlaps[labels[:, 3:].any(axis=1)].mean()
    assert result.to_dict()["last"]["mlab_topm_agreement"] == pytest.approx(last)
    for c in range(5):
        expected = overlaps[labels[:, c]].mean() if labels[:, c].any() else math.nan
        assert result.per_class["mlab_topm_agreement"][c] == pytest.approx(expected, nan_ok=True)


def test_a_group_alone_knows_no_other_label() -> None:
    features, labels, weight, bias = images("shared")
    found = measured(features, labels, weight, bias, NAMES, scope="within").to_dict()
    for group, classes in {"first": [0, 1, 2], "last": [3, 4]}.items():
        case = features, labels[:, classes], weight[classes], bias[classes]
        assert found[group]["mlab_topm_agreement"] == pytest.approx(np.nanmean(overlaps_by_loops(*case)))
        binary = [binary_by_loops(*case, c) for c in range(len(classes))]
        assert found[group]["mlab_binary_agreement"] == pytest.approx(np.mean(binary))


@pytest.mark.parametrize("kind", ["shared", "classwise"])
def test_only_images_of_the_asked_number_of_labels_are_negatives_too(kind: str) -> None:
    features, labels, weight, bias = images(kind)
    names = NAMES if kind == "shared" else NAMES[1:]
    kept = labels.sum(axis=1) == 2
    found = measured(features, labels, weight, bias, names, multiplicity=2).to_dict()
    alone = measured(features[kept], labels[kept], weight, bias, names).to_dict()
    for name in names:
        assert found["all"][name] == pytest.approx(alone["all"][name], rel=1e-12)


def test_classes_below_min_count_are_no_label_of_an_image() -> None:
    features, labels, weight, bias = images("shared")
    labels[:, 2] = False
    labels[[5, 6], 2] = True
    found = measured(features, labels, weight, bias, NAMES, min_count=3).to_dict()
    labels[:, 2] = False
    without = measured(features, labels, weight, bias, NAMES).to_dict()
    assert found["all"] == pytest.approx(without["all"], rel=1e-12)


def test_classes_that_every_image_shows_have_no_binary_agreement() -> None:
    features, labels, weight, bias = images("shared")
    labels[:, 1] = True
    result = measured(features, labels, weight, bias, ["mlab_binary_agreement"])
    assert result.per_class["mlab_binary_agreement"].isna().tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("kind", ["shared", "classwise"])
def test_order_and_batches_of_images_do_not_matter(kind: str, size: int) -> None:
    features, labels, weight, bias = images(kind)
    names = NAMES if kind == "shared" else NAMES[1:]
    source = PairSource.from_arrays(features, labels)
    arguments = {"classifier": torch.from_numpy(weight), "bias": torch.from_numpy(bias), "metrics": names}
    whole = compute_metrics(source, **arguments)  # type: ignore[arg-type]
    parts = compute_metrics(rebatched(source, size, seed=1), **arguments)  # type: ignore[arg-type]
    assert parts.to_dict()["all"] == pytest.approx(whole.to_dict()["all"], rel=1e-10)


def test_logits_that_measure_the_two_distances_agree_everywhere() -> None:
    features, labels, _, _ = images("shared")
    positive = np.stack([features[labels[:, c]].mean(axis=0) for c in range(5)])
    negative = np.stack([features[~labels[:, c]].mean(axis=0) for c in range(5)])
    bias = ((negative**2).sum(axis=1) - (positive**2).sum(axis=1)) / 2
    result = measured(features, labels, positive - negative, bias, ["mlab_binary_agreement"])
    assert result.to_dict()["all"]["mlab_binary_agreement"] == 1.0
    nearest = measured(features, labels, positive, -(positive**2).sum(axis=1) / 2, ["mlab_topm_agreement"])
    assert nearest.to_dict()["all"]["mlab_topm_agreement"] == 1.0


def test_a_negative_that_is_not_finite_names_image_and_class() -> None:
    features, labels, weight, bias = images("classwise")
    labels[7, 3] = False
    features[7, 3, 2] = math.nan
    with pytest.raises(ValueError, match="feature of image 7, class 3 is NaN or infinite in column 2"):
        measured(features, labels, weight, bias, ["mlab_binary_agreement"])
