from __future__ import annotations

import itertools
import math

import pytest
import torch

from nctools.collapse import label_sets
from nctools.collapse.compute import compute_metrics
from nctools.collapse.frame import build_frame
from nctools.collapse.imbalance import seli_distance, seli_grams
from nctools.collapse.label_sets import LabelSetSums
from nctools.collapse.moments import first_pass
from nctools.collapse.multilabel import label_kappa, mlab_scale_cov
from nctools.collapse.pairs import PairSource
from nctools.collapse.residuals import WorkingMeans, second_pass
from nctools.collapse.rows import Rows
from tests.collapse.cases import make_case


def test_rarest_sets_are_dropped_beyond_the_limit_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    singles = torch.eye(4, dtype=torch.int64)
    targets = torch.cat([singles, singles[[0, 1, 2]] + singles[[1, 2, 3]], (singles[[0]] + singles[[1]]).repeat(3, 1)])
    features = torch.randn(len(targets), 5, generator=torch.Generator().manual_seed(0))
    source = PairSource.from_arrays(features, targets)
    assert compute_metrics(source).by_multiplicity["num_sets"].tolist() == [3]
    moments = first_pass(source)
    working = WorkingMeans(moments, torch.float64)
    assert source.targets is not None
    sums = LabelSetSums(build_frame(moments, centre="class"), source.targets, max_sets=1)
    second_pass(source, moments, working, [sums])
    kept = sums.label_sets()
    assert kept.members.tolist() == [[True, True, False, False]]
    assert kept.counts.tolist() == [4]
    assert kept.dropped == 2
    torch.testing.assert_close(kept.means[0], features[[4, 7, 8, 9]].double().mean(dim=0))

    monkeypatch.setattr(label_sets.LabelSetSums.__init__, "__kwdefaults__", {"max_sets": 1})
    (warning,) = [text for text in compute_metrics(source).warnings if "mlab" in text]
    assert "use the 1 most frequent label sets; 2 rarer ones" in warning


def test_set_with_a_member_that_never_stands_alone_is_left_out() -> None:
    targets = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1]])
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [9.0, -9.0]])
    result = compute_metrics(PairSource.from_arrays(features, targets), groups={})
    assert result.by_multiplicity["num_sets"].tolist() == [1]
    assert result.to_dict()["all"]["mlab_angle_deg"] == pytest.approx(0, abs=1e-6)
    assert result.per_class["mlab_angle_deg"].isna().tolist() == [False, False, True]


def test_scale_is_compared_within_one_number_of_labels() -> None:
    scales = torch.tensor([0.5, 0.7, 0.3, 0.9], dtype=torch.float64)
    sizes = torch.tensor([2, 2, 3, 4])
    found = mlab_scale_cov(scales, sizes, torch.ones(4, 1, dtype=torch.bool))
    assert found[0] == pytest.approx(scales[:2].std() / 0.6)


def test_large_offset_costs_no_digits() -> None:
    case = make_case("shared", [9, 8, 7], 4, seed=1)
    source = PairSource.from_arrays(case.features + 1e6, case.labels)
    reference = make_case("shared", [9, 8, 7], 4, seed=1).reference()
    moved = [(feature + 1e6, label, sample) for feature, label, sample in reference.pairs]
    expected = type(reference)(moved, 3, targets=reference.targets).group("mlab_angle_deg", range(3))
    assert compute_metrics(source).to_dict()["all"]["mlab_angle_deg"] == pytest.approx(expected, rel=1e-7)


ANGLES = ["mlab_angle_deg", "mlab_weighted_angle_deg", "mlab_fit_angle_deg"]
SINGLES = [40, 20, 10, 5]


def label_sets_of(size: int) -> torch.Tensor:
    """Unequal numbers of single-label images, then every set of two and three labels twice."""
    singles = torch.eye(size, dtype=torch.float64).repeat_interleave(torch.tensor(SINGLES), dim=0)
    sets = [members for labels in (2, 3) for members in itertools.combinations(range(size), labels)] * 2
    several = torch.stack([torch.eye(size, dtype=torch.float64)[list(members)].sum(dim=0) for members in sets])
    return torch.cat([singles, several])


