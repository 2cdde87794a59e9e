"""Randomness as a function of seed and place, and a record of the environment."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
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
    drawn = np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(drawn))


def environment() -> dict[str, str]:
    """Record the versions that a result depends on.

    Returns:
        Name -> version, and the processor or GPU.
    """
    versions = {name: _version(name) for name in _RECORDED}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu ({torch.get_num_threads()} threads)"
    return {"python": platform.python_version(), "platform": platform.platform(), "device": device, **versions}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
