"""Batch norm over the images of all processes, on any device; torch's own ``SyncBatchNorm`` needs GPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from nctools.features.ranks import current_ranks


class SharedBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose statistics, in training, are those of the batch of all processes.

    Each process must hold equally many values. In eval mode and in one process it is ``nn.BatchNorm2d``.

    Example:
        >>> SharedBatchNorm2d(3)(torch.ones(2, 3, 4, 4)).abs().max()
        tensor(0., grad_fn=<MaxBackward1>)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise.

        Args:
            input: ``[B, channels, H, W]``.

        Returns:
            The same shape.
        """
        processes = current_ranks().size
        if not self.training or processes == 1:
            return super().forward(input)
        wide = input.float()
        # Mean first, then what is left: a mean of squares minus a squared mean would lose digits.
        mean = all_reduce(wide.mean((0, 2, 3))) / processes
        centred = wide - mean.view(-1, 1, 1)
        variance = all_reduce(centred.square().mean((0, 2, 3))) / processes
        self._follow(mean.detach(), variance.detach(), processes * input.numel() // input.shape[1])
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normalised: Tensor = centred * scale.view(-1, 1, 1)
        if self.affine:
            normalised = normalised + self.bias.view(-1, 1, 1)
        return normalised.to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / max(count - 1, 1), share)


def share_batch_norm(module: nn.Module) -> None:
    """Make every plain ``nn.BatchNorm2d`` below a module one of all processes; names and weights stay.

    Args:
        module: Changed in place; it must not be a batch norm itself.
    """
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm2d(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            # The very parameters and buffers, not copies.
            shared._parameters, shared._buffers = child._parameters, child._buffers
            setattr(module, name, shared.train(child.training))
        else:
            share_batch_norm(child)
