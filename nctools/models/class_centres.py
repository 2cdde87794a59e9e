"""Class centres of MLC-NC: means of the projected positives, as buffers, the same on every rank."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, distributed, nn

CentreMode = Literal["epoch", "running"]


class ClassCentres(nn.Module):
    """Mean of each class's projected positives: ``update`` every batch, ``end_epoch`` makes them the centres.

    All state is in buffers, so a checkpoint written in the middle of an epoch restores it exactly.

    ``update`` adds up over ranks at once, not at the end of the epoch: ``DistributedDataParallel`` overwrites the
    buffers of every rank with those of the first at each forward pass, which would lose the other ranks' sums, and
    a checkpoint in mid-epoch would hold those of one rank only. The price is one small all-reduce per batch.

    Args:
        num_classes: C.
        num_features: Width p.
        mode: ``"epoch"``: mean over the positives of the last epoch (paper). ``"running"``: mean over all positives
            since the start of training (released code).

    Raises:
        ValueError: If the mode is unknown.

    Source:
        MLC-NC (AAAI 2025), FPC.

    Example:
        >>> centres = ClassCentres(2, 3)
        >>> centres.update(torch.ones(4, 2, 3), torch.tensor([[1, 0]] * 4))
        >>> centres.end_epoch()
        >>> centres.seen, centres.centres[0]
        (tensor([ True, False]), tensor([1., 1., 1.]))
    """

    # A mean over steps of sums over an epoch, or of centres, is neither: averaged weights hold these as they are.
    not_averaged: ClassVar[tuple[str, ...]] = ("centres", "seen", "sums", "counts")

    centres: Tensor  # [C, p]; a class that was not seen in an epoch keeps its earlier centre; 0 until first seen
    seen: Tensor  # [C] bool: the centre exists
    sums: Tensor  # [C, p] float32 and counts [C] int64: since the start of the epoch, or of training ("running")
    counts: Tensor

    def __init__(self, num_classes: int, num_features: int, mode: CentreMode = "epoch") -> None:
        super().__init__()
        if mode not in get_args(CentreMode):
            raise ValueError(f"`mode` is {mode!r}: pass one of {', '.join(map(repr, get_args(CentreMode)))}")
        self.mode = mode
        self.register_buffer("centres", torch.zeros(num_classes, num_features))
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.bool))
        self.register_buffer("sums", torch.zeros(num_classes, num_features))
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.int64))

    @torch.no_grad()
    def update(self, projected: Tensor, targets: Tensor) -> None:
        """Add a batch's positives; with several ranks, those of all of them (each must call it equally often).

        Args:
            projected: ``[B, C, p]``.
            targets: ``[B, C]``; values above 0 count as positive.

        Raises:
            ValueError: If the shapes do not agree.
        """
        if projected.dim() != 3 or projected.shape[1:] != self.centres.shape:
            raise ValueError(
                f"`projected` has shape {list(projected.shape)} but the centres have shape "
                f"{list(self.centres.shape)}: pass [B, {self.centres.shape[0]}, {self.centres.shape[1]}]"
            )
        if targets.shape != projected.shape[:2]:
            raise ValueError(
                f"`targets` has shape {list(targets.shape)} but `projected` has shape {list(projected.shape)}: "
                "pass the targets [B, C] of the same images and classes"
            )
        positive = targets > 0
        # Not einsum: autocast would add up in half precision.
        sums = projected.float().masked_fill(~positive.unsqueeze(2), 0).sum(0)
        batch = torch.cat([sums, positive.sum(0, dtype=torch.float32).unsqueeze(1)], 1)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(batch)
        self.sums += batch[:, :-1]
        self.counts += batch[:, -1].to(torch.int64)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Make the means the centres; in mode ``"epoch"``, start the next epoch's sums at zero."""
        observed = self.counts > 0
        means = self.sums / self.counts.clamp_min(1).unsqueeze(1)
        self.centres.copy_(torch.where(observed.unsqueeze(1), means, self.centres))
        self.seen |= observed
        if self.mode == "epoch":
            self.sums.zero_()
            self.counts.zero_()
