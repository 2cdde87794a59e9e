"""RLC, COMIC's reflective label corrector: confident predictions are taken for labels that are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.losses._as_numbers import as_numbers
from nctools.losses._checks import (
    check_choice,
    check_floating,
    check_not_negative,
    check_probability,
    check_targets,
    check_whole,
)
from nctools.losses._class_counts import check_num_classes, checked_counts
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.multi_focal_modifier import FocalModifier, FocalVariant

PriorKind = Literal["cumulative", "epoch", "batch"]
Normaliser = Literal["positives", "flips"]
# Probabilities are summed as whole numbers of 2^-32: exact in any order, after any cast of the module, on any device.
_UNITS = 2**32
# What is not given: as in the paper, or as in the authors' code.
_OF_VARIANT: Mapping[str, tuple[PriorKind, float, int | None]] = {
    "paper": ("cumulative", 0.0, None),
    "released": ("batch", 1.0, 32),
}


def corrected_labels(
    logits: Tensor,
    targets: Tensor,
    *,
    threshold: float = 0.7,
    class_prior: Sequence[float] | Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Add the labels that the network is sure of: ``p > max(threshold, P_c)`` where none is annotated.

    No gradient flows through it.

    Args:
        logits: ``[B, C]`` z, floating point.
        targets: ``[B, C]`` 1 where a label is annotated; 0 and -1 where none is: both may be missing labels.
        threshold: Smallest probability, tau; 1 flips nothing.
        class_prior: ``[C]`` P, the usual probability of a class in images that hold it; None: the threshold alone.

    Returns:
        ``[B, C]`` bool, True for annotated and added labels; and ``[B, C]`` bool, True for added ones.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or the threshold is not in [0, 1].

    Source:
        Zhang et al., Learning in Imperfect Environment, ICCV 2023, eq. 2.

    Example:
        >>> logits = torch.tensor([[2.0, 2.0, -2.0, 2.0]])
        >>> targets, prior = torch.tensor([[1, 0, 0, 0]]), torch.tensor([0, 0, 0, 0.9])
        >>> labels, flips = corrected_labels(logits, targets, class_prior=prior)
        >>> labels.int(), flips.int()
        (tensor([[1, 1, 0, 0]], dtype=torch.int32), tensor([[0, 1, 0, 0]], dtype=torch.int32))
    """
    check_floating(logits, "logits", "BC")
    _check_threshold(threshold)
    given = check_targets(targets, logits, "logits")
    probabilities = torch.sigmoid(widen(logits.detach()))
    prior = None
    if class_prior is not None:
        prior = as_numbers(class_prior, "class_prior").to(probabilities)
    if prior is not None and prior.shape != logits.shape[1:]:
        raise ValueError(
            f"`class_prior` has shape {list(prior.shape)} but `logits` has shape {list(logits.shape)}: "
            f"pass one probability for each of the {logits.shape[1]} classes"
        )
    flips = _flips(probabilities, given, threshold, prior)
    return given | flips, flips


