from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nctools.evaluation.packed_ranking import can_be_packed, packed_average_precision
from nctools.evaluation.ranking import average_precision
from tests.reference.average_precision import average_precision_by_class

Case = tuple[NDArray[np.float32], NDArray[np.bool_]]


@st.composite
def probabilities(draw: st.DrawFn) -> Case:
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 6)))
    values = st.sampled_from([0.0, -0.0, 1e-45, 0.25, float(np.nextafter(np.float32(0.25), 1)), 1.0, np.inf])
    scores = draw(arrays(np.float32, shape, elements=values))
    return scores, draw(arrays(np.bool_, shape))


@given(probabilities())
def test_packed_scores_give_what_the_loop_gives(case: Case) -> None:
    scores, present = case
    assert can_be_packed(scores)
    expected = average_precision_by_class(scores.astype(np.float64), present.astype(np.int64))
    np.testing.assert_allclose(packed_average_precision(scores, present), expected, rtol=1e-13)


@pytest.mark.parametrize("decimals", [0, 1, 3, 9])  # all tied, many, some, by chance
def test_packed_scores_give_what_the_other_way_gives(decimals: int) -> None:
    rng = np.random.default_rng(0)
    present = rng.random((4000, 40)) < np.geomspace(0.5, 0.0005, 40)
    scores = np.round(1 / (1 + np.exp(-rng.standard_normal((4000, 40)) - present)), decimals).astype(np.float32)
    # With a sign, or in float64, the same scores are ranked by the other way.
    assert can_be_packed(scores)
    assert not can_be_packed(scores - 1)
    assert not can_be_packed(scores.astype(np.float64))
    expected = average_precision(scores.astype(np.float64), present)
    np.testing.assert_allclose(packed_average_precision(scores, present), expected, rtol=1e-12)
    np.testing.assert_allclose(average_precision(scores, present), expected, rtol=1e-12)


def test_nothing_to_rank_is_left_to_the_other_way() -> None:
    assert not can_be_packed(np.zeros((0, 3), dtype=np.float32))


def test_arguments_are_not_changed() -> None:
    scores, present = np.full((3, 2), 0.5, dtype=np.float32), np.eye(3, 2, dtype=bool)
    scores.flags.writeable = present.flags.writeable = False
    assert packed_average_precision(scores, present).tolist() == pytest.approx([1 / 3, 1 / 3])
    packed_average_precision(scores.T, present.T)
    assert (scores == 0.5).all()
