"""The table, the map of functions and the modules of the formulas agree."""

from __future__ import annotations

import importlib
import inspect
import json
from typing import get_args

import pytest

from nctools.collapse import functions
from nctools.collapse.catalogue import ALIASES, METRICS, OVER_LAYERS, PRESETS, SYMBOLS, Kind, Need, metric_ids
from nctools.collapse.metric_table_classifier import CLASSIFIER
from nctools.collapse.metric_table_means import BEYOND, LAYERS, SIMPLEX, SPREADS
from nctools.collapse.metric_table_multilabel import MULTILABEL
from nctools.collapse.settings import Settings
from nctools.errors import UnknownNameError

EVERYTHING = METRICS | OVER_LAYERS
TABLES = (SPREADS, SIMPLEX, CLASSIFIER, BEYOND, LAYERS, MULTILABEL)
LONG_TAIL = {
    "minority_angle", "minority_angle_w", "nc2_norm_ratio_w", "seli_distance", "seli_distance_w", "nc1_cdnv_debiased",
}  # fmt: skip
MODULES = ("nc0", "nc1", "nc2", "nc2_generalised", "nc3", "nc4", "nc5", "imbalance", "multilabel", "crossfit")
# Ids whose numbers come from a function of another name: a quantity that several metrics share, or sums of a pass.
SHARED = {
    "nc2_equinorm_cov": "norms",
    "nc2_equiangle": "cosines",
    "nc2_mean_cos": "cosines",
    "nc2_mean_angle_deg": "angles_deg",
    "nc2_mean_angle_raw_deg": "angles_deg",
    "nc2_min_angle_deg": "angles_deg",
    "minority_angle": "angles_deg",
    "nc2_angle_deviation_raw": "nc2_angle_deviation",
    "nc2_etf_error_debiased": "debiased_gram",
    "nc2g_log_var": "log_distances",
    "nc2g_dist_var": "distances",
    "nc3_uniform": "nc3_alignment",
    "nc4_agreement_crossfit": "nc4_agreement",
    "nc4_ncc_accuracy_crossfit": "nc4_ncc_accuracy",
    "mlab_angle_ratio": "mlab_pair_angles",
}
# Those that are sums of a pass: no function of their own.
SUMS = {"feature_norm", "mlab_topm_agreement", "mlab_binary_agreement"}


def test_table_and_functions_name_the_same_metrics() -> None:
    assert set(functions.FUNCTIONS) | set(functions.PAIR_FUNCTIONS) == set(METRICS)
    assert not set(functions.FUNCTIONS) & set(functions.PAIR_FUNCTIONS)
    assert all(metric.id == name for name, metric in EVERYTHING.items())
    assert not set(METRICS) & set(OVER_LAYERS)


def test_no_row_is_written_twice() -> None:
    ids = [row.id for table in TABLES for row in table]
    assert sorted(ids) == sorted(EVERYTHING)


@pytest.mark.parametrize("name", sorted(set(METRICS) - SUMS))
def test_formula_is_a_function_with_a_docstring(name: str) -> None:
    modules = [importlib.import_module(f"nctools.collapse.{module}") for module in MODULES]
    own = SHARED.get(name.removesuffix("_w"), name.removesuffix("_w"))
    functions = [getattr(module, own) for module in modules if hasattr(module, own)]
    assert functions
    assert all(inspect.getdoc(function) for function in functions)


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_row_has_every_field(name: str) -> None:
    metric = EVERYTHING[name]
    for field, value in metric.definition().items():
        assert value, field
    assert metric.symbol in SYMBOLS
    assert set(metric.needs) <= set(get_args(Need))
    assert set(metric.kinds) <= set(get_args(Kind))
    assert set(metric.settings) <= set(Settings.__dataclass_fields__)
    for several in (metric.needs, metric.settings, metric.kinds):
        assert len(set(several)) == len(several)
    json.dumps(metric.definition(), allow_nan=False)


def test_rows_stand_by_symbol() -> None:
    order = list(SYMBOLS)
    places = [order.index(metric.symbol) for metric in METRICS.values()]
    assert places == sorted(places)
    assert {metric.symbol for metric in EVERYTHING.values()} == set(SYMBOLS)


@pytest.mark.parametrize("name", [name for name in METRICS if name.endswith("_w")])
def test_twins_of_the_classifier_need_no_class_means(name: str) -> None:
    metric, twin = METRICS[name], METRICS[name.removesuffix("_w")]
    assert "classifier" in metric.needs
    assert "class means" not in metric.needs
    assert "centre" not in metric.settings
    assert set(metric.settings) == set(twin.settings) - {"centre"}
    assert (metric.symbol, metric.limit.partition(";")[0]) == (twin.symbol, twin.limit.partition(";")[0])


def test_one_pass_is_told_from_the_needs() -> None:
    assert METRICS["nc2_etf_error"].one_pass
    assert METRICS["nc5_ood_orthogonality"].one_pass
    assert METRICS["seli_distance_w"].one_pass
    assert not METRICS["label_kappa"].one_pass
    two = {name for name, metric in METRICS.items() if "second pass" in metric.needs}
    assert two == {"nc1_pinv", "nc1_dcdnv", "nc1_vci", "nc4_agreement", "nc4_ncc_accuracy", "feature_norm"}
    assert not any(METRICS[name].one_pass for name in two)


