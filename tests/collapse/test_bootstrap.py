"""Intervals: a replicate is the data with its samples repeated, whatever the batches; and percentiles of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from nctools.collapse import bootstrap as module
from nctools.collapse.bootstrap import Bootstrap, Resampling, intervals_of, resampled
from nctools.collapse.catalogue import metric_ids
from nctools.collapse.collect import Request, collect, moments_of_source
from nctools.collapse.compute import compute_metrics
from nctools.collapse.decisions import Classifier
from nctools.collapse.pairs import Batch, PairSource
from nctools.collapse.resampling import poisson_weights
from nctools.collapse.result import CollapseResult
from nctools.collapse.settings import Settings
from nctools.collapse.statistics import CollapseStatistics
from nctools.collapse.tables import Found
from tests.collapse.cases import Case, Kind, make_case

GROUPS = {"head": [0, 1], "tail": [2, 3, 4]}
COUNTS = [9, 8, 7, 5, 4]


def replicates_of(case: Case, settings: Settings, count: int = 4) -> list[Found]:
    ids = metric_ids("all", kind=case.kind, missing={"OOD mean": "none"})
    classifier = Classifier(case.classifier.double(), case.bias)
    request = Request(ids, settings, GROUPS, classifier, None)
    moments = moments_of_source(case.source, ids)
    run = Bootstrap(case.source, moments, request, Resampling(count, seed=3))
    collect(case.source, moments, request, [run.first])
    return run.replicates()


def repeated(case: Case, replicate: int) -> Case:
    weights = poisson_weights(torch.arange(len(case.labels)), replicate, 3).long()
    rows = torch.repeat_interleave(torch.arange(len(case.labels)), weights)
    return replace(case, features=case.features[rows], labels=case.labels[rows])


def bootstrapped(source: PairSource, case: Case, **arguments: object) -> CollapseResult:
    chosen = {"bootstrap": 20, "groups": GROUPS, "classifier": case.classifier, **arguments}
    return compute_metrics(source, **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["single", "classwise", "shared"])
@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(scope="within", ddof=1),
        Settings(centre="sample", weighting="sample", pairs="within"),
        Settings(precision="float32"),
    ],
    ids=["default", "within", "by sample", "float32"],
)
def test_a_replicate_is_the_data_with_its_samples_repeated(kind: Kind, settings: Settings) -> None:
    case = make_case(kind, COUNTS, 6, seed=2, offset=3.0, spread=0.7)
    relative = 1e-3 if settings.precision == "float32" else 1e-7
    compared = 0
    for replicate, found in enumerate(replicates_of(case, settings)):
        again = repeated(case, replicate)
        expected = compute_metrics(
            again.source,
            groups=GROUPS,
            metrics=list(found["all"]),
            classifier=case.classifier,
            bias=case.bias,
            centre=settings.centre,
            weighting=settings.weighting,
            ddof=settings.ddof,
            scope=settings.scope,
            pairs=settings.pairs,
            precision=settings.precision,
        ).to_dict()
        for group, row in found.items():
            for name, (value, _) in row.items():
                assert value == pytest.approx(expected[group][name], rel=relative, abs=1e-6, nan_ok=True), (group, name)
                compared += not math.isnan(value)
    assert compared > 300


def test_replicates_keep_the_digits_of_features_far_from_the_origin() -> None:
    near, far = make_case("single", COUNTS, 6, seed=2), make_case("single", COUNTS, 6, seed=2, offset=1e6)
    ours = [found["all"]["nc1_pinv"][0] for found in replicates_of(far, Settings())]
    assert ours == pytest.approx([found["all"]["nc1_pinv"][0] for found in replicates_of(near, Settings())], rel=1e-6)


@pytest.mark.parametrize("kind", ["single", "classwise", "shared"])
def test_intervals_do_not_depend_on_batches_and_their_order(kind: Kind) -> None:
    case = make_case(kind, COUNTS, 6, seed=2)
    everything = list(case.source.batches())
    features, classes, samples = (torch.cat(parts) for parts in zip(*everything, strict=True))

    def batches() -> Iterator[Batch]:
        for part in torch.randperm(len(classes), generator=torch.Generator().manual_seed(1)).split(7):
            yield features[part], classes[part], samples[part]

    whole = bootstrapped(case.source, case).table
    cut = bootstrapped(replace(case.source, batches=batches), case).table
    for column in ("value", "low", "high"):
        assert cut[column].tolist() == pytest.approx(whole[column].tolist(), rel=1e-9, nan_ok=True)


def test_little_memory_means_more_passes_and_the_same_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("single", COUNTS, 6, seed=2)
    whole = bootstrapped(case.source, case)
    assert not [text for text in whole.warnings if "further passes" in text]
    monkeypatch.setattr(module, "MAX_NUMBERS", 500)
    done: list[tuple[int, int]] = []
    result = bootstrapped(case.source, case, progress=lambda pairs, total: done.append((pairs, total)))
    assert result.table["low"].tolist() == whole.table["low"].tolist()
    (warning,) = [text for text in result.warnings if "further passes" in text]
    assert warning.startswith("bootstrap: 20 replicates do not fit")
    assert done[-1] == (done[-1][1], done[-1][1])


def test_without_metrics_of_the_second_pass_one_extra_pass_is_enough() -> None:
    case, passes = make_case("single", COUNTS, 6, seed=2), 0

    def batches() -> Iterator[Batch]:
        nonlocal passes
        passes += 1
        yield from case.source.batches()

    source = replace(case.source, batches=batches)
    result = bootstrapped(source, case, metrics=["nc1_quotient", "nc2_etf_error"])
    assert passes == 2
    assert result.table["low"].notna().all()
    bootstrapped(source, case, metrics=["nc1_pinv"])
    assert passes == 2 + 3


def test_the_interval_covers_the_truth_of_a_simulation() -> None:
    # Sigma_c = I in 4 dimensions, tr Sigma_B = 8: nc1_quotient is 1/2 for infinitely many samples.
    corners = torch.tensor([[1.0, 1, 0, 0], [1, -1, 0, 0], [-1, 1, 0, 0], [-1, -1, 0, 0]]) * 2
    labels = torch.arange(800) % 4
    hits = 0
    for seed in range(20):
        noise = torch.randn(800, 4, generator=torch.Generator().manual_seed(seed))
        source = PairSource.from_arrays(corners[labels] + noise, labels)
        row = compute_metrics(source, metrics="nc1_quotient", groups={}, bootstrap=200, seed=seed).table.iloc[0]
        hits += row["low"] <= 0.5 <= row["high"]
    assert hits >= 16


def test_metrics_of_the_classifier_and_the_labels_have_no_interval() -> None:
    case = make_case("shared", COUNTS, 6, seed=2)
    table = bootstrapped(case.source, case, metrics="all").table
    everything = table[table["group"] == "all"].set_index("metric")
    for name in ("nc0_row_sum", "nc2_etf_error_w", "label_kappa", "mlab_topm_agreement", "nc1_cdnv_crossfit"):
        assert not resampled(name)
        assert math.isnan(everything["low"][name])
    assert everything.loc[["nc1_pinv", "mlab_angle_deg", "nc4_agreement"], "high"].notna().all()


def test_a_class_of_one_pair_stays_one_in_replicates_that_draw_it_twice() -> None:
    case = make_case("single", [9, 8, 1], 4, seed=2)
    result = compute_metrics(case.source, metrics="nc1_quotient", groups={"one": [2], "two": [0, 1]}, bootstrap=30)
    assert math.isnan(result.table.set_index("group")["low"]["one"])
    assert result.table.set_index("group")["high"]["two"] > 0


def test_rare_classes_are_not_lost_to_min_count_in_replicates() -> None:
    case = make_case("single", [9, 8, 3], 4, seed=2)
    table = compute_metrics(
        case.source, metrics="nc2_norm_ratio", groups={"rare": [2]}, min_count=3, bootstrap=60
    ).table.set_index("group")
    assert table["low"]["rare"] < table["value"]["rare"] < table["high"]["rare"]


def test_missing_values_of_replicates_are_left_out_and_said() -> None:
    values: Found = {"all": {"nc1_pinv": (2.0, 3)}}
    replicates: list[Found] = [*({"all": {"nc1_pinv": (float(k), 3)}} for k in range(1, 9)), {}, {}]
    found, warnings = intervals_of(values, replicates, Resampling(10, confidence=0.5))
    # Percentiles 2 and 6, mirrored at the value; NC1 is never negative.
    assert found == {"all": {"nc1_pinv": (0.0, 2.0)}}
    assert warnings == ["bootstrap: replicates without a value were left out of the intervals of nc1_pinv of all (20%)"]


def test_a_value_outside_its_interval_is_said() -> None:
    replicates: list[Found] = [{"all": {"nc1_pinv": (float(k), 3)}} for k in range(1, 9)]
    found, (warning,) = intervals_of({"all": {"nc1_pinv": (9.0, 3)}}, replicates, Resampling(8))
    assert found == {"all": {"nc1_pinv": (10.0, 17.0)}}
    assert warning.endswith("lie beside them: nc1_pinv of all")


def test_shares_and_infinite_values_take_the_percentiles_themselves() -> None:
    names = ("nc4_ncc_accuracy", "nc1_cdnv")
    replicates: list[Found] = [
        {"all": {"nc4_ncc_accuracy": (k / 10, 3), "nc1_cdnv": (math.inf if k > 5 else k, 3)}} for k in range(1, 11)
    ]
    found, _ = intervals_of({"all": dict.fromkeys(names, (0.9, 3))}, replicates, Resampling(10))
    assert found["all"]["nc4_ncc_accuracy"] == (0.1, 1.0)
    assert found["all"]["nc1_cdnv"] == (1.0, math.inf)


def test_settings_tell_how_the_intervals_were_made() -> None:
    case = make_case("single", COUNTS, 6, seed=2)
    settings = bootstrapped(case.source, case, seed=5, confidence=0.9).settings
    assert (settings["bootstrap"], settings["seed"], settings["confidence"]) == (20, 5, 0.9)
    assert "bootstrap" not in compute_metrics(case.source).settings


@pytest.mark.parametrize(("arguments", "said"), [({"bootstrap": 1}, "at least 2"), ({"seed": -1}, "at least 0")])
def test_bad_numbers_are_refused(arguments: dict[str, int], said: str) -> None:
    case = make_case("single", COUNTS, 6, seed=2)
    with pytest.raises(ValueError, match=said):
        bootstrapped(case.source, case, **arguments)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrapped(case.source, case, confidence=95)


def test_statistics_of_one_pass_have_no_intervals() -> None:
    with pytest.raises(ValueError, match="need the features"):
        compute_metrics(CollapseStatistics(2, 3), bootstrap=10)
