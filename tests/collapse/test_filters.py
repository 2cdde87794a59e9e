from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from nctools.collapse.catalogue import METRICS
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource, with_multiplicity
from nctools.collapse.result import CollapseResult
from tests.collapse.cases import Case, Kind, make_case
from tests.collapse.streams import rebatched

KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
NC4 = ["nc4_agreement", "nc4_ncc_accuracy"]
# These read the labels of all declared classes.
OF_LABELS = {"label_kappa"}


def measured(case: Case, source: PairSource | None = None, **arguments: object) -> CollapseResult:
    known = {"classifier": case.classifier, "bias": case.bias, "ood_mean": case.ood_mean, "metrics": "all"}
    return compute_metrics(source or case.source, **{"groups": {}, **known, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("weighting", ["class", "sample"])
@pytest.mark.parametrize("kind", KINDS)
def test_classes_below_min_count_are_as_if_they_had_no_pair(kind: Kind, weighting: str) -> None:
    case = make_case(kind, [14, 16, 15, 14, 2], 6, seed=2)
    keep = torch.arange(5) < 4
    counts = torch.bincount(case.labels, minlength=5) if kind == "single" else case.labels.sum(dim=0)
    limit = int(counts[4]) + 1
    assert int(counts[:4].min()) >= limit
    if kind == "single":
        without = PairSource.from_arrays(case.features, case.labels, num_classes=5, ignore_index=4)
    else:
        without = PairSource.from_arrays(case.features, case.labels * keep)
    found = measured(case, min_count=limit, weighting=weighting)
    expected = measured(case, without, weighting=weighting)
    for name, value in expected.to_dict()["all"].items():
        if name not in OF_LABELS:
            assert found.to_dict()["all"][name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name
    assert any("fewer than min_count" in text and "(4)" in text for text in found.warnings)


def test_a_lone_pair_below_min_count_is_said_once() -> None:
    case = make_case("single", [14, 12, 9, 1], 6, seed=2)
    assert sum("(3)" in text for text in measured(case, min_count=2).warnings) == 1
    assert any("one pair only of 1 class (3)" in text for text in measured(case).warnings)


def test_a_min_count_that_no_class_has_is_an_error() -> None:
    case = make_case("single", [14, 12, 9], 6, seed=2)
    with pytest.raises(ValueError, match="min_count is 15, but no class has more than 14 pairs"):
        measured(case, min_count=15)
    assert measured(case, min_count=14).warnings[1].startswith("only one class is present")


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("kind", ["classwise", "shared"])
def test_multiplicity_measures_the_images_of_so_many_labels_alone(kind: Kind, labels: int) -> None:
    case = make_case(kind, [14, 12, 9, 7], 6, seed=3)
    kept = case.labels.sum(dim=1) == labels
    names = [name for name in METRICS if kind in METRICS[name].kinds and not name.endswith("crossfit")]
    found = measured(case, multiplicity=labels, metrics=names).to_dict()["all"]
    alone = PairSource.from_arrays(case.features[kept], case.labels[kept])
    expected = measured(case, alone, metrics=names).to_dict()["all"]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_a_filtered_stream_keeps_pairs_images_and_labels_together() -> None:
    case = make_case("shared", [8, 7, 6], 4, seed=3)
    two = case.labels.sum(dim=1) == 2
    source = with_multiplicity(case.source, 2)
    seen = torch.cat([samples for _, _, samples in source.batches()])
    assert source.images is not None
    assert source.targets is not None
    assert torch.cat([samples for _, samples in source.images()]).tolist() == two.nonzero().squeeze(1).tolist()
    assert sorted(seen.tolist()) == sorted(two.nonzero().squeeze(1).tolist() * 2)
    assert torch.equal(source.targets, case.labels.bool() & two[:, None])
    assert next(iter(source.images()))[0].tolist() == case.features[two].tolist()


def test_a_multiplicity_that_is_not_there_says_which_are() -> None:
    case = make_case("shared", [8, 7, 6], 4, seed=3)
    with pytest.raises(ValueError, match=r"multiplicity is 3, but samples have \[1, 2\] labels"):
        measured(case, multiplicity=3)
    with pytest.raises(ValueError, match="multiplicity is 1, but these are single features without label sets"):
        measured(make_case("single", [8, 7, 6], 4, seed=3), multiplicity=1)


@pytest.mark.parametrize("name", ["min_count", "multiplicity", "sample_pairs"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True])
def test_filters_are_whole_numbers(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value!r}: give a whole number of at least 1"):
        measured(make_case("single", [8, 7, 6], 4, seed=3), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_nc4_is_exact_when_as_many_pairs_are_asked_for_as_there_are(kind: Kind) -> None:
    case = make_case(kind, [40, 21, 9, 3], 6, seed=4)
    whole, total = measured(case, metrics=NC4), len(case.pairs())
    for size in (total, 10 * total):
        sampled = measured(case, metrics=NC4, sample_pairs=size)
        assert sampled.to_dict() == whole.to_dict()
        assert not any("nc4_* look at" in text for text in sampled.warnings)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sampled_pairs_are_the_same_in_any_batches(kind: Kind) -> None:
    case = make_case(kind, [80, 41, 19, 9], 6, seed=4, spread=2.0)
    first = measured(case, metrics=[*NC4, "nc1_pinv"], sample_pairs=60)
    for size in (1, 13):
        source = rebatched(case.source, size, seed=size)
        second = measured(case, source, metrics=[*NC4, "nc1_pinv"], sample_pairs=60)
        np.testing.assert_allclose(first.per_class[NC4], second.per_class[NC4], rtol=1e-12)
        assert [text for text in first.warnings if "nc4" in text] == [text for text in second.warnings if "nc4" in text]
    exact = measured(case, metrics=["nc1_pinv"])
    assert first.to_dict()["all"]["nc1_pinv"] == pytest.approx(exact.to_dict()["all"]["nc1_pinv"], rel=1e-12)
    assert not any("nc4" in text for text in exact.warnings)


@pytest.mark.parametrize("weighting", ["class", "sample"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_stated_error_covers_the_error_of_sampled_nc4(kind: Kind, weighting: str) -> None:
    squares, bounds = [], []
    for seed in range(60):
        case = make_case(kind, [120, 60, 40, 20], 3, seed=seed, spread=1.5)
        names = ["nc4_ncc_accuracy"]
        exact = measured(case, metrics=names, weighting=weighting).to_dict()["all"]["nc4_ncc_accuracy"]
        sampled = measured(case, sample_pairs=60, metrics=names, weighting=weighting)
        squares.append((sampled.to_dict()["all"]["nc4_ncc_accuracy"] - exact) ** 2)
        (text,) = [text for text in sampled.warnings if text.startswith("nc4_* look at")]
        (bound,) = re.findall(r"at most ([0-9.]+),", text)
        bounds.append(float(bound))
    assert math.sqrt(np.mean(squares)) <= np.mean(bounds)
    assert math.sqrt(np.mean(squares)) > 0.2 * np.mean(bounds)


def test_metrics_without_nc4_say_nothing_of_sampled_pairs() -> None:
    case = make_case("single", [40, 21, 9], 6, seed=4)
    assert not any("nc4" in text for text in measured(case, metrics=["nc1_pinv"], sample_pairs=5).warnings)


def test_a_sample_of_no_pair_has_no_value_and_says_so() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 4
    source = PairSource.from_arrays(torch.randn(40, 4, generator=generator), labels)
    for sample_pairs in (1, 2, 3):
        result = compute_metrics(source, metrics=["nc4_ncc_accuracy"], sample_pairs=sample_pairs)
        (text,) = [text for text in result.warnings if text.startswith("nc4_*")]
        nothing = "look at 0 of 40" in text
        assert math.isnan(result.to_dict()["all"]["nc4_ncc_accuracy"]) == nothing
        assert ("raise sample_pairs" in text) == nothing
        assert nothing or "classes without one have no value" in text
