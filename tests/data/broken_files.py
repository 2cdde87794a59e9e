"""Damages files as disks, editors and scripts do, for tests that nothing but a clear error comes of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_PIECES = (
    b"",
    b"\0",
    b"\xff",
    b" ",
    b"\n",
    b",",
    b'"',
    b"[",
    b"}",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"\xc3\xa9",
    b"999",
)


def mutations(content: bytes, times: int, seed: int) -> Iterator[bytes]:
    """Yield the content with bytes changed, pieces put in, cut out or doubled, or its end cut off."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        mutated = content
        for _ in range(int(rng.integers(1, 4))):
            start, end = sorted(rng.integers(0, len(mutated) + 1, size=2).tolist())
            piece = _PIECES[int(rng.integers(len(_PIECES)))]
            mutated = (
                mutated[:start] + piece + mutated[start + 1 :],
                mutated[:start] + piece + mutated[start:],
                mutated[:start] + mutated[min(end, start + 40) :],
                mutated[:end] + mutated[start:],
                mutated[: max(1, end)],
                mutated[:start] + mutated[start : start + 1] * 2 + mutated[start + 1 :],
            )[int(rng.choice(6, p=[0.35, 0.2, 0.2, 0.05, 0.05, 0.15]))]
        yield mutated
