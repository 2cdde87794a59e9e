"""Reference columns: what random features and perfect collapse give for the same class counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nctools.collapse.catalogue import METRICS
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import Batch, PairSource
from nctools.collapse.references import collapsed_rows, random_source
from nctools.collapse.resampling import normal
from nctools.collapse.result import CollapseResult, load_result
from tests.collapse.cases import Kind, make_case, measure

GROUPS = {"head": [0, 1], "tail": [2, 3, 4]}


def compared(kind: Kind, width: int = 8, **arguments: object) -> CollapseResult:
    case = make_case(kind, [30, 20, 10, 8, 6], width, seed=2)
    return measure(case, **{"metrics": "all", "groups": GROUPS, "references": ("random", "etf"), **arguments})


@pytest.mark.parametrize("kind", ["single", "classwise", "shared"])
@pytest.mark.parametrize("scope", ["global", "within"])
def test_perfect_collapse_reaches_the_limits_of_the_catalogue(kind: Kind, scope: str) -> None:
    values = compared(kind, scope=scope).references["etf"]
    assert set(values) == {"all", "head", "tail"}
    for group, row in values.items():
        for name, value in row.items():
            limit = METRICS[name].limit
            # Neither classifier rows nor raw means are centred anew for a group alone.
            raw = "classifier" in METRICS[name].needs or "raw" in name
            if group != "all" and scope == "within" and raw:
                continue
            if limit in {"0", "1"} and not math.isnan(value):
                # SELI is the limit of training without weight decay, which no ETF is for unequal counts.
                assert name.startswith("seli") or value == pytest.approx(float(limit), abs=1e-7), (group, name)
    assert values["all"]["nc1_pinv"] == pytest.approx(0, abs=1e-12)
    assert values["all"]["nc3_alignment"] == pytest.approx(1)
    assert values["all"]["nc4_agreement"] == 1
    assert values["all"]["nc2_mean_angle_raw_deg"] == pytest.approx(math.degrees(math.acos(-1 / 4)))


def test_metrics_of_label_sets_and_of_other_data_have_no_collapsed_reference() -> None:
    case = make_case("shared", [30, 20, 10, 8, 6], 8, seed=2)
    result = measure(case, metrics="all", references=("random", "etf"), ood_mean=torch.ones(8))
    for name in ("mlab_angle_deg", "label_kappa", "mlab_topm_agreement", "nc5_ood_orthogonality"):
        assert math.isnan(result.references["etf"]["all"][name])
    assert math.isnan(result.references["random"]["all"]["nc5_ood_orthogonality"])
    assert result.references["random"]["all"]["mlab_angle_deg"] > 20


@pytest.mark.parametrize("kind", ["single", "classwise", "shared"])
def test_random_features_look_random(kind: Kind) -> None:
    values = compared(kind, width=64).references["random"]["all"]
    assert values["nc2_noise_ratio"] == pytest.approx(1, abs=0.35)
    assert values["nc1_quotient"] > 3
    assert abs(values["nc3_alignment"]) < 0.3
    assert set(values) == set(compared(kind, width=64).to_dict()["all"])


def test_random_features_are_standard_normal_and_differ_between_samples_columns_and_seeds() -> None:
    numbers = normal(torch.arange(4000), 7, 0)
    torch.testing.assert_close(numbers.mean(dim=0), torch.zeros(7, dtype=torch.float64), atol=0.06, rtol=0)
    torch.testing.assert_close(numbers.T.cov(), torch.eye(7, dtype=torch.float64), atol=0.08, rtol=0)
    assert float(numbers.pow(4).mean()) == pytest.approx(3, abs=0.2)
    assert abs(float((numbers * normal(torch.arange(4000), 7, 1)).mean())) < 0.03
    assert torch.equal(normal(torch.tensor([17]), 7, 0)[0], numbers[17])


@pytest.mark.parametrize("kind", ["single", "classwise", "shared"])
def test_random_features_do_not_depend_on_batches(kind: Kind) -> None:
    case = make_case(kind, [30, 20, 10], 5, seed=2)
    features, classes, samples = (torch.cat(parts) for parts in zip(*case.source.batches(), strict=True))

    def batches() -> Iterator[Batch]:
        for part in torch.arange(len(classes)).split(7):
            yield features[part], classes[part], samples[part]

    (whole,) = random_source(case.source, 3).batches()
    cut = list(random_source(replace(case.source, batches=batches), 3).batches())
    assert torch.equal(torch.cat([part[0] for part in cut]), whole[0])
    if kind == "classwise":
        images = case.source.images
        assert images is not None
        everything = torch.cat([rows for rows, _ in (random_source(case.source, 3).images or images)()])
        assert torch.equal(everything[whole[2], whole[1]], whole[0])
    if kind == "shared":
        first = whole[2] == whole[2][0]
        assert len(whole[0][first].unique(dim=0)) == 1


def test_classes_that_do_not_fit_at_equal_angles_leave_the_column_out() -> None:
    result = compared("single", width=3)
    assert list(result.references) == ["random"]
    assert any("'etf' is left out: 5 classes at equal angles do not fit into 3" in text for text in result.warnings)


def test_absent_classes_have_no_vertex() -> None:
    case = make_case("single", [9, 0, 7, 6], 2, seed=1)
    values = measure(case, references=["etf"]).references["etf"]["all"]
    assert values["nc2_etf_error"] == pytest.approx(0, abs=1e-9)
    assert values["nc3_alignment"] == pytest.approx(1)


@pytest.mark.parametrize("size", [2, 3, 10])
def test_vertices_are_a_simplex(size: int) -> None:
    rows = collapsed_rows(torch.ones(size, dtype=torch.bool), size - 1)
    assert rows is not None
    expected = torch.full((size, size), -1 / (size - 1), dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(rows @ rows.T, expected)


def test_references_and_intervals_survive_a_file(tmp_path: Path) -> None:
    result = compared("single", bootstrap=10)
    result.save(tmp_path / "nc.json")
    again = load_result(tmp_path / "nc.json")
    assert again.references.keys() == result.references.keys()
    assert again.references["etf"]["tail"] == pytest.approx(result.references["etf"]["tail"], nan_ok=True)
    assert again.table.equals(result.table)
    result.save(tmp_path / "nc.csv")
    assert load_result(tmp_path / "nc.csv").table["high"].equals(result.table["high"])


def test_files_from_before_intervals_are_read(tmp_path: Path) -> None:
    (tmp_path / "nc.csv").write_text(
        "space,split,group,metric,value,num_classes,n_min,n_max,num_used\nx,,all,nc1_pinv,0.5,3,1,1,3\n"
    )
    table = load_result(tmp_path / "nc.csv").table
    assert table["value"].tolist() == [0.5]
    assert table[["low", "high"]].isna().all(axis=None)


def test_unknown_references_are_refused() -> None:
    case = make_case("single", [3, 3], 2, seed=0)
    with pytest.raises(ValueError, match="references hold 'shuffled'; choose among 'random', 'etf'"):
        compute_metrics(case.source, references=["shuffled"])


def test_where_predictions_stand_for_the_classifier_references_have_one_of_their_own() -> None:
    case = make_case("single", [30, 20, 10, 8, 6], 8, seed=2)
    source = PairSource.from_arrays(case.features, case.labels, predictions=case.labels)
    result = compute_metrics(source, metrics=["nc4_agreement"], references=("random", "etf"))
    assert result.references["etf"]["all"]["nc4_agreement"] == 1
    assert 0 < result.references["random"]["all"]["nc4_agreement"] < 0.6


def test_the_reason_why_perfect_collapse_is_left_out_counts_the_classes_that_are_kept() -> None:
    case = make_case("single", [30, 20, 10, 8, 6], 2, seed=2)
    result = measure(case, metrics=["nc1_quotient"], references=("etf",), min_count=7)
    assert any("4 classes at equal angles" in warning for warning in result.warnings)
