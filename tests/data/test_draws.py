"""An image changes as its draw says: the same for any number of workers, processes and interruptions."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.utils.data import DataLoader

from nctools.data.dataset import MultiLabelDataset
from nctools.data.draws import Draw, DrawnImages, DrawSampler, draw_seed
from nctools.data.preprocessing import Preprocessing
from nctools.data.transforms import cell_shift, train_transform
from nctools.data.weighted_samplers import UniformSampler
from nctools.training.reproducibility import seed_batch

SHIFT = Preprocessing((0.0,) * 3, (1.0,) * 3, "cell_shift")


def data() -> MultiLabelDataset:
    images = torch.randint(0, 256, (11, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.eye(2)[torch.arange(11) % 2]
    return MultiLabelDataset(images, labels, ["a", "b"], {"head": [0], "tail": [1]}, transform=train_transform(SHIFT))


def draws(epoch: int, rank: int = 0, world_size: int = 1, multiple: int = 1) -> list[Draw]:
    sampler = DrawSampler(UniformSampler(11, seed=3, rank=rank, world_size=world_size), multiple=multiple)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.integers(0, 2**70), st.integers(0, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_seed_is_a_function_of_run_epoch_and_number_alone(seed: int, epoch: int, number: int, image: int) -> None:
    found = draw_seed(seed, Draw(epoch, number, image))
    assert found == draw_seed(seed, Draw(epoch, number, image + 1))
    others = [(seed + 1, epoch, number), (seed, epoch + 1, number), (seed, epoch, number + 1)]
    assert all(found != draw_seed(other[0], Draw(*other[1:], image)) for other in others)
    torch.Generator().manual_seed(found)  # torch takes it


def test_no_draw_shares_its_seed_with_a_batch() -> None:
    seeds = {draw_seed(seed, Draw(epoch, number, 0)) for seed in range(2) for epoch in range(3) for number in range(40)}
    assert len(seeds) == 2 * 3 * 40
    before = torch.get_rng_state()
    batches = set()
    for seed, epoch, batch, rank in np.ndindex(2, 3, 40, 2):
        seed_batch(seed, epoch, batch, rank)
        batches.add(torch.initial_seed() % 2**64)
    torch.set_rng_state(before)
    assert len(batches) == 2 * 3 * 40 * 2
    assert not seeds & batches


@pytest.mark.parametrize("epoch", [0, 4])
@pytest.mark.parametrize(("world_size", "multiple"), [(2, 5), (3, 3)])
def test_processes_together_make_the_draws_of_one(epoch: int, world_size: int, multiple: int) -> None:
    ranks = [draws(epoch, rank, world_size, multiple) for rank in range(world_size)]
    assert len({len(drawn) for drawn in ranks}) == 1
    woven = [draw for together in zip(*ranks, strict=True) for draw in together]
    assert woven == draws(epoch)[: len(woven)]
    assert [draw.number for draw in woven] == list(range(len(woven)))
    assert {draw.epoch for draw in woven} == {epoch}


@given(length=st.integers(1, 60), share=st.integers(1, 8), processes=st.integers(1, 5))
def test_an_epoch_of_several_processes_has_the_batches_of_one(length: int, share: int, processes: int) -> None:
    samplers = [UniformSampler(length, seed=3, rank=rank, world_size=processes) for rank in range(processes)]
    ranks = [list(DrawSampler(sampler, multiple=share)) for sampler in samplers]
    woven = [draw for together in zip(*ranks, strict=True) for draw in together]
    batch = share * processes
    if length >= batch:
        assert woven == list(DrawSampler(UniformSampler(length, seed=3), multiple=batch))
        assert len(woven) == length // batch * batch
    else:  # less than a batch: all that divides evenly among them, the beginning repeated
        assert len(woven) == -(-length // processes) // share * batch


@pytest.mark.parametrize(("multiple", "length"), [(1, 11), (2, 10), (4, 8), (11, 11), (12, 0)])
def test_what_is_left_beyond_a_multiple_is_not_drawn(multiple: int, length: int) -> None:
    sampler = DrawSampler(UniformSampler(11, seed=3), multiple=multiple)
    assert len(sampler) == length
    assert list(sampler) == draws(0)[:length]


@pytest.mark.parametrize("position", [0, 3, 8, 10, 11])
def test_going_on_at_a_place_gives_the_rest_and_then_whole_epochs(position: int) -> None:
    there = UniformSampler(11, seed=3)
    there.set_epoch(2)
    sampler = DrawSampler(UniformSampler(11, seed=3), multiple=4)
    sampler.load_state_dict(there.state_dict(position))
    assert len(sampler) == 8  # schedules count whole epochs
    assert list(sampler) == draws(2, multiple=4)[position:]
    sampler.set_epoch(3)
    assert list(sampler) == draws(3, multiple=4)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_the_size_of_batches_change_no_image(workers: int) -> None:
    images = DrawnImages(data(), seed=5)
    expected = [images[draw] for draw in draws(1)]
    sampler = DrawSampler(UniformSampler(11, seed=3))
    sampler.set_epoch(1)
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(images, batch_size=4, sampler=sampler, num_workers=workers)
    batches = list(loader)
    assert torch.cat([batch[0] for batch in batches]).equal(torch.stack([image for image, _ in expected]))
    assert torch.cat([batch[1] for batch in batches]).equal(torch.stack([target for _, target in expected]))


def test_an_image_that_is_drawn_twice_changes_twice() -> None:
    images = DrawnImages(data(), seed=5)
    changed = [images[Draw(epoch, number, 7)][0] for epoch in range(3) for number in range(3)]
    assert sum(not one.equal(other) for one, other in pairwise(changed)) >= 7


def test_an_image_asked_for_by_its_number_changes_always_alike() -> None:
    images = DrawnImages(data(), seed=5)
    assert len(images) == 11
    torch.manual_seed(0)
    once = images[7][0]
    torch.manual_seed(1)
    assert once.equal(images[7][0])
    assert once.equal(images.__getitems__([2, 7])[1][0])
    pixels = cast("Tensor", data().images)[7]
    assert once.equal(cell_shift(pixels, seeds=[draw_seed(5, Draw(0, 7, 7))]).float() / 255)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        DrawnImages(data(), seed=-1)
