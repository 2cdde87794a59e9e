from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctools.data.portable_random import PortableRandom


def test_the_stream_is_the_one_written_down() -> None:
    # Every split and every dropped label of a user hangs on these numbers.
    rng = PortableRandom(0)
    assert [rng.below(1000) for _ in range(6)] == [271, 617, 24, 533, 971, 894]
    assert PortableRandom(5, stream=1).sample(list(range(10)), 10) == [3, 4, 2, 6, 1, 9, 5, 7, 8, 0]
    assert (PortableRandom(7).shares(3) * 2**53).astype(np.int64).tolist() == [
        5630359420943529,
        8081383479436493,
        6986755571089759,
    ]


@given(st.integers(0, 2**60), st.lists(st.integers(), max_size=20), st.data())
def test_a_sample_holds_different_places_and_a_full_one_all(seed: int, values: list[int], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(values)))
    before = list(values)
    drawn = PortableRandom(seed).sample(values, number)
    assert values == before
    assert len(drawn) == number
    assert not Counter(drawn) - Counter(values)
    assert PortableRandom(seed).sample(values, len(values))[:number] == drawn


def test_every_order_is_equally_likely() -> None:
    rng = PortableRandom(1)
    times = Counter(tuple(rng.sample([0, 1, 2], 3)) for _ in range(6000))
    assert len(times) == 6
    assert max(abs(count - 1000) for count in times.values()) <= 4 * math.sqrt(1000 * 5 / 6)


def test_shares_fill_the_interval_evenly() -> None:
    shares = PortableRandom(0).shares(20_000)
    assert shares.dtype == np.float64
    assert shares.min() >= 0
    assert shares.max() < 1
    counts = np.histogram(shares, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 2000).max() <= 4 * math.sqrt(2000 * 0.9)
    assert PortableRandom(0).shares(0).shape == (0,)


def test_streams_and_seeds_differ() -> None:
    firsts = {PortableRandom(seed, stream=stream).below(2**60) for seed in range(5) for stream in range(2)}
    assert len(firsts) == 10


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="`seed` is -3: it must not be negative"):
        PortableRandom(-3)
