from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nctools.collapse.compute import compute_metrics
from nctools.collapse.crossfit import half_of
from nctools.collapse.pairs import PairSource
from nctools.collapse.resampling import in_first_half
from tests.collapse.cases import Case, Kind, make_case
from tests.collapse.streams import rebatched

KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
NAMES = ["nc1_cdnv_crossfit", "nc4_agreement_crossfit", "nc4_ncc_accuracy_crossfit"]
GROUPS = {"head": [0, 1], "rest": [2, 3, 4]}
Floats = NDArray[np.float64]


class Halves:
    """The pairs of a case, split by their sample, and what the formulas make of them, one pair after the other."""

    def __init__(self, case: Case, classes: list[int]) -> None:
        pairs = [pair for pair in case.pairs() if pair[1] in classes]
        first = in_first_half(torch.arange(len(case.labels)), 0).tolist()
        self.case, self.classes = case, classes
        self.halves = [[pair for pair in pairs if first[pair[2]] is side] for side in (True, False)]
        self.means = [self.means_of(half) for half in self.halves]
        self.rows = {c: np.array([h for h, own, _ in pairs if own == c]) for c in classes}

    @staticmethod
    def means_of(half: list[tuple[Floats, int, int]]) -> dict[int, Floats]:
        found = {own for _, own, _ in half}
        return {c: np.mean([h for h, own, _ in half if own == c], axis=0) for c in sorted(found)}

    def cdnv(self, i: int, j: int) -> float:
        if any(c not in half for c in (i, j) for half in self.means) or min(len(self.rows[i]), len(self.rows[j])) < 2:
            return math.nan
        variances = [float(self.rows[c].var(axis=0, ddof=1).sum()) for c in (i, j)]
        apart = [half[i] - half[j] for half in self.means]
        distance = float(apart[0] @ apart[1])
        return sum(variances) / (2 * distance) if distance > 0 else math.inf

    def cdnv_of(self, c: int) -> float:
        found = [self.cdnv(c, other) for other in self.classes if other != c]
        known = [value for value in found if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan

    def shares(self, c: int) -> tuple[float, float]:
        """Agreement and accuracy of the pairs of a class whose other half knows the class."""
        agreeing, right = [], []
        weight, bias = self.case.classifier.double().numpy(), self.case.bias.numpy()
        for half, means in zip(self.halves, reversed(self.means), strict=True):
            for h, own, sample in half:
                if own != c or c not in means:
                    continue
                nearest = min(means, key=lambda k: float(np.linalg.norm(h - means[k])))
                highest = max(self.classes, key=lambda k: float(weight[k] @ h + bias[k]))
                shared = self.case.kind == "shared"
                right.append(bool(self.case.labels[sample, nearest]) if shared else nearest == own)
                agreeing.append(nearest == highest)
        return (float(np.mean(agreeing)), float(np.mean(right))) if right else (math.nan, math.nan)


def found_in(case: Case, source: PairSource | None = None, **settings: object) -> dict[str, list[float]]:
    result = compute_metrics(
        source or case.source,
        classifier=case.classifier,
        bias=case.bias,
        groups=GROUPS,
        metrics=NAMES,
        **settings,  # type: ignore[arg-type]
    )
    return {name: result.per_class[name].tolist() for name in NAMES}


@pytest.mark.parametrize("kind", KINDS)
def test_values_equal_the_formula_pair_by_pair(kind: Kind) -> None:
    case = make_case(kind, [30, 14, 8, 4, 3], 6, seed=7)
    found, halves = found_in(case), Halves(case, list(range(5)))
    assert found["nc1_cdnv_crossfit"] == pytest.approx([halves.cdnv_of(c) for c in range(5)], rel=1e-9, nan_ok=True)
    for place, name in enumerate(NAMES[1:]):
        assert found[name] == pytest.approx([halves.shares(c)[place] for c in range(5)], nan_ok=True)


def test_a_group_alone_is_judged_among_its_own_classes() -> None:
    case = make_case("single", [30, 14, 8, 6, 9], 6, seed=8)
    result = compute_metrics(
        case.source, classifier=case.classifier, bias=case.bias, groups=GROUPS, metrics=NAMES, scope="within"
    ).to_dict()
    for group, classes in GROUPS.items():
        halves = Halves(case, classes)
        assert result[group][NAMES[0]] == pytest.approx(np.mean([halves.cdnv_of(c) for c in classes]))
        for place, name in enumerate(NAMES[1:]):
            assert result[group][name] == pytest.approx(np.mean([halves.shares(c)[place] for c in classes]))


def test_classes_that_one_half_lacks_are_nan_and_judge_no_other() -> None:
    first = in_first_half(torch.arange(60), 0)
    labels = torch.arange(60) % 3
    labels[(labels == 2) & ~first] = 0
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 4, generator=generator, dtype=torch.float64) + labels[:, None]
    case = Case("single", features, labels, 3, torch.randn(3, 4, generator=generator, dtype=torch.float64))
    result = compute_metrics(case.source, classifier=case.classifier, bias=case.bias, metrics=NAMES, groups={})
    halves = Halves(case, [0, 1, 2])
    for name in NAMES:
        assert result.per_class[name].isna().tolist() == [False, False, True]
    assert result.per_class[NAMES[0]][0] == pytest.approx(halves.cdnv(0, 1))
    # Pairs of the other classes may still be nearest to the mean that one half has.
    assert result.per_class[NAMES[2]].tolist()[:2] == pytest.approx([halves.shares(c)[1] for c in (0, 1)])
    assert result.to_dict()["all"][NAMES[2]] == pytest.approx(np.mean([halves.shares(c)[1] for c in (0, 1)]))