class ReflectiveLabelCorrectorLoss(nn.Module):
    """MFM on corrected labels: ``(B / N_t) sum MFM(z, t)``, ``t = corrected_labels(z, y)``, ``N_t`` positives of t.

    The head-tail factor of MFM is that of the counts ``D_t``: the annotated labels and those that were added since the
    start of the epoch, this batch's too. ``D_t`` starts anew in every epoch, so that an image which is corrected in
    every epoch does not count more than once. ``P_c`` is the mean probability of class c over the annotated positives
    of all batches before this one, those before ``start_epoch`` too; a class without any has the threshold alone.
    Only a module in training mode takes note of batches. Its state is in the state dict: a training resumed in the
    middle of an epoch goes on with the same loss.

    The loss knows nothing of processes and sums over none: it must be given the batch of all processes together, as the
    training of nctools does with all losses. B, N_t, D_t and P_c are then those of one process with the whole batch.

    COMIC adds it with weight 0.2 to MFM on the annotated labels. Added labels of the running epoch, by class, are in
    ``flip_counts``.

    Args:
        class_counts: ``[C]`` annotated training positives of each class.
        threshold: Smallest probability of an added label, tau.
        start_epoch: First epoch with a correction, from 0; before, the loss is 0.
        prior: P_c is ``"cumulative"``, the mean probability over the annotated positives of all batches before this
            one; ``"epoch"``, over those of the last finished epoch; ``"batch"``, over all images of this batch, with or
            without the class (released). None: as the variant has it.
        normaliser: N_t is the number of ``"positives"`` after correction, or of ``"flips"``; at least 1.
        margin: Taken from the logits of annotated positives before anything else. None: 0, released 1.
        batch_size: B. None: that of the batch, released 32.
        gamma_pos: As in ``multi_focal_modifier_loss``, as are those that follow.
        gamma_neg: Likewise.
        weight_pos: Likewise.
        weight_neg: Likewise.
        beta: Likewise.
        clip: Likewise.
        detach_focal_weight: Likewise.
        variant: ``"paper"`` or ``"released"``, which also multiplies each entry by the head-tail factor.
        reduction: ``"sum"``, ``"mean"`` (over B C), ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``), all of them
            after the factor B / N_t.

    Raises:
        ValueError: If a value does not fit.

    Attributes:
        flip_counts: ``[C]`` int64, labels added since the start of the epoch.

    Source:
        Zhang et al., Learning in Imperfect Environment, ICCV 2023, eq. 2-3, and the authors' released code. Eq. 3 would
        give annotated positives the term of negatives, too; read as in the code: the target is t. Released, the
        correction runs from epoch 1 on, counted from 1 in one script (from the first batch on) and from 0 in another.

    Example:
        >>> loss = ReflectiveLabelCorrectorLoss([100, 4])
        >>> logits, targets = torch.tensor([[2.0, 2.0]]), torch.tensor([[1, 0]])
        >>> loss(logits, targets, epoch=0), loss(logits, targets, epoch=1)
        (tensor(0.), tensor(0.1269))
        >>> loss.flip_counts
        tensor([0, 1])
    """

    class_counts: Tensor
    prior_sums: Tensor
    prior_counts: Tensor
    last_sums: Tensor
    last_counts: Tensor
    flip_counts: Tensor
    epoch: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        *,
        threshold: float = 0.7,
        start_epoch: int = 1,
        prior: PriorKind | None = None,
        normaliser: Normaliser = "positives",
        margin: float | None = None,
        batch_size: int | None = None,
        gamma_pos: float = 0.0,
        gamma_neg: float = 3.0,
        weight_pos: float = 0.0,
        weight_neg: float = 1.0,
        beta: float = 1 / 6,
        clip: float = 0.05,
        detach_focal_weight: bool = True,
        variant: FocalVariant = "paper",
        reduction: Reduction = "sum",
    ) -> None:
        super().__init__()
        self.modifier = FocalModifier(
            gamma_pos, gamma_neg, weight_pos, weight_neg, beta, clip, detach_focal_weight, variant
        )
        usual_prior, usual_margin, usual_batch = _OF_VARIANT[variant]
        self.prior: PriorKind = usual_prior if prior is None else prior
        self.margin = usual_margin if margin is None else margin
        self.batch_size = usual_batch if batch_size is None else batch_size
        self.threshold, self.start_epoch = threshold, start_epoch
        self.normaliser = normaliser
        self.reduction = reduction
        self._check()
        num_classes = len(checked_counts(class_counts))
        # As given: a class without labels counts as 1, but with one added label as 1, too.
        self.register_buffer("class_counts", torch.as_tensor(class_counts).detach().to("cpu", torch.int64, copy=True))
        for name in ("prior_sums", "prior_counts", "last_sums", "last_counts", "flip_counts"):
            self.register_buffer(name, torch.zeros(num_classes, dtype=torch.int64))
        self.register_buffer("epoch", torch.tensor(-1))

    def extra_repr(self) -> str:
        """Show the settings, among them those that the variant chose.

        Returns:
            One line.
        """
        return shown(self)

    def forward(self, logits: Tensor, targets: Tensor, *, epoch: int) -> Tensor:
        """Compute the loss and, in training mode, take note of the batch.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 1 where a label is annotated, 0 and -1 where none is.
            epoch: Index of the epoch, from 0.

        Returns:
            A scalar, or ``[B, C]`` for ``"none"``; 0, still attached to the graph, before ``start_epoch``.
        """
        check_floating(logits, "logits", "BC")
        check_num_classes(self.class_counts, logits)
        given = check_targets(targets, logits, "logits")
        wide = widen(logits)
        shifted = wide - self.margin * given.to(wide)
        probabilities = torch.sigmoid(shifted.detach())
        if self.training:
            self._begin(epoch)
        if epoch < self.start_epoch:
            flips, loss = torch.zeros_like(given), reduce_entries(0 * shifted, self.reduction)
        else:
            flips = _flips(probabilities, given, self.threshold, self.class_prior(probabilities))
            loss = self._corrected(shifted, given, flips, epoch)
        if self.training:
            self._note(probabilities, given, flips)
        return loss

    def class_prior(self, probabilities: Tensor) -> Tensor:
        """Give ``P_c``, which an added label's probability must exceed.

        Args:
            probabilities: ``[B, C]`` of this batch, which only ``prior="batch"`` looks at.

        Returns:
            ``[C]``; 0 for a class that was not seen yet.
        """
        if self.prior == "batch":
            return probabilities.mean(0)
        last = self.prior == "epoch"
        sums, counts = (self.last_sums, self.last_counts) if last else (self.prior_sums, self.prior_counts)
        return sums.to(probabilities) / _UNITS / counts.clamp_min(1)

    def _check(self) -> None:
        check_choice(self.prior, "prior", get_args(PriorKind))
        check_choice(self.normaliser, "normaliser", get_args(Normaliser))
        check_reduction(self.reduction)
        check_not_negative(self.margin, "margin")
        _check_threshold(self.threshold)
        check_whole(self.start_epoch, "start_epoch", "epochs are counted from 0", at_least=0)
        if self.batch_size is not None:
            check_whole(self.batch_size, "batch_size", "pass a number of images, at least 1, or None", at_least=1)

    def _corrected(self, shifted: Tensor, given: Tensor, flips: Tensor, epoch: int) -> Tensor:
        labels = given | flips
        added = flips.sum(0)
        # An evaluation within an epoch sees what the training added; one of another epoch does not.
        earlier = self.flip_counts if int(self.epoch) == epoch else torch.zeros_like(added)
        entries = self.modifier.entries(shifted, labels, (self.class_counts + earlier + added).clamp_min(1))
        counted = (labels if self.normaliser == "positives" else flips).sum().clamp_min(1)
        size = len(shifted) if self.batch_size is None else self.batch_size
        return reduce_entries(size * entries / counted, self.reduction)

    def _begin(self, epoch: int) -> None:
        if int(self.epoch) == epoch:
            return
        self.epoch.fill_(epoch)
        self.flip_counts.zero_()
        if self.prior == "epoch":
            self.last_sums.copy_(self.prior_sums)
            self.last_counts.copy_(self.prior_counts)
            self.prior_sums.zero_()
            self.prior_counts.zero_()

    def _note(self, probabilities: Tensor, given: Tensor, flips: Tensor) -> None:
        self.flip_counts.add_(flips.sum(0))
        self.prior_sums.add_((_UNITS * probabilities * given).round().long().sum(0))
        self.prior_counts.add_(given.sum(0))


def _flips(probabilities: Tensor, given: Tensor, threshold: float, class_prior: Tensor | None) -> Tensor:
    least = probabilities.new_tensor(threshold)
    if class_prior is not None:
        least = torch.maximum(least, class_prior.to(probabilities))
    return ~given & (probabilities > least)


def _check_threshold(threshold: float) -> None:
    check_probability(threshold, "threshold")