def composed(weights: torch.Tensor, *, noise: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features that are weighted sums of four class directions, and their labels."""
    generator = torch.Generator().manual_seed(5)
    means = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    targets = label_sets_of(4)
    sums = torch.where(targets.sum(dim=1, keepdim=True) == 1, targets, targets * weights) @ means
    scale = 1 / targets.sum(dim=1, keepdim=True) ** 2  # one factor for each number of labels
    return scale * sums + noise * torch.randn(len(sums), 6, generator=generator, dtype=torch.float64), targets


def of_all(features: torch.Tensor, targets: torch.Tensor, names: list[str], **settings: object) -> dict[str, float]:
    result = compute_metrics(PairSource.from_arrays(features, targets), metrics=names, groups={}, **settings)  # type: ignore[arg-type]
    return result.to_dict()["all"]


def test_sums_of_class_means_reach_every_limit_but_the_weighted_one() -> None:
    features, targets = composed(torch.ones(4, dtype=torch.float64))
    found = of_all(features, targets, [*ANGLES, "mlab_angle_ratio", "mlab_scale_cov", "mlab_nc1_quotient"])
    weighted = found.pop("mlab_weighted_angle_deg")
    assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=1e-6)
    assert weighted > 5


def test_frequency_weighted_sums_make_the_weighted_angle_vanish_and_the_uniform_one_not() -> None:
    features, targets = composed(torch.tensor(SINGLES, dtype=torch.float64))
    found = of_all(features, targets, ANGLES)
    assert found["mlab_weighted_angle_deg"] == pytest.approx(0, abs=1e-6)
    assert found["mlab_fit_angle_deg"] == pytest.approx(0, abs=1e-6)
    assert found["mlab_angle_deg"] > 5


@pytest.mark.parametrize("noise", [0.0, 0.3, 5.0])
def test_no_weights_come_nearer_than_the_fit(noise: float) -> None:
    features, targets = composed(torch.tensor([1.0, 3.0, 0.5, 2.0], dtype=torch.float64), noise=noise)
    result = compute_metrics(PairSource.from_arrays(features, targets), metrics=ANGLES, groups={})
    uniform, weighted, fit = (result.per_class[name].to_numpy(float) for name in ANGLES)
    assert (fit <= uniform + 1e-9).all()
    assert (fit <= weighted + 1e-9).all()


def test_spread_within_label_sets_is_counted_against_the_single_label_means() -> None:
    features, targets = composed(torch.ones(4, dtype=torch.float64), noise=0.4)
    cells = sorted({tuple(row) for row in targets.tolist()}, key=sum)
    singles = torch.stack([features[(targets == row).all(dim=1)].mean(dim=0) for row in torch.eye(4).double()])
    between = float((singles - singles.mean(dim=0)).square().sum(dim=1).mean())
    spreads = []
    for cell in cells:
        rows = features[(targets == torch.tensor(cell)).all(dim=1)]
        spreads.append(float((rows - rows.mean(dim=0)).square().sum(dim=1).mean()) / between)
    names = ["mlab_nc1_quotient"]
    assert of_all(features, targets, names)[names[0]] == pytest.approx(sum(spreads) / len(spreads))
    assert of_all(features, targets, names, multiplicity=1)[names[0]] == pytest.approx(sum(spreads[:4]) / 4)


@pytest.mark.parametrize("labels", [1, 2, 3, 4])
def test_kappa_of_balanced_labels_is_one(labels: int) -> None:
    sets = torch.tensor([[c in members for c in range(5)] for members in itertools.combinations(range(5), labels)])
    assert label_kappa(sets) == pytest.approx({labels: 1.0})
    assert label_kappa(sets.repeat(3, 1)) == pytest.approx({labels: 1.0})


def test_kappa_of_unequal_labels_is_less_and_of_inseparable_classes_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        sets = torch.rand(50, 6, generator=generator) < torch.linspace(0.2, 0.8, 6)
        assert all(0 <= value <= 1 for value in label_kappa(sets).values())
    twins = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]]).bool()
    assert label_kappa(twins)[2] == pytest.approx(0, abs=1e-12)
    assert label_kappa(torch.ones(3, 4).bool()) == {}


@pytest.mark.parametrize("counts", [[100, 40, 9, 3, 1], [7, 7, 7], [1000, 1]])
def test_features_of_the_seli_geometry_are_at_no_distance_from_it(counts: list[int]) -> None:
    means, weights = seli_grams(torch.tensor(counts))
    size = len(counts)
    for gram in (means, weights):
        assert float(torch.linalg.matrix_norm(gram)) == pytest.approx(1)
        values, vectors = torch.linalg.eigh(gram)
        rows = 3.0 * vectors * values.clamp_min(0).sqrt()
        torch.testing.assert_close(gram @ torch.ones(size).double(), torch.zeros(size).double(), atol=1e-12, rtol=0)
        assert float(seli_distance(Rows(rows, torch.arange(size)), gram).max()) < 1e-12
    # Rare classes have long means and short rows.
    lengths = [gram.diagonal().sqrt() for gram in (means, weights)]
    if len(set(counts)) == 1:
        etf = (torch.eye(size).double() - 1 / size) / math.sqrt(size - 1)
        torch.testing.assert_close(means, etf)
        torch.testing.assert_close(weights, etf)
    elif size > 2:
        assert float(lengths[0][0] / lengths[0][-1]) == pytest.approx(0.43, abs=0.01)
        assert float(lengths[1][0] / lengths[1][-1]) == pytest.approx(2.01, abs=0.01)