def test_classes_below_min_count_attract_no_pair() -> None:
    case = make_case("single", [30, 20, 10, 9, 3], 3, seed=9, spread=3.0)
    found = found_in(case, min_count=5)
    halves = Halves(case, [0, 1, 2, 3])
    assert found[NAMES[2]] == pytest.approx([*(halves.shares(c)[1] for c in range(4)), math.nan], nan_ok=True)


def test_given_predictions_are_what_the_means_are_compared_with() -> None:
    case = make_case("single", [30, 14, 8, 6, 9], 6, seed=8)
    logits = case.features @ case.classifier.T + case.bias
    known = PairSource("single", 5, 6, case.source.batches, predictions=logits.argmax(dim=1))
    assert found_in(case, known) == found_in(case)
    wrong = PairSource("single", 5, 6, case.source.batches, predictions=torch.zeros(67, dtype=torch.int64))
    assert found_in(case, wrong)[NAMES[1]] != pytest.approx(found_in(case)[NAMES[1]])


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_the_split_is_the_same_for_any_batch_size_and_order(kind: Kind, size: int) -> None:
    case = make_case(kind, [20, 9, 7, 5, 4], 6, seed=3)
    whole = found_in(case)
    for name, values in found_in(case, rebatched(case.source, size, seed=1)).items():
        assert values == pytest.approx(whole[name], rel=1e-10, nan_ok=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_is_in_one_half_with_all_pairs_of_its_image(kind: Kind) -> None:
    source = make_case(kind, [20, 9, 7], 4, seed=3).source
    halves = [half_of(source, first=first, seed=0) for first in (True, False)]
    seen = [sorted(int(s) for _, _, samples in half.batches() for s in samples) for half in halves]
    everything = sorted(int(s) for _, _, samples in source.batches() for s in samples)
    assert sorted(seen[0] + seen[1]) == everything
    assert not {*seen[0]} & {*seen[1]}


def test_few_pairs_shorten_plain_cdnv_but_neither_crossfit_nor_debiased() -> None:
    generator = torch.Generator().manual_seed(0)
    width, length = 64, (1 / 0.304 / 2) ** 0.5
    labels = torch.arange(24) % 3  # eight pairs of each class, spread 1
    means = length * torch.eye(3, width, dtype=torch.float64)
    names = ["nc1_cdnv", "nc1_cdnv_debiased", "nc1_cdnv_crossfit"]
    found = []
    for _ in range(200):
        noise = torch.randn(24, width, generator=generator, dtype=torch.float64) / width**0.5
        values = compute_metrics(PairSource.from_arrays(means[labels] + noise, labels), metrics=names, groups={})
        found.append([values.to_dict()["all"][name] for name in names])
    plain, debiased, crossfit = np.mean(found, axis=0)
    assert plain < 0.26
    assert debiased == pytest.approx(0.304, rel=0.03)
    assert crossfit == pytest.approx(0.304, rel=0.03)


def test_pure_noise_is_not_classified_by_means_that_have_not_seen_it() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(200) % 5
    features = torch.randn(200, 1024, generator=generator, dtype=torch.float64)
    names = ["nc4_ncc_accuracy", "nc4_ncc_accuracy_crossfit"]
    values = compute_metrics(PairSource.from_arrays(features, labels), metrics=names, groups={}).to_dict()["all"]
    assert values["nc4_ncc_accuracy"] == 1.0
    assert values["nc4_ncc_accuracy_crossfit"] == pytest.approx(0.2, abs=0.1)
