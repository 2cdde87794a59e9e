from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctools.features.class_shares import choose_by_class


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 200), st.integers(0, 5))
def test_rare_classes_keep_all_and_the_common_limit_is_the_largest(counts: list[int], most: int, seed: int) -> None:
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    classes = classes[torch.randperm(len(classes), generator=torch.Generator().manual_seed(9))]
    chosen = choose_by_class(classes, most, seed=seed)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    kept = classes[chosen].bincount(minlength=len(counts)).tolist()
    limit = max(kept, default=0)
    assert kept == [min(count, limit) for count in counts]
    there = sum(count > 0 for count in counts)
    assert sum(kept) <= max(most, there)
    if limit < max(counts):
        assert sum(min(count, limit + 1) for count in counts) > most or limit == 1


def test_the_choice_is_that_of_its_seed() -> None:
    classes = torch.zeros(500, dtype=torch.int64)
    one, same, other = (choose_by_class(classes, 20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_no_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 0 points"):
        choose_by_class(torch.zeros(3, dtype=torch.int64), 0)
