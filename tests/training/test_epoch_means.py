from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from nctools.training.epoch_means import EpochMeans

BATCHES = st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(1, 64)), min_size=1, max_size=30)


@given(BATCHES, st.data())
def test_an_epoch_cut_anywhere_has_the_means_of_the_whole_to_the_last_bit(
    batches: list[tuple[float, int]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(batches)))
    whole, means = EpochMeans(), EpochMeans()
    for index, (value, size) in enumerate(batches):
        if index == cut:
            state = json.loads(json.dumps(means.state_dict()))  # plain values
            means = EpochMeans()
            means.load_state_dict(state)
        whole.add({"loss": torch.tensor(value)}, size)
        means.add({"loss": torch.tensor(value)}, size)
    assert means.values() == whole.values()
    slow = sum(value * size for value, size in batches) / sum(size for _, size in batches)
    assert whole.values()["loss"] == pytest.approx(slow, rel=1e-9, abs=1e-9)


def test_a_value_that_comes_later_is_the_mean_over_its_own_batches() -> None:
    means = EpochMeans()
    means.add({"a": torch.tensor(1.0)}, 2)
    means.add({"b": torch.tensor(5.0), "a": torch.tensor(4.0)}, 1)
    assert means.values() == {"a": 2.0, "b": 5.0}
    means.clear()
    assert means.values() == {}


def test_no_graph_is_kept_and_half_precision_is_summed_in_double() -> None:
    means = EpochMeans()
    means.add({"a": torch.ones((), requires_grad=True) * 3}, 1)
    for _ in range(4096):
        means.add({"b": torch.tensor(1.0, dtype=torch.bfloat16)}, 1)
    assert means.values() == {"a": 3.0, "b": 1.0}
    assert not means._sums["a"].requires_grad
