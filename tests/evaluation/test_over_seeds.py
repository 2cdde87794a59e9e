from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctools.evaluation.over_seeds import MeanOverSeeds, means_over_seeds


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_mean_and_spread_equal_numpy_with_one_degree_of_freedom_less(values: list[float]) -> None:
    found = means_over_seeds([{"mAP": value} for value in values])["mAP"]
    assert found.mean == pytest.approx(np.mean(values), abs=1e-15)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-15)
    assert found.num_runs == len(values)


def test_a_single_run_has_no_spread() -> None:
    found = means_over_seeds([{"mAP": 0.5}])["mAP"]
    assert found.mean == 0.5
    assert math.isnan(found.sd)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == {"mean": 0.5, "sd": None, "num_runs": 1}


def test_a_value_that_one_run_lacks_has_no_mean() -> None:
    found = means_over_seeds([{"mAP": 0.5}, {"mAP": math.nan}])["mAP"]
    assert found.to_dict() == {"mean": None, "sd": None, "num_runs": 2}


def test_other_numbers_and_no_run_are_refused() -> None:
    with pytest.raises(ValueError, match="run 1 has other numbers than run 0: g_map, mAP"):
        means_over_seeds([{"mAP": 0.5}, {"g_map": 0.5}])
    with pytest.raises(ValueError, match="no run"):
        means_over_seeds([])


def test_equal_runs_do_not_spread() -> None:
    assert means_over_seeds([{"mAP": 0.25}] * 3) == {"mAP": MeanOverSeeds(0.25, 0.0, 3)}