def test_sentences_of_groups_follow_from_the_rule() -> None:
    starts = {"mean": "mean over pairs", "inside": "pairs with both ends", "least": "smallest over pairs"}
    for name, (rows, _, rule) in functions.PAIR_FUNCTIONS.items():
        metric = METRICS[name]
        assert metric.aggregator.startswith(starts.get(rule, "over the pairs")), name
        assert ("pairs" in metric.settings) == (rule != "inside"), name
        assert ("centre" in metric.settings) <= (rows == "centred"), name


def test_presets_hold_known_metrics() -> None:
    assert PRESETS["all"] == tuple(METRICS)
    for members in PRESETS.values():
        assert set(members) <= set(METRICS)
        assert len(set(members)) == len(members)
    assert set(PRESETS["long-tail"]) - set(PRESETS["default"]) == LONG_TAIL
    assert not set(PRESETS) & set(METRICS)


def test_other_names_lead_to_metrics() -> None:
    assert set(ALIASES.values()) <= set(METRICS)
    assert not set(ALIASES) & set(EVERYTHING)


MAIN = [
    "nc1_pinv", "nc1_quotient", "nc1_cdnv", "nc2_norm_ratio", "nc2_equinorm_cov", "nc2_angle_deviation",
    "nc2_etf_error", "nc2_noise_ratio", "nc3_self_duality", "nc3_alignment", "nc4_agreement",
]  # fmt: skip


def test_main_table_depends_on_features_and_classifier() -> None:
    assert metric_ids("default", kind="single") == MAIN
    assert set(metric_ids("default", kind="classwise")) == {*MAIN, "nc2_mean_angle_raw_deg"}
    assert set(metric_ids("default", kind="shared")) == {*MAIN, "mlab_angle_deg", "mlab_scale_cov"}
    without = metric_ids("default", kind="single", no_classifier="none was given")
    assert without == [*MAIN[:8], "nc4_ncc_accuracy"]


def test_long_tail_is_the_main_table_and_more() -> None:
    assert metric_ids("long-tail")[: len(MAIN)] == MAIN
    assert set(metric_ids("long-tail")) == {*MAIN, *LONG_TAIL}
    without = metric_ids("long-tail", no_classifier="none was given")
    assert set(without) & LONG_TAIL == {"minority_angle", "seli_distance", "nc1_cdnv_debiased"}


def test_all_is_everything_that_can_be_had() -> None:
    assert metric_ids("all", kind="shared") == list(METRICS)
    assert set(METRICS) - set(metric_ids("all", kind="classwise")) == {
        name for name in METRICS if METRICS[name].symbol == "ML-NC" and name != "mlab_binary_agreement"
    }
    without = metric_ids("all", no_classifier="none was given")
    assert not any(name.endswith("_w") or name.startswith(("nc0", "nc3")) for name in without)


@pytest.mark.parametrize("need", get_args(Need))
def test_a_preset_leaves_out_what_lacks_a_need(need: Need) -> None:
    ids = metric_ids("all", kind="shared", missing={need: "it is not there"})
    assert ids == [name for name, metric in METRICS.items() if need not in metric.needs]
    assert len(ids) < len(METRICS)


def test_a_metric_asked_for_by_name_tells_what_it_lacks() -> None:
    missing: dict[Need, str] = {"OOD mean": "no out-of-distribution features were given", "halves": "no features"}
    with pytest.raises(
        ValueError, match=r"nc5_ood_orthogonality cannot be measured here: no out-of-distribution features were given$"
    ):
        metric_ids(["nc1_pinv", "nc5_ood_orthogonality"], missing=missing)
    with pytest.raises(ValueError, match=r"nc1_cdnv_crossfit cannot be measured here: no features$"):
        metric_ids("nc1_cdnv_crossfit", missing=missing)
    assert metric_ids("nc1_pinv", missing=missing) == ["nc1_pinv"]


def test_kind_and_classifier_are_told_before_what_else_is_missing() -> None:
    missing: dict[Need, str] = {"all images": "positives only"}
    with pytest.raises(ValueError, match="it is defined for shared features, these are single"):
        metric_ids("mlab_topm_agreement", kind="single", missing=missing)
    with pytest.raises(ValueError, match="none was given; pass classifier"):
        metric_ids("mlab_topm_agreement", kind="shared", no_classifier="none was given", missing=missing)


def test_effective_depth_is_not_a_metric_of_one_layer() -> None:
    with pytest.raises(ValueError, match="measure nc4_ncc_accuracy in each"):
        metric_ids(["effective_depth"])


def test_ids_are_taken_once_in_the_order_given() -> None:
    ids = ["nc4_agreement", "nc2_max_angle", "nc1_pinv", "nc2_angle_deviation", "nc1_pinv"]
    assert metric_ids(ids) == ["nc4_agreement", "nc2_angle_deviation", "nc1_pinv"]
    assert metric_ids("nc1_cdnv") == ["nc1_cdnv"]


def test_unknown_id_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown metric 'nc3_alignement'; did you mean nc3_alignment"):
        metric_ids(["nc1_pinv", "nc3_alignement"])
