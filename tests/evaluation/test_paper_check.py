from __future__ import annotations

import math

import pytest

from nctools.errors import ConfigError
from nctools.evaluation.paper_check import Deviation, deviations, known_settings, published_row


def test_row_of_a_method_has_every_printed_group() -> None:
    row = published_row("mlc_nc", "voc_lt")
    assert row.paper == "mlc_nc"
    assert row.mean_average_precision == {"all": 84.37, "head": 72.75, "medium": 88.15, "tail": 90.31}
    assert published_row("lmpt", "voc_lt").mean_average_precision == {"all": 85.44}


def test_what_is_within_and_what_is_not_is_said_for_each_group() -> None:
    ours = {"all": 0.8437, "head": 0.7175, "medium": 0.8616, "tail": 0.9231}
    found = deviations(published_row("mlc_nc", "voc_lt"), ours, tolerance=1.0)
    assert [deviation.within for deviation in found] == [True, True, False, False]
    assert str(found[2]) == "medium: 86.16 is 1.99 below the published 88.15"
    assert str(found[3]) == "tail: 92.31 is 2.00 above the published 90.31"
    assert all(deviation.within for deviation in deviations(published_row("mlc_nc", "voc_lt"), ours, tolerance=2))


def test_a_difference_of_exactly_the_tolerance_passes() -> None:
    assert 100 * 0.5069 - 49.69 > 1.0  # in binary
    assert Deviation("head", 100 * 0.5069, 49.69, 1.0).within
    assert not Deviation("head", 50.70, 49.69, 1.0).within


def test_a_group_without_a_value_fails() -> None:
    missing = deviations(published_row("lmpt", "voc_lt"), {"all": math.nan})[0]
    assert not missing.within
    assert str(missing) == "all: no value here, published 85.44"
    assert not deviations(published_row("lmpt", "voc_lt"), {})[0].within


def test_what_no_paper_prints_is_refused_with_what_is_known() -> None:
    with pytest.raises(ConfigError, match=r"of mlc_nc on digits_lt: of mlc_nc there is coco_lt, voc_lt, voc_lt with"):
        published_row("mlc_nc", "digits_lt")
    with pytest.raises(ConfigError, match=r"on coco_lt with label_embedding=trainable: .*voc_lt with label_embedding"):
        published_row("mlc_nc", "coco_lt", "label_embedding=trainable")
    with pytest.raises(ConfigError, match=r"of class_attention on voc_lt: there is erm, .*comic.*, on coco_lt, voc_lt"):
        published_row("class_attention", "voc_lt")


@pytest.mark.parametrize("tolerance", [-1.0, math.nan])
def test_a_tolerance_below_zero_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match=f"tolerance is {tolerance}"):
        deviations(published_row("mlc_nc", "voc_lt"), {}, tolerance=tolerance)


def test_settings_of_all_data_sets_are_known() -> None:
    assert "label_embedding=glove" in known_settings("mlc_nc")
    assert known_settings("erm") == [""]
    assert known_settings("class_attention") == []
