from __future__ import annotations

import itertools
import math
import random
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from nctools.data.dataset import MultiLabelDataset
from nctools.data.loading import load_dataset
from nctools.data.published.facts import PUBLISHED_SPLITS
from nctools.data.samplers import ClassAwareSampler

Labels = NDArray[np.int64]


@st.composite
def label_matrices(draw: st.DrawFn) -> Labels:
    """0/1 matrices in which every class has an image."""
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 5)))
    targets = draw(arrays(np.int64, shape, elements=st.integers(0, 1)))
    targets[0] = 1
    return targets


def single_label(counts: list[int]) -> Labels:
    """One label per image, so that the class that drew an image is known from the image."""
    return np.eye(len(counts), dtype=np.int64)[np.repeat(np.arange(len(counts)), counts)]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.integers(1, 8), st.integers(0, 99))
def test_every_cycle_draws_each_class_once_and_each_image_equally_often(
    counts: list[int], k: int, cycles: int, seed: int
) -> None:
    targets = single_label(counts)
    length = cycles * len(counts) * k
    sequence = ClassAwareSampler(targets, num_samples_per_class=k, length=length, seed=seed).global_sequence()
    classes = targets.argmax(axis=1)[sequence].reshape(cycles, len(counts), k)
    assert (classes == classes[:, :, :1]).all()  # each class drawn gives k images in a row
    assert (np.sort(classes[:, :, 0], axis=1) == np.arange(len(counts))).all()
    for m in range(1, cycles + 1):
        times = np.bincount(sequence[: m * len(counts) * k], minlength=len(targets))
        for c, count in enumerate(counts):
            drawn = times[targets[:, c] == 1]
            assert set(drawn.tolist()) <= {math.floor(m * k / count), math.ceil(m * k / count)}


@given(label_matrices(), st.integers(1, 4), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 40)))
def test_ranks_share_out_the_sequence_of_one_process(
    targets: Labels, world_size: int, k: int, length: int | None
) -> None:
    alone = list(ClassAwareSampler(targets, num_samples_per_class=k, length=length))
    parts = [
        ClassAwareSampler(targets, num_samples_per_class=k, length=length, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    assert {len(part) for part in parts} == {len(list(part)) for part in parts} == {math.ceil(len(alone) / world_size)}
    woven = list(itertools.chain.from_iterable(zip(*parts, strict=True)))
    assert woven[: len(alone)] == alone
    assert len(woven) - len(alone) < world_size
    assert woven[len(alone) :] == list(itertools.islice(itertools.cycle(alone), len(woven) - len(alone)))


@given(label_matrices())
def test_default_length_is_the_largest_count_times_the_classes(targets: Labels) -> None:
    sampler = ClassAwareSampler(targets)
    assert len(sampler) == len(list(sampler)) == targets.sum(axis=0).max() * targets.shape[1]


@pytest.mark.parametrize(
    ("split", "reduce", "length"),
    [("voc_lt", 4, 3_875), ("voc_lt", 1, 15_500), ("coco_lt", 4, 22_560), ("coco_lt", 1, 90_240)],
)
def test_epochs_are_as_long_as_those_of_the_published_code(split: str, reduce: int, length: int) -> None:
    counts = PUBLISHED_SPLITS[split].class_counts
    assert counts is not None
    assert ClassAwareSampler(single_label(list(counts)), reduce=reduce).length == length


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ({}, [2, 15, 13, 3, 6, 14, 15, 4, 5, 11, 14, 0, 1, 8, 14, 1, 15, 12, 2, 10, 14, 15, 4, 7, 14, 3, 9]),
        (
            {"num_samples_per_class": 3, "length": 20},
            [3, 0, 4, 14, 15, 14, 9, 5, 6, 2, 1, 0, 10, 7, 12, 15, 15, 14, 15, 14],
        ),
    ],
)
def test_the_order_stays_that_of_earlier_runs(settings: dict[str, int], drawn: list[int]) -> None:
    sampler = ClassAwareSampler(single_label([5, 9, 2]), seed=3, **settings)
    sampler.set_epoch(2)
    assert list(sampler) == drawn


