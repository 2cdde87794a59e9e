from __future__ import annotations

import pytest
import torch

from nctools.training.reproducibility import differences, environment, seed_batch, seeded


def test_a_batch_draws_the_same_whatever_came_before() -> None:
    with seeded(0):
        seed_batch(1, 2, 3, 0)
        first = torch.rand(4)
        torch.rand(7)
        seed_batch(1, 2, 3, 0)
        assert torch.rand(4).equal(first)
        for other in [(0, 2, 3, 0), (1, 0, 3, 0), (1, 2, 0, 0), (1, 2, 3, 1)]:
            seed_batch(*other)
            assert not torch.rand(4).equal(first)


def test_a_seeded_block_leaves_the_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with seeded(3):
        assert torch.initial_seed() == 3
        seed_batch(0, 0, 0, 0)
    assert torch.get_rng_state().equal(before)


def test_environments_are_compared_in_what_both_know(monkeypatch: pytest.MonkeyPatch) -> None:
    here = environment()
    assert differences(here, environment()) == []
    assert differences({}, here) == []
    assert differences({"cuda": "12"}, here) == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert differences(here, environment()) == [f"threads {here['threads']}, now 64"]
    assert differences(here | {"torch": "1.0"}, here) == [f"torch 1.0, now {here['torch']}"]
