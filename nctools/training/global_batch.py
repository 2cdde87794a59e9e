"""The batch of all processes together: losses that compare images with each other need the whole of it."""

from __future__ import annotations

from dataclasses import replace

import lightning.pytorch as pl
from torch import Tensor

from nctools.features.ranks import current_ranks
from nctools.models.output import Output


def global_batch(module: pl.LightningModule, output: Output, targets: Tensor) -> tuple[Output, Tensor]:
    """Bring the outputs and targets of all processes to each of them.

    Gradients flow back to the process that an output came from, as the sum over what all processes made of it.
    Lightning's DDP then takes the mean over processes: the gradient is that of the loss of the whole batch.

    Args:
        module: Any module of a running ``Trainer``.
        output: What the network returned for the images of this process.
        targets: Their targets ``[B, C]``.

    Returns:
        Output without maps and targets of all images, in the order in which one process would have had them; what was
        passed where there is one process.
    """
    if current_ranks().size == 1:
        return output, targets
    features = {name: _gathered(module, value) for name, value in output.features.items()}
    return (
        replace(output, logits=_gathered(module, output.logits), features=features, maps=None),
        _gathered(module, targets),
    )


def _gathered(module: pl.LightningModule, values: Tensor) -> Tensor:
    # Samplers cut a batch by stride: [rank, image, ...] -> [image, rank, ...] is the order before the cut.
    every = module.all_gather(values.contiguous(), sync_grads=values.requires_grad)
    if not isinstance(every, Tensor):
        raise TypeError(f"all_gather gave a {type(every).__name__}, not a tensor")
    return every.transpose(0, 1).flatten(0, 1)
