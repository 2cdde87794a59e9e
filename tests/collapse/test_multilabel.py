from __future__ import annotations

import pytest
import torch

from nctools.collapse import label_sets
from nctools.collapse.compute import compute_metrics
from nctools.collapse.frame import build_frame
from nctools.collapse.label_sets import LabelSetSums
from nctools.collapse.moments import first_pass
from nctools.collapse.multilabel import mlab_scale_cov
from nctools.collapse.pairs import PairSource
from nctools.collapse.residuals import WorkingMeans, second_pass
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
