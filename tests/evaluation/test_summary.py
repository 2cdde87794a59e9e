from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nctools.evaluation import (
    decision_scores,
    evaluate_scores,
    expected_calibration_error,
    g_map,
    mean_average_precision,
)
from nctools.evaluation.protocols import PROTOCOLS, Protocol
from nctools.evaluation.ranking import average_precision

NAMES = ["a", "b", "c", "d"]
GROUPS = {"head": [0, 1], "medium": [], "tail": [2, 3]}


def predictions() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(40, 4, generator=generator) < 0.3).float()
    targets[:, 3] = 0  # no positives
    targets[7] = 0  # no label
    return torch.rand(40, 4, generator=generator), targets


def test_evaluation_holds_what_the_single_functions_give() -> None:
    scores, targets = predictions()
    found = evaluate_scores(scores, targets, NAMES, GROUPS)
    np.testing.assert_array_equal(found.average_precision, average_precision(scores, targets))
    np.testing.assert_equal(found.mean_average_precision, mean_average_precision(scores, targets, GROUPS))
    assert found.g_map == g_map(scores, targets)
    assert found.decisions == decision_scores(scores, targets)
    off = expected_calibration_error(scores, targets)
    np.testing.assert_array_equal(found.expected_calibration_error, off)
    np.testing.assert_equal(  # of the classes with a positive, as mAP
        found.mean_expected_calibration_error,
        {"all": off[:3].mean(), "head": off[:2].mean(), "medium": np.nan, "tail": off[2]},
    )
    assert found.left_out == ["d"]
    assert found.num_images == 40
    assert found.num_unlabelled == int((targets.sum(dim=1) == 0).sum()) > 0


def test_document_is_strict_json_and_names_what_was_left_out() -> None:
    scores, targets = predictions()
    document = json.loads(json.dumps(evaluate_scores(scores, targets, NAMES, GROUPS).to_document(), allow_nan=False))
    assert document["left_out"] == ["d"]
    assert document["average_precision"]["d"] is None
    assert document["mean_average_precision"]["medium"] is None
    assert 0 < document["mean_average_precision"]["all"] < 1
    assert 0 < document["expected_calibration_error"]["d"] < 1  # has one, and enters no mean
    assert document["mean_expected_calibration_error"]["medium"] is None
    assert document["calibration_bins"] == 15
    assert set(document["decisions"]) == {"micro", "macro", "weighted"}
    assert document["protocol"] == "tie-aware"
    assert document["average_map"] == pytest.approx(
        (document["mean_average_precision"]["head"] + document["mean_average_precision"]["tail"]) / 2
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_protocol_is_used_and_named(protocol: Protocol) -> None:
    scores, targets = predictions()
    coarse = (4 * scores).round() / 4
    found = evaluate_scores(coarse, targets, NAMES, GROUPS, protocol=protocol)
    np.testing.assert_array_equal(found.average_precision, average_precision(coarse, targets, protocol=protocol))
    assert found.to_document()["protocol"] == found.protocol == protocol
    assert found.g_map == g_map(coarse, targets)  # counted as ever


def test_average_map_counts_each_group_once() -> None:
    scores, targets = predictions()
    groups = {"head": [0, 1], "medium": [2], "tail": [3]}  # class d has no positives
    found = evaluate_scores(scores, targets, NAMES, groups)
    assert found.average_map == pytest.approx((np.mean(found.average_precision[:2]) + found.average_precision[2]) / 2)
    assert np.isnan(evaluate_scores(scores, targets, NAMES, {}).average_map)


def test_values_are_the_numbers_of_the_document_by_their_place() -> None:
    found = evaluate_scores(*predictions(), NAMES, GROUPS)
    document = found.to_document()
    for name, value in found.values().items():
        entry: object = document
        for key in name.split("."):
            assert isinstance(entry, dict)
            entry = entry[key]
        assert entry == (None if np.isnan(value) else value)
    assert len(found.values()) == 4 + 2 + 9 + 4


def test_nan_score_names_sample_and_class() -> None:
    scores, targets = predictions()
    scores[5, 2] = float("nan")
    with pytest.raises(ValueError, match=r"NaN at sample 5, class 2 \(c\)"):
        evaluate_scores(scores, targets, NAMES, GROUPS)


@pytest.mark.parametrize("names", [["a", "b", "c"], ["a", "b", "c", "c"]])
def test_class_names_must_fit_and_differ(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"names, 3 of them different, but `scores` has 4 classes \(shape \[40, 4\]\)"):
        evaluate_scores(*predictions(), names, GROUPS)


def test_logits_are_refused() -> None:
    scores, targets = predictions()
    with pytest.raises(ValueError, match="sigmoid"):
        evaluate_scores(scores.logit() * 9, targets, NAMES, GROUPS)


def test_unknown_entries_enter_no_score() -> None:
    scores = np.array([[0.9, 0.2], [0.8, 0.7], [0.3, 0.6], [0.95, 0.1]])
    targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    unknown = np.zeros((4, 2))
    unknown[3, 0] = unknown[2, 1] = 1
    found = evaluate_scores(scores, targets, ["cat", "dog"], {}, unknown=unknown)
    rows = [[0, 1, 2], [0, 1, 3]]
    expected = [average_precision(scores[kept][:, [c]], targets[kept][:, [c]])[0] for c, kept in enumerate(rows)]
    assert found.average_precision == pytest.approx(expected)
    assert found.decisions["micro"].precision == pytest.approx(2 / 3)
    off = [expected_calibration_error(scores[kept][:, [c]], targets[kept][:, [c]])[0] for c, kept in enumerate(rows)]
    assert found.expected_calibration_error == pytest.approx(off)
    with pytest.raises(ValueError, match=r"`unknown` of shape \[4, 2\]"):
        evaluate_scores(scores, targets, ["cat", "dog"], {}, unknown=targets)
