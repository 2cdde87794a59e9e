from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nctools.evaluation import mean_average_precision, mean_by_group
from nctools.evaluation.ranking import average_precision


@given(arrays(np.float64, 6, elements=st.floats(0, 1)))
def test_total_is_the_size_weighted_mean_of_disjoint_groups(values: NDArray[np.float64]) -> None:
    groups = {"head": [0, 1, 2], "medium": [3], "tail": [4, 5]}
    means = mean_by_group(values, groups)
    assert means["all"] == pytest.approx(sum(len(classes) * means[name] for name, classes in groups.items()) / 6)
    assert list(means) == ["all", "head", "medium", "tail"]


def test_classes_without_positives_are_left_out_and_empty_groups_are_nan() -> None:
    means = mean_by_group(np.array([0.2, np.nan, 0.6]), {"head": [0, 1], "medium": [], "tail": [1]})
    assert means["all"] == pytest.approx(0.4)
    assert means["head"] == pytest.approx(0.2)
    assert np.isnan([means["medium"], means["tail"]]).all()


def test_mean_average_precision_averages_the_classes() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.random((30, 4)), rng.integers(0, 2, (30, 4))
    per_class = average_precision(scores, targets)
    means = mean_average_precision(scores, targets, {"tail": [3, 1]})
    assert means == {"all": pytest.approx(per_class.mean()), "tail": pytest.approx(per_class[[1, 3]].mean())}
    assert mean_average_precision(scores, targets) == {"all": means["all"]}


def test_group_with_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="7"):
        mean_by_group(np.zeros(4), {"tail": [7]})
