"""NeuralCollapse equals measure on the whole data, in any batches, and behaves as a torchmetrics.Metric."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch import Tensor, nn

import nctools
from nctools.errors import UnknownNameError
from nctools.metric import NeuralCollapse
from nctools.metric_state import merge_moments, unpack_moments
from tests.collapse.cases import Case
from tests.metric_cases import (
    CLASSES,
    GROUPS,
    KINDS,
    WIDTH,
    Kind,
    assert_equal,
    assert_same_state,
    case_of,
    feed,
    ids_of,
    linear_of,
    measured,
    metric_of,
    snapshot,
)

# After nctools.metric, which repairs torchvision's import where that is needed.
from torchmetrics import MetricCollection  # isort: skip


# Values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int32])
def test_it_equals_measure_for_every_kind_and_dtype(kind: Kind, dtype: torch.dtype) -> None:
    case = case_of(kind)
    case = Case(kind, (case.features * 4).to(dtype), case.labels, CLASSES, case.classifier)
    metric = metric_of(case)
    feed(metric, case, [10, 11, 40])
    assert_equal(metric.compute(), measured(case))


@hypothesis.given(
    kind=st.sampled_from(KINDS),
    cuts=st.lists(st.integers(0, 40), max_size=6),
    seed=st.integers(0, 1000),
)
@hypothesis.settings(max_examples=25)
def test_batches_and_their_order_do_not_matter(kind: Kind, cuts: list[int], seed: int) -> None:
    case = case_of(kind)
    order = torch.randperm(len(case.features), generator=torch.Generator().manual_seed(seed))
    metric = metric_of(case)
    feed(metric, Case(kind, case.features[order], case.labels[order], CLASSES, case.classifier), cuts)
    assert_equal(metric.compute(), measured(case))


def test_class_indices_may_come_with_a_feature_for_each_class() -> None:
    features, labels = torch.randn(30, CLASSES, WIDTH), torch.arange(30) % CLASSES
    metric = NeuralCollapse(CLASSES, WIDTH)
    metric.update(features[:7], labels[:7])
    metric.update(features[7:], labels[7:])
    expected = nctools.measure(features, labels).to_dict()["all"]
    assert_equal({name: value for name, value in metric.compute().items() if "/" not in name}, expected)


def test_settings_are_those_of_measure() -> None:
    case = case_of("single")
    metric = NeuralCollapse(CLASSES, WIDTH, GROUPS, metrics=["nc1_pinv", "nc1_cdnv"], ddof=1, scope="within", space="z")
    feed(metric, case, [20])
    expected = nctools.measure(
        case.features, case.labels, groups=GROUPS, metrics=["nc1_pinv", "nc1_cdnv"], ddof=1, scope="within"
    )
    for group, values in expected.to_dict().items():
        assert metric.result().to_dict()[group] == pytest.approx(values)
    assert metric.result().spaces == ["z"]
    assert metric.result().settings == expected.settings


def test_a_layer_is_read_when_values_are_computed_and_rows_when_they_are_given() -> None:
    case = case_of("single")
    metric, layer = metric_of(case), linear_of(case)
    feed(metric, case, [])
    metric.use_classifier(layer.weight, layer.bias)
    assert_equal(metric.compute(), measured(case))
    assert not list(metric.parameters())
    with torch.no_grad():
        layer.weight.mul_(-1)
    assert_equal(metric.compute(), measured(case))
    metric.use_classifier(layer)
    turned = metric.compute()["nc3_alignment"].item()
    assert turned == pytest.approx(-measured(case)["nc3_alignment"])


def test_kept_features_do_not_follow_the_callers_tensor() -> None:
    case = case_of("single")
    metric = metric_of(case)
    features = case.features.clone()
    metric.update(features, case.labels)
    features.zero_()
    assert_equal(metric.compute(), measured(case))


@pytest.mark.parametrize("kind", KINDS)
def test_moments_give_the_metrics_of_one_pass(kind: Kind) -> None:
    case = case_of(kind)
    metric = NeuralCollapse(CLASSES, WIDTH, GROUPS, linear_of(case), keep="moments")
    feed(metric, case, [10, 40])
    values, expected = metric.compute(), measured(case)
    assert {"nc1_quotient", "tail/nc1_cdnv", "nc3_alignment"} <= set(values)
    assert {"nc1_pinv", "nc4_agreement", "nc4_ncc_accuracy"}.isdisjoint(values)
    assert_equal(values, {name: expected[name] for name in values})


def test_moments_are_small_however_long_the_stream_is() -> None:
    case = case_of("shared")
    metric = NeuralCollapse(CLASSES, WIDTH, keep="moments")
    feed(metric, case, [10])
    state = metric.metric_state
    assert {name: list(value.shape) for name, value in state.items() if isinstance(value, Tensor)} == {
        "form": [2],
        "moments": [CLASSES, 2 + 2 * WIDTH],
    }
    statistics = unpack_moments(metric.moments)
    rows, labels = case.features.double(), case.labels.bool()
    means = torch.stack([rows[labels[:, index]].mean(dim=0) for index in range(CLASSES)])
    torch.testing.assert_close(statistics.means, means)
    assert statistics.counts.tolist() == labels.sum(dim=0).tolist()


# Life of a metric


def test_reset_starts_anew() -> None:
    case = case_of("shared")
    metric = metric_of(case)
    feed(metric, case, [30])
    metric.compute()
    metric.reset()
    assert_same_state(snapshot(metric), snapshot(metric_of(case)))
    metric.update(case.features[:40], case.labels[:40])
    assert_equal(metric.compute(), measured(case, slice(0, 40)))


def test_forward_gives_the_values_of_the_batch_and_adds_it() -> None:
    case = case_of("single")
    metric = metric_of(case)
    assert_equal(metric(case.features[:30], case.labels[:30]), measured(case, slice(0, 30)))
    assert_equal(metric(case.features[30:], case.labels[30:]), measured(case, slice(30, None)))
    assert_equal(metric.compute(), measured(case))
    assert metric.update_count == 2


@pytest.mark.parametrize("kind", KINDS)
def test_merge_state_adds_what_the_other_has_seen(kind: Kind) -> None:
    case = case_of(kind)
    one, other, empty = metric_of(case), metric_of(case), metric_of(case)
    one.update(case.features[:9], case.labels[:9])
    other.update(case.features[9:], case.labels[9:])
    one.compute()
    one.merge_state(other)
    assert_equal(one.compute(), measured(case))
    empty.merge_state(one.metric_state)
    assert_equal(empty.compute(), measured(case))
    one.reset()
    assert_equal(empty.compute(), measured(case))


def test_merge_state_refuses_another_kind_of_metric() -> None:
    case = case_of("single")
    metric = metric_of(case)
    feed(metric, case, [])
    before = snapshot(metric)
    with pytest.raises(ValueError, match=r"moments \[3, 10\].*same classes, width and keep"):
        metric.merge_state(NeuralCollapse(3, WIDTH))
    with pytest.raises(ValueError, match=r"\['form', 'moments'\].*same classes, width and keep"):
        metric.merge_state(NeuralCollapse(CLASSES, WIDTH, keep="moments"))
    other = NeuralCollapse(CLASSES, WIDTH)
    other.update(case_of("shared").features, case_of("shared").labels)
    with pytest.raises(ValueError, match="features are single and shared"):
        metric.merge_state(other)
    assert_same_state(snapshot(metric), before)


def test_stacked_states_merge_as_statistics_do() -> None:
    case = case_of("single")
    parts = [metric_of(case) for _ in range(4)]
    for metric, rows in zip(parts, case.features.chunk(3), strict=False):
        metric.update(rows, case.labels[: len(rows)])
    whole = unpack_moments(merge_moments(torch.stack([metric.moments for metric in parts])))
    assert whole.counts.sum() == len(case.features)


def test_a_clone_is_independent_and_reads_the_same_classifier() -> None:
    case = case_of("single")
    layer = linear_of(case)
    metric = NeuralCollapse(CLASSES, WIDTH, GROUPS, layer, metrics=ids_of(case))
    metric.update(case.features[:30], case.labels[:30])
    twin = metric.clone()
    twin.update(case.features[30:], case.labels[30:])
    assert_equal(twin.compute(), measured(case))
    assert_equal(metric.compute(), measured(case, slice(0, 30)))
    with torch.no_grad():
        layer.weight.zero_()
    twin.update(case.features[:1], case.labels[:1])
    assert math.isnan(twin.compute()["nc3_alignment"])


def test_pickle_keeps_the_state_and_leaves_the_layer() -> None:
    case = case_of("shared")
    layer = linear_of(case)
    metric = NeuralCollapse(CLASSES, WIDTH, GROUPS, layer, metrics=ids_of(case))
    feed(metric, case, [30])
    written = pickle.dumps(metric)
    twin = pickle.loads(written)
    with pytest.raises(ValueError, match="no classifier was given"):
        twin.compute()
    assert b"torch.nn.modules.linear" not in written
    twin.use_classifier(layer)
    assert_equal(twin.compute(), measured(case))


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_round_trip(kind: Kind, tmp_path: Path) -> None:
    case = case_of(kind)
    metric, twin = metric_of(case), metric_of(case)
    assert not metric.state_dict()
    metric.persistent(True)
    twin.persistent(True)
    feed(metric, case, [10, 30])
    torch.save(metric.state_dict(), tmp_path / "metric.pt")
    state = torch.load(tmp_path / "metric.pt", weights_only=True)
    twin.load_state_dict(dict(state))
    assert_equal(twin.compute(), measured(case))
    # What was loaded stays the caller's.
    twin.update(case.features[:1], case.labels[:1])
    twin.reset()
    again = metric_of(case)
    again.load_state_dict(dict(state))
    assert_equal(again.compute(), measured(case))


def test_a_state_of_another_shape_is_refused() -> None:
    other = NeuralCollapse(3, WIDTH)
    other.persistent(True)
    metric = NeuralCollapse(CLASSES, WIDTH)
    before = snapshot(metric)
    with pytest.raises(RuntimeError, match=r"moments has shape \[3, 10\], this metric needs \[5, 10\]"):
        metric.load_state_dict(other.state_dict())
    assert_same_state(snapshot(metric), before)


def test_collection_computes_with_prefixes() -> None:
    case = case_of("single")
    layer = linear_of(case)
    collection = MetricCollection(
        {
            "plain": NeuralCollapse(CLASSES, WIDTH, GROUPS, layer, metrics=ids_of(case)),
            "unbiased": NeuralCollapse(CLASSES, WIDTH, GROUPS, metrics=["nc1_cdnv"], ddof=1),
        },
        prefix="val/",
    )
    for start in range(0, len(case.features), 20):
        collection.update(case.features[start : start + 20], case.labels[start : start + 20])
    values, expected = collection.compute(), measured(case)
    # torchmetrics puts the metric's name in front where two have the same key.
    found = {name.removeprefix("val/").removeprefix("plain_"): value for name, value in values.items()}
    assert {name: found[name].item() for name in expected} == pytest.approx(expected, nan_ok=True)
    ratio = nctools.measure(case.features, case.labels, metrics="nc1_cdnv", ddof=1).to_dict()["all"]["nc1_cdnv"]
    assert values["val/unbiased_nc1_cdnv"].item() == pytest.approx(ratio)
    collection.reset()
    batch = collection(case.features, case.labels)
    assert batch["val/unbiased_nc1_cdnv"].item() == pytest.approx(ratio)


def test_what_torchmetrics_asks_for_is_declared() -> None:
    metric = NeuralCollapse(CLASSES, WIDTH)
    assert (metric.is_differentiable, metric.higher_is_better, metric.full_state_update) == (False, None, False)


# Precision


def test_no_cast_narrows_the_state() -> None:
    case = case_of("single")
    metric = metric_of(case)
    feed(metric, case, [30])
    before = snapshot(metric)
    for cast in (metric.half, metric.bfloat16, metric.float, metric.double):
        cast()
        assert_same_state(snapshot(metric), before)
    metric.set_dtype(torch.float16)
    assert_same_state(snapshot(metric), before)
    metric.to(torch.bfloat16)
    assert_same_state(snapshot(metric), before)
    metric.reset()
    assert metric.moments.dtype == torch.float64


# Errors


def test_values_before_any_pair_are_refused() -> None:
    metric = NeuralCollapse(CLASSES, WIDTH)
    with (
        pytest.warns(UserWarning, match="before the ``update`` method"),
        pytest.raises(ValueError, match="no pair yet"),
    ):
        metric.compute()
    metric.update(torch.zeros(2, WIDTH), torch.zeros(2, CLASSES))
    with pytest.raises(ValueError, match="no pair yet"):
        metric.compute()
    with pytest.raises(ValueError, match="no pair yet"):
        metric.result()


NAN = torch.zeros(3, WIDTH)
NAN[2, 1] = torch.nan
ZEROS = torch.zeros(3, WIDTH)
INDICES = torch.tensor([0, 1, 4])


@pytest.mark.parametrize(
    ("features", "labels", "error", "message"),
    [
        (NAN, INDICES, ValueError, r"sample 2, class 4 is nan in column 1.*repair"),
        (ZEROS, torch.tensor([0, 5, 1]), ValueError, r"label 5 of sample 1 is out of range.*give 0 to 4"),
        (ZEROS, torch.tensor([0.0, 1.0, 2.0]), TypeError, "must be integers"),
        (ZEROS, torch.full((3, CLASSES), 2), ValueError, r"labels\[0, 0\] is 2"),
        (ZEROS, torch.zeros(3, 4), ValueError, "num_classes is 5 but labels have 4 columns"),
        (ZEROS, torch.zeros(2, dtype=torch.int64), ValueError, r"labels have shape \[2\] but there are 3 samples"),
        (
            torch.zeros(3, 7),
            INDICES,
            ValueError,
            r"features have shape \[3, 7\]: give \[batch, 4\], or \[batch, 5, 4\]",
        ),
        (torch.zeros(3, 4, 4), INDICES, ValueError, r"features have shape \[3, 4, 4\]"),
        (ZEROS.to(torch.complex64), INDICES, TypeError, "complex64: give real numbers"),
        (ZEROS, torch.eye(CLASSES)[:3], ValueError, "features are single and shared: one metric takes one kind"),
    ],
)
@pytest.mark.parametrize("call", ["update", "forward"])
def test_a_refused_batch_leaves_the_state_unchanged(
    features: Tensor, labels: Tensor, error: type[Exception], message: str, call: str
) -> None:
    case = case_of("single")
    metric = metric_of(case)
    feed(metric, case, [30])
    before = snapshot(metric)
    with pytest.raises(error, match=message):
        getattr(metric, call)(features, labels)
    assert_same_state(snapshot(metric), before)
    assert_equal(metric.compute(), measured(case))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"metrics": "nc1_pinf"}, UnknownNameError, "did you mean nc1_pinv"),
        ({"metrics": ["default"]}, ValueError, "default"),
        ({"centre": "median"}, ValueError, "centre is 'median'"),
        ({"center": "class"}, UnknownNameError, "unknown setting of NeuralCollapse 'center'; did you mean centre"),
        ({"keep": "all"}, ValueError, "keep is 'all'; it is one of 'features', 'moments'"),
        ({"keep": "moments", "metrics": ["nc1_pinv"]}, ValueError, r"nc1_pinv needs the features again"),
        (
            {"keep": "moments", "metrics": "mlab_angle_deg"},
            ValueError,
            r"mlab_angle_deg needs the features again",
        ),
        ({"groups": {"tail": [5]}}, ValueError, "group 'tail' holds class 5"),
        ({"classifier": torch.zeros(3, WIDTH)}, ValueError, r"classifier has shape \[3, 4\].*must be \[5, 4\]"),
        ({"classifier": nn.Identity()}, TypeError, "classifier is a Identity: give an nn.Linear"),
        ({"bias": torch.zeros(CLASSES)}, ValueError, "bias goes with a classifier of rows"),
        ({"num_classes": 0}, ValueError, "num_classes=0"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        NeuralCollapse(**{"num_classes": CLASSES, "num_features": WIDTH, **settings})  # type: ignore[arg-type]
