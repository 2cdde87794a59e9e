from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from nctools.evaluation import decision_scores


@st.composite
def decisions(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    shape = (draw(st.integers(1, 8)), draw(st.integers(1, 5)))
    values = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])
    targets = draw(arrays(np.int64, shape, elements=st.integers(0, 1)))
    targets[0] = 1  # every class has a positive: there scikit-learn and the protocol agree
    return draw(arrays(np.float64, shape, elements=values)), targets


@given(decisions())
def test_scores_equal_scikit_learn(case: tuple[NDArray[np.float64], NDArray[np.int64]]) -> None:
    probabilities, targets = case
    # A column of its own keeps scikit-learn in multi-label mode with a single class; it is dropped again by `labels`.
    wide = [np.column_stack([array, np.zeros(len(targets), dtype=int)]) for array in (targets, probabilities > 0.5)]
    for average, found in decision_scores(probabilities, targets).items():
        expected = precision_recall_fscore_support(
            *wide, labels=range(targets.shape[1]), average=average, zero_division=0
        )
        assert [found.precision, found.recall, found.f1] == pytest.approx(expected[:3])


def test_exact_decisions_give_one() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 0]])
    for found in decision_scores(targets, targets).values():
        assert found.to_dict() == {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_class_without_positives_counts_for_micro_only() -> None:
    probabilities, targets = np.array([[0.9, 0.9], [0.1, 0.9]]), np.array([[1, 0], [0, 0]])
    scores = decision_scores(probabilities, targets)
    assert scores["micro"].precision == pytest.approx(1 / 3)
    assert scores["macro"].precision == scores["weighted"].precision == 1.0


def test_probability_equal_to_the_threshold_is_not_predicted() -> None:
    targets = np.array([[1], [1]])
    assert decision_scores(np.array([[0.5], [0.6]]), targets)["micro"].recall == 0.5
    assert decision_scores(np.array([[0.5], [0.6]]), targets, threshold=0.4)["micro"].recall == 1.0


def test_without_positives_all_is_nan() -> None:
    for found in decision_scores(np.ones((2, 2)), np.zeros((2, 2))).values():
        assert np.isnan(list(found.to_dict().values())).all()


def test_logits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"range from -3 to 4.*sigmoid"):
        decision_scores(np.array([[-3.0, 4.0]]), np.array([[0, 1]]))
