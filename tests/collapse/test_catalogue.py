"""The table, the map of functions and the modules of the formulas agree."""

from __future__ import annotations

import importlib
import inspect
import json

import pytest

from nctools.collapse.catalogue import ALIASES, METRICS, PRESETS, metric_ids
from nctools.collapse.functions import FUNCTIONS
from nctools.collapse.settings import Settings
from nctools.errors import UnknownNameError

# Ids whose numbers come from a function of another name: a quantity that several metrics share.
SHARED = {
    "nc2_equinorm_cov": "norms",
    "nc2_equiangle": "cosines",
    "nc2_mean_angle_deg": "angles_deg",
    "nc2_mean_angle_raw_deg": "raw_angles_deg",
}


def test_table_and_functions_name_the_same_metrics() -> None:
    assert list(FUNCTIONS) == list(METRICS)
    assert all(metric.id == name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
def test_formula_stands_in_the_module_of_its_family(name: str) -> None:
    family = name.partition("_")[0]
    module = importlib.import_module(f"nctools.collapse.{'multilabel' if family == 'mlab' else family}")
    function = getattr(module, SHARED.get(name, name))
    assert inspect.getdoc(function)


@pytest.mark.parametrize("name", METRICS)
def test_row_is_complete(name: str) -> None:
    metric = METRICS[name]
    words = {"class means", "spread", "second pass", "classifier", "label sets"}
    assert all((metric.symbol, metric.title, metric.formula, metric.source, metric.limit, metric.direction))
    assert set(metric.needs) <= words
    assert set(metric.settings) <= set(Settings.__dataclass_fields__)
    json.dumps(metric.definition(), allow_nan=False)


def test_presets_hold_known_metrics() -> None:
    assert PRESETS["all"] == tuple(METRICS)
    assert set(PRESETS["default"]) <= set(METRICS)
    assert set(ALIASES.values()) <= set(METRICS)
    assert not set(ALIASES) & set(METRICS)


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


def test_all_is_everything_that_can_be_had() -> None:
    assert metric_ids("all", kind="shared") == list(METRICS)
    assert not any("nc3" in name for name in metric_ids("all", no_classifier="none was given"))


def test_ids_are_taken_once_in_the_order_given() -> None:
    ids = ["nc4_agreement", "nc2_max_angle", "nc1_pinv", "nc2_angle_deviation", "nc1_pinv"]
    assert metric_ids(ids) == ["nc4_agreement", "nc2_angle_deviation", "nc1_pinv"]
    assert metric_ids("nc1_cdnv") == ["nc1_cdnv"]


def test_unknown_id_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown metric 'nc3_alignement'; did you mean nc3_alignment"):
        metric_ids(["nc1_pinv", "nc3_alignement"])
