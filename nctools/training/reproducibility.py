"""Randomness as a function of seed and place, and a record of the environment."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager

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
