"""Batch norm over the images of all processes: torch's own needs GPUs, so here is one for processes on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nctools.errors import ConfigError
from nctools.features.ranks import current_ranks
from nctools.training.collectives import summed_over_processes


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
        wide = input.float() if input.element_size() < 4 else input
        # Mean first, then what is left: a mean of squares minus a squared mean would lose digits.
        mean = summed_over_processes(wide.mean((0, 2, 3))) / processes
        centred = wide - mean.view(-1, 1, 1)
        variance = summed_over_processes(centred.square().mean((0, 2, 3))) / processes
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


def share_batch_norm(module: nn.Module, *, on_gpu: bool) -> None:
    """Make every batch norm below a module one of all processes; names and weights stay.

    Args:
        module: Changed in place; it must not be a batch norm itself.
        on_gpu: Take torch's own, and timm's for batch norms that bring an activation along.

    Raises:
        ConfigError: If there is a kind of batch norm that has no shared form on CPUs.
    """
    if on_gpu:
        from timm.layers.norm_act import convert_sync_batchnorm

        convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, _shared(child))
        elif isinstance(child, _BatchNorm):
            raise ConfigError(
                f"the network has a {type(child).__name__} ({name}), which processes on CPUs cannot share: train with "
                "trainer.sync_batchnorm=false, in one process, or on GPUs"
            )
        else:
            share_batch_norm(child, on_gpu=on_gpu)


def _shared(norm: nn.BatchNorm2d) -> SharedBatchNorm2d:
    shared = SharedBatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    # The very parameters and buffers, not copies.
    shared._parameters, shared._buffers = norm._parameters, norm._buffers
    return shared.train(norm.training)
