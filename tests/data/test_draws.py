"""Processes together draw the batches of one, as many in an epoch, whatever divides evenly or not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nctools.data.draws import Draw, DrawSampler
from nctools.data.weighted_samplers import UniformSampler


def drawn(length: int, share: int, processes: int) -> list[list[Draw]]:
    samplers = [UniformSampler(length, seed=3, rank=rank, world_size=processes) for rank in range(processes)]
    return [list(DrawSampler(sampler, multiple=share)) for sampler in samplers]


@given(length=st.integers(1, 60), share=st.integers(1, 8), processes=st.integers(1, 5))
def test_an_epoch_has_the_batches_of_one_process(length: int, share: int, processes: int) -> None:
    batch = share * processes
    ranks = drawn(length, share, processes)
    woven = [draw for draws in zip(*ranks, strict=True) for draw in draws]
    if length >= batch:
        assert woven == drawn(length, batch, 1)[0]
        assert len(woven) == length // batch * batch
    else:
        # Less than a batch: each process has equally many, and numbers its draws for itself.
        assert len({len(draws) for draws in ranks}) == 1
        assert [draw.number for draw in woven] == list(range(len(woven)))


def test_the_length_is_what_is_drawn() -> None:
    for length in range(1, 20):
        sampler = DrawSampler(UniformSampler(length, rank=1, world_size=2), multiple=3)
        assert len(sampler) == len(list(sampler))