def test_label_frequencies_are_those_of_the_class_cycle() -> None:
    targets = load_dataset("digits_lt").targets.numpy().astype(np.int64)
    num_classes, length = targets.shape[1], 20_000
    sequence = ClassAwareSampler(targets, length=length, seed=11).global_sequence()
    by_class = [targets[targets[:, c] == 1] for c in range(num_classes)]
    expected = np.mean([rows.mean(axis=0) for rows in by_class], axis=0)  # p_i / C
    error = np.sqrt(expected * (1 - expected) / length)
    assert (np.abs(targets[sequence].mean(axis=0) - expected) <= 4 * error).all()
    assert expected.max() / expected.min() > 2  # with several labels the draw is not balanced


def test_order_is_a_function_of_seed_and_epoch_alone() -> None:
    targets = single_label([5, 9, 2])
    sampler = ClassAwareSampler(targets, seed=3)
    first = list(sampler)
    random.seed(1)
    torch.manual_seed(1)
    assert list(sampler) == first == list(ClassAwareSampler(torch.from_numpy(targets).float(), seed=3))
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(ClassAwareSampler(targets, seed=4)) != first


def test_global_generators_are_left_alone() -> None:
    before = torch.get_rng_state(), random.getstate()
    list(ClassAwareSampler(single_label([5, 9, 2])))
    assert torch.get_rng_state().equal(before[0])
    assert random.getstate() == before[1]


def test_epoch_resumes_at_any_position() -> None:
    sampler = ClassAwareSampler(single_label([5, 9, 2]), seed=2)
    sampler.set_epoch(7)
    assert list(itertools.islice(sampler, 10, None)) == list(sampler)[10:]


def test_classes_without_images_are_skipped_with_a_warning() -> None:
    targets = np.insert(single_label([4, 2]), 1, 0, axis=1)
    with pytest.warns(UserWarning, match=r"skips 1 of 3 classes without images: \[1\]"):
        sampler = ClassAwareSampler(targets)
    assert len(sampler) == 4 * 2
    assert list(sampler) == list(ClassAwareSampler(single_label([4, 2])))


def test_unknown_entries_are_not_drawn() -> None:
    targets = single_label([4, 2])
    unknown = np.where(targets == 0, -1, targets)
    assert list(ClassAwareSampler(unknown)) == list(ClassAwareSampler(targets))


def test_loader_draws_the_batches_of_the_sampler(small_dataset: MultiLabelDataset) -> None:
    sampler = ClassAwareSampler(small_dataset.targets)
    loader = DataLoader(small_dataset, batch_size=4, sampler=sampler)
    drawn = torch.cat([images[:, 0, 0, 0] for images, _ in loader]).tolist()
    assert drawn == list(sampler)
    assert 4 not in drawn  # the image without a label


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples_per_class": 0}, "`num_samples_per_class` is 0"),
        ({"length": 0}, "`length` is 0"),
        ({"reduce": 0}, "`reduce` is 0"),
        ({"length": 4, "reduce": 2}, "`length` is 4 and `reduce` 2"),
        ({"reduce": 9}, "`length` is 0"),
        ({"seed": -1}, "`seed` is -1"),
        ({"rank": 2, "world_size": 2}, r"`rank` is 2 with `world_size` 2: it must be 0\.\.1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassAwareSampler(single_label([2, 1]), **arguments)


def test_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`targets` has shape \[4\]"):
        ClassAwareSampler(np.zeros(4))
    with pytest.raises(ValueError, match=r"`targets` holds 2 at image 0, class 1: an entry must be 1 \(present\)"):
        ClassAwareSampler(np.array([[1, 2]]))
    with pytest.raises(ValueError, match=r"shape \[4, 2\] holds no label at all"):
        ClassAwareSampler(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="`epoch` is -1"):
        ClassAwareSampler(np.ones((1, 1))).set_epoch(-1)


def test_full_data_set_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ClassAwareSampler(load_dataset("digits_lt").targets)) == 775 * 20
