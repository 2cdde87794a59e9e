"""Randomness as a function of seed and place, and a record of the environment."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

_RECORDED = (
    "nctools", "torch", "torchvision", "lightning", "torchmetrics", "timm", "numpy", "scipy", "h5py", "pandas",
)  # fmt: skip


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's global generators seeded, and put them back as they were.

    Args:
        seed: Any non-negative integer.

    Yields:
        Nothing.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def seed_batch(seed: int, epoch: int, batch: int, rank: int) -> None:
    """Seed torch's generators for one batch: what is drawn in it (dropout) depends on nothing that came before.

    Args:
        seed: Seed of the run.
        epoch: Index of the epoch.
        batch: Index of the batch in it.
        rank: Process: each draws numbers of its own.
    """
    # To a SeedSequence a zero at the end is nothing: from rank 0 a batch would have the seed of the draw of its number.
    drawn = np.random.SeedSequence([seed, epoch, batch, rank + 1]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(drawn))


def environment() -> dict[str, str]:
    """Record the versions that a result depends on.

    Returns:
        Name -> version, the processor or GPU, and the threads of torch.
    """
    versions = {name: _version(name) for name in _RECORDED}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "threads": str(torch.get_num_threads()),
        **versions,
    }


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> list[str]:
    """Tell in what two environments differ that may change the last bits of a result.

    Args:
        there: An earlier ``environment()``; what it does not know is not compared.
        here: That of now.

    Returns:
        For each difference ``"torch 2.12.0, now 2.13.0"``.

    Example:
        >>> differences({"torch": "2.12.0", "threads": "4"}, {"torch": "2.13.0", "threads": "4"})
        ['torch 2.12.0, now 2.13.0']
    """
    return [f"{name} {there[name]}, now {here[name]}" for name in here if there.get(name, here[name]) != here[name]]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
