"""Every sampler: ranks together draw the global sequence, epochs differ, and resuming goes on where it stood."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterable
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from nctools.data.epoch_sampler import EpochSampler, SamplerState, random_stream
from nctools.data.paired_sampling import PairedSampler
from nctools.data.sampler_catalogue import SAMPLERS, build_sampler

TARGETS = np.eye(3, dtype=np.int64)[np.repeat(np.arange(3), [7, 4, 2])]
Make = Callable[..., EpochSampler[int]]


class Indices(Dataset[int]):
    """Item i is i, so that a loader tells what it asked for."""

    def __len__(self) -> int:
        return len(TARGETS)

    def __getitem__(self, index: int) -> int:
        return index


def named(name: str, *, seed: int = 5, **place: int) -> EpochSampler[int]:
    more = {"num_epochs": 4} if "num_epochs" in SAMPLERS[name].takes else {}
    return build_sampler(name, TARGETS, seed=seed, **more, **place)


def paired(*, seed: int = 5, **place: int) -> EpochSampler[tuple[int, int]]:
    return PairedSampler(named("uniform", seed=seed, **place), named("class_aware", seed=seed, **place))


def makers() -> list[Make]:
    def of(name: str) -> Make:
        return lambda **arguments: named(name, **arguments)

    return [*(of(name) for name in SAMPLERS), cast("Make", paired)]


every_sampler = pytest.mark.parametrize("make", makers(), ids=[*SAMPLERS, "paired"])


def numbers(batches: Iterable[torch.Tensor]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@every_sampler
@pytest.mark.parametrize("world_size", [1, 2, 3, 20])
def test_ranks_together_draw_the_global_sequence(make: Make, world_size: int) -> None:
    parts = [make(rank=rank, world_size=world_size) for rank in range(world_size)]
    for part in parts:
        part.set_epoch(2)
    whole = list(map(tuple, np.atleast_2d(make().global_sequence(2).T).T.tolist()))
    drawn = list(itertools.chain.from_iterable(zip(*parts, strict=True)))
    drawn = [item if isinstance(item, tuple) else (item,) for item in drawn]
    assert {len(part) for part in parts} == {math.ceil(len(whole) / world_size)}
    assert drawn == list(itertools.islice(itertools.cycle(whole), len(drawn)))
    assert 0 <= len(drawn) - len(whole) < world_size


@every_sampler
def test_order_is_a_function_of_seed_and_epoch_alone(make: Make) -> None:
    sampler = make()
    first = list(sampler)
    states = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    sampler.set_epoch(3)
    fourth = list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == first != fourth
    assert first != list(make(seed=6))
    other = make()
    other.set_epoch(3)
    assert list(other) == fourth  # without the epochs before
    assert torch.get_rng_state().equal(states[0])
    assert random.getstate() == states[1]
    assert repr(np.random.get_state()) == states[2]  # noqa: NPY002


@every_sampler
@given(data=st.data())
def test_resuming_gives_what_was_left_of_the_epoch(make: Make, data: st.DataObject) -> None:
    world_size = data.draw(st.integers(1, 3))
    rank = data.draw(st.integers(0, world_size - 1))
    first = make(rank=rank, world_size=world_size)
    first.set_epoch(data.draw(st.integers(0, 5)))
    position = data.draw(st.integers(0, len(first)))
    state = json.loads(json.dumps(first.state_dict(position)))  # a checkpoint holds plain values

    second = make(rank=rank, world_size=world_size)
    second.load_state_dict(state)
    assert list(second) == list(first)[position:] == list(itertools.islice(first, position, None))
    assert len(second) == len(first)
    second.set_epoch(first.epoch)  # as Lightning does before it goes on
    assert list(second) == list(first)[position:]
    assert second.state_dict(position) == state
    following = first.epoch + 1
    first.set_epoch(following)
    second.set_epoch(following)
    assert list(second) == list(first)


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (1, False), (2, False), (1, True), (2, True)])
def test_loaders_draw_the_same_batches_with_any_number_of_workers(workers: int, persistent: bool) -> None:
    sampler, plain = named("class_aware"), named("class_aware")
    loader = DataLoader(
        Indices(), batch_size=4, sampler=sampler, num_workers=workers, persistent_workers=persistent, drop_last=True
    )
    for epoch in range(3):
        sampler.set_epoch(epoch)
        plain.set_epoch(epoch)
        assert list(itertools.chain.from_iterable(numbers(loader))) == list(plain)[: len(loader) * 4]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_with_the_batch_after_the_last_one(workers: int) -> None:
    sampler = named("square_root")
    sampler.set_epoch(1)
    loader = DataLoader(Indices(), batch_size=3, sampler=sampler, num_workers=workers)
    seen = iter(loader)
    before = [next(seen).tolist() for _ in range(2)]  # workers have asked for more by now
    state = sampler.state_dict(2 * 3)
    fresh = named("square_root")
    fresh.load_state_dict(state)
    after = numbers(DataLoader(Indices(), batch_size=3, sampler=fresh, num_workers=workers))
    assert before + after == numbers(loader)


def test_a_state_that_does_not_fit_is_refused() -> None:
    sampler = named("class_aware", rank=1, world_size=2)
    state = sampler.state_dict(4)
    sampler.load_state_dict(state)
    with pytest.raises(ValueError, match=r"at draw 4 of an epoch of 2 processes, but this sampler has 3"):
        named("class_aware", world_size=3).load_state_dict(state)
    with pytest.raises(ValueError, match="another order than this sampler draws in epoch 0"):
        named("class_aware", seed=6, world_size=2).load_state_dict(state)
    with pytest.raises(ValueError, match="stands at draw 9, but an epoch of this rank has 7 draws"):
        named("uniform", world_size=2).load_state_dict(state | {"position": 9})
    with pytest.raises(ValueError, match=r"needs a whole number 'epoch', got None"):
        sampler.load_state_dict({"position": 4})
    with pytest.raises(ValueError, match=r"needs a whole number 'position', got 1\.5"):
        sampler.load_state_dict(state | {"position": 1.5})
    assert (sampler.epoch, sampler.position) == (0, 4)


def test_the_beginning_of_an_epoch_suits_any_number_of_processes() -> None:
    sampler = named("class_aware", world_size=2)
    sampler.set_epoch(3)
    state: SamplerState = sampler.state_dict(0)
    one = named("class_aware")
    one.load_state_dict(state)
    assert one.epoch == 3


def test_a_place_outside_the_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="`position` is 8, but an epoch of this rank has 7 draws"):
        named("uniform", world_size=2).state_dict(8)


def test_kinds_of_samplers_do_not_draw_in_step() -> None:
    first, second = (random_stream(0, 1, name).random(8) for name in ("class prior 0.5", "class prior 1.0"))
    assert not np.isclose(first, second).any()
