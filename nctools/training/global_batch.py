"""The batch of all processes together: losses that compare images with each other need the whole of it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from nctools.features.ranks import current_ranks
from nctools.models.output import Output
from nctools.training.collectives import collected_from_processes


def global_batch(output: Output, targets: Tensor) -> tuple[Output, Tensor]:
    """Bring the outputs and targets of all processes to each of them, which then computes the loss of the whole batch.

    The gradient of each process is that of its own images, times the number of processes: the mean over processes, that
    Lightning's DDP takes, is the gradient of the loss of the whole batch.

    Args:
        output: What the network returned for the images of this process.
        targets: Their targets ``[B, C]``.

    Returns:
        Output without maps and targets of all images, in the order in which one process would have had them; what was
        passed where there is one process.
    """
    if current_ranks().size == 1:
        return output, targets
    features = {name: _woven(value) for name, value in output.features.items()}
    return replace(output, logits=_woven(output.logits), features=features, maps=None), _woven(targets)


def _woven(values: Tensor) -> Tensor:
    # Samplers cut a batch by stride: [rank, image, ...] -> [image, rank, ...] is the order before the cut.
    return collected_from_processes(values).transpose(0, 1).flatten(0, 1)
