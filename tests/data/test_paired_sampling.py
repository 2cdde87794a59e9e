from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nctools.data.dataset import MultiLabelDataset
from nctools.data.paired_sampling import PairedDataset, PairedSampler
from nctools.data.samplers import ClassAwareSampler
from nctools.data.weighted_samplers import ClassPriorSampler, UniformSampler

TARGETS = np.eye(2, dtype=np.int64)[np.repeat(np.arange(2), [6, 2])]


@pytest.mark.parametrize("swapped", [False, True])
def test_an_epoch_has_the_length_of_the_longer_stream_and_the_shorter_starts_again(swapped: bool) -> None:
    short, long = UniformSampler(8, seed=1), ClassPriorSampler(TARGETS, -1, length=20)
    pair = PairedSampler(long, short) if swapped else PairedSampler(short, long)
    pair.set_epoch(2)
    first, second = map(list, zip(*pair, strict=True))
    drawn = {"short": second if swapped else first, "long": first if swapped else second}
    assert len(pair) == 20
    assert drawn["long"] == long.global_sequence(2).tolist()
    expected = short.global_sequence(2).tolist()
    assert drawn["short"] == expected + expected + expected[:4]


def test_a_loader_gives_two_batches_beside_each_other(small_dataset: MultiLabelDataset) -> None:
    pair = PairedSampler(UniformSampler(6), ClassAwareSampler(small_dataset.targets, length=6))
    loader = DataLoader(PairedDataset(small_dataset), batch_size=3, sampler=pair)
    assert len(loader.dataset) == 6  # type: ignore[arg-type]
    drawn = []
    for (first, first_targets), (second, second_targets) in loader:
        assert first_targets.equal(small_dataset.targets[first[:, 0, 0, 0].long()])
        assert second_targets.equal(small_dataset.targets[second[:, 0, 0, 0].long()])
        drawn += list(zip(first[:, 0, 0, 0].tolist(), second[:, 0, 0, 0].tolist(), strict=True))
    assert drawn == list(pair)


def test_a_data_set_without_batches_is_asked_one_by_one() -> None:
    paired = PairedDataset(TensorDataset(torch.arange(4)))
    assert paired[1, 3] == ((torch.tensor(1),), (torch.tensor(3),))
    assert paired.__getitems__([(1, 3), (0, 0)]) == [paired[1, 3], paired[0, 0]]


def test_streams_of_different_ranks_are_refused() -> None:
    with pytest.raises(ValueError, match="first sampler is rank 0 of 2, the second rank 1 of 2"):
        PairedSampler(UniformSampler(4, world_size=2), UniformSampler(4, rank=1, world_size=2))
