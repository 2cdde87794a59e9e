"""Puts a model into the state that features are read in, and back; runs one batch through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from nctools.features.batches import BatchReader, FileBatch
from nctools.features.hooks import FeatureExtractor

_Result = TypeVar("_Result")
Autocast = Literal["bfloat16", "float16"]
_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def home_of(model: nn.Module) -> torch.device:
    """Tell where a model is.

    Args:
        model: Any module.

    Returns:
        The device of its first parameter or buffer; the CPU if it has none.
    """
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def own_prefix_tokens(model: nn.Module) -> int | None:
    """Ask a model how many class and register tokens come before its patches.

    Args:
        model: Any module.

    Returns:
        ``num_prefix_tokens`` of the first module that has it, as transformers of timm do; else None.
    """
    found = (getattr(module, "num_prefix_tokens", None) for module in model.modules())
    return next((number for number in found if isinstance(number, int)), None)


@contextmanager
def ready_model(model: nn.Module, device: torch.device, *, channels_last: bool = False) -> Iterator[None]:
    """Set a model to eval mode on a device; put modes, device and memory format back at the end.

    Args:
        model: Any module.
        device: Where to run.
        channels_last: Lay its convolutions out for ``torch.channels_last``.

    Yields:
        Nothing.
    """
    # The mode is put back module by module: a frozen part may have been in eval mode before.
    modes = {module: module.training for module in model.modules()}
    home = home_of(model)
    kernels = [tensor for tensor in chain(model.parameters(), model.buffers()) if tensor.ndim == 4]
    change = channels_last and not all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
    try:
        model.eval()
        if device != home:
            model.to(device)
        if change:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        yield
    finally:
        if change:
            model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        if device != home:
            model.to(home)
        for module, training in modes.items():
            module.training = training


def read_batch(
    extractor: FeatureExtractor,
    reader: BatchReader,
    images: Tensor,
    targets: Tensor,
    *,
    device: torch.device,
    autocast: Autocast | None = None,
    channels_last: bool = False,
) -> FileBatch:
    """Run one batch and pick what a file keeps of it.

    Args:
        extractor: Has its hooks on the model.
        reader: Checks features and labels.
        images: ``[B, ...]``.
        targets: ``[B, C]`` or ``[B]``.
        device: Where the model is.
        autocast: Half type of the forward pass, or None.
        channels_last: Lay images ``[B, ch, h, w]`` out for ``torch.channels_last``.

    Returns:
        The rows.
    """
    # Not inference_mode: what modules keep from this pass must be of use in a training that goes on.
    with torch.no_grad():
        features = run_batch(extractor, images, device, autocast=autocast, channels_last=channels_last)
        return reader.read(features, extractor.output, targets)


def run_batch(
    model: Callable[[Tensor], _Result],
    images: Tensor,
    device: torch.device,
    *,
    autocast: Autocast | None = None,
    channels_last: bool = False,
) -> _Result:
    """Run a model, or an extractor on it, over a batch.

    Args:
        model: What is called.
        images: ``[B, ...]``.
        device: Where the model is.
        autocast: Half type of the forward pass, or None.
        channels_last: Lay images ``[B, ch, h, w]`` out for ``torch.channels_last``.

    Returns:
        What it returned.
    """
    images = images.to(device, non_blocking=True)
    if channels_last and images.ndim == 4:
        images = images.contiguous(memory_format=torch.channels_last)
    with nullcontext() if autocast is None else torch.autocast(device.type, _HALF[autocast]):
        return model(images)
