"""P-ASL: ASL for labels of three kinds, present, absent and not annotated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.losses._as_numbers import as_numbers
from nctools.losses._checks import (
    check_choice,
    check_clip,
    check_floating,
    check_not_negative,
    check_probability,
    check_whole,
    positive_and_unknown,
)
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.asymmetric import asymmetric_entries

PartialMode = Literal["selective", "negative", "ignore", "ignore_normalize"]


def partial_asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 1.0,
    gamma_unknown: float = 2.0,
    alpha_pos: float = 1.0,
    alpha_neg: float = 1.0,
    alpha_unknown: float = 1.0,
    clip: float = 0.0,
    mode: PartialMode = "selective",
    likelihood_topk: int = 5,
    class_prior: Sequence[float] | Tensor | None = None,
    prior_threshold: float = 0.05,
    zeros_unknown: bool = False,
    reduction: Reduction = "sum",
) -> Tensor:
    """Partial asymmetric loss: ``w a (focal factor) (-log)``, entries not annotated as negatives of a third kind.

    ``a+ (1-p)^g+ (-log p)`` for a positive, ``a- p_m^g- (-log(1 - p_m))`` for a negative and
    ``a_u p_m^g_u (-log(1 - p_m))`` for an entry not annotated, ``p_m = max(p - clip, 0)``; the focal factors are
    constants of the backward pass. The weight ``w`` of entries that are not annotated is the subject of ``mode``:

    * ``"selective"`` (the method): 0 for the ``likelihood_topk B`` of the whole batch with the highest p, and, with a
      class prior, for all of classes whose prior is above the threshold; 1 for the others.
    * ``"negative"``: 1.
    * ``"ignore"``: 0.
    * ``"ignore_normalize"``: 0; annotated entries have ``1 + 1 / (1 + number annotated in the image)``.

    ``"selective"`` compares the images of one batch, so that the loss depends on the batch.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 1, 0, or -1 (not annotated), or bool. Without any -1 ``"selective"`` leaves nothing out.
        gamma_pos: g+ of positives.
        gamma_neg: g- of negatives.
        gamma_unknown: g_u of entries not annotated.
        alpha_pos: a+ of positives.
        alpha_neg: a- of negatives.
        alpha_unknown: a_u of entries not annotated.
        clip: Taken from the probability of all but positives.
        mode: As above.
        likelihood_topk: Entries left out, as a mean over the images of the batch.
        class_prior: ``[C]`` share of images that hold each class, in truth: the mean prediction of a first model that
            was trained with ``"ignore"``. None: not used.
        prior_threshold: Classes above it are left out where they are not annotated.
        zeros_unknown: Every 0 is an entry that was not annotated, as in the sets with partial labels (PLT).
        reduction: ``"sum"``, ``"mean"`` over B C, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``). Entries that
            are left out are zeros that count in the mean.

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or an argument is out of its range.

    Source:
        Ben-Baruch et al., Multi-label Classification with Partial Annotations using Class-aware Selective Loss, CVPR
        2022; defaults of the authors' code, whose example for COCO has g- = g_u = 4 and the threshold 0.5.

    Limit:
        ASL where everything is annotated (all modes but ``"ignore_normalize"``), and in the mode ``"negative"`` with
        g_u = g-.

    Example:
        >>> logits, targets = torch.zeros(1, 3), torch.tensor([[1, 0, -1]])
        >>> partial_asymmetric_loss(logits, targets, mode="negative", reduction="none")
        tensor([[0.6931, 0.3466, 0.1733]])
        >>> partial_asymmetric_loss(logits, targets, likelihood_topk=1, reduction="none")
        tensor([[0.6931, 0.3466, 0.0000]])
    """
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    _check_numbers(gamma_pos, gamma_neg, gamma_unknown, alpha_pos, alpha_neg, alpha_unknown)
    check_clip(clip)
    _check_selection(mode, likelihood_topk, prior_threshold)
    prior = None if class_prior is None else as_numbers(class_prior, "class_prior")
    if prior is not None:
        _check_prior(prior, logits.shape[1])
    if zeros_unknown:
        unknown = ~positive
    elif unknown is None:
        unknown = torch.zeros_like(positive)
    wide = widen(logits)
    gammas = torch.full_like(wide, gamma_neg).masked_fill(unknown, gamma_unknown)
    entries = asymmetric_entries(
        wide, positive, gamma_neg=gammas, gamma_pos=gamma_pos, clip=clip, eps=None, detach=True
    )
    alphas = torch.full_like(wide, alpha_neg).masked_fill(unknown, alpha_unknown).masked_fill(positive, alpha_pos)
    if mode == "ignore_normalize":
        annotated = (~unknown).sum(1, keepdim=True).to(wide.dtype)
        alphas = alphas * (1 + 1 / (1 + annotated))
    dropped = _dropped(logits.detach(), unknown, mode, likelihood_topk)
    if mode == "selective" and prior is not None:
        dropped = dropped | (unknown & (prior > prior_threshold).to(logits.device))
    return reduce_entries((alphas * entries).masked_fill(dropped, 0), reduction)


def _dropped(logits: Tensor, unknown: Tensor, mode: PartialMode, topk: int) -> Tensor:
    """Mark the entries not annotated that do not count, but for those that a class prior tells of.

    Args:
        logits: ``[B, C]``, without a graph.
        unknown: ``[B, C]`` bool.
        mode: As in ``partial_asymmetric_loss``.
        topk: Entries left out for each image, as a mean.

    Returns:
        ``[B, C]`` bool.
    """
    if mode == "negative":
        return torch.zeros_like(unknown)
    if mode != "selective":
        return unknown
    # By the logits, which still differ where probabilities are rounded to 1. Annotated entries come last, and where
    # there are too few others they are marked for nothing.
    ranked = logits.masked_fill(~unknown, -torch.inf).flatten()
    places = ranked.topk(min(topk * len(logits), len(ranked))).indices
    likeliest = torch.zeros_like(unknown).flatten().index_fill(0, places, True)
    return likeliest.view_as(unknown) & unknown


def _check_numbers(
    gamma_pos: float, gamma_neg: float, gamma_unknown: float, alpha_pos: float, alpha_neg: float, alpha_unknown: float
) -> None:
    gammas = {"gamma_pos": gamma_pos, "gamma_neg": gamma_neg, "gamma_unknown": gamma_unknown}
    for name, gamma in gammas.items():
        check_not_negative(gamma, name)
    for name, alpha in {"alpha_pos": alpha_pos, "alpha_neg": alpha_neg, "alpha_unknown": alpha_unknown}.items():
        check_not_negative(alpha, name)


def _check_selection(mode: PartialMode, likelihood_topk: int, prior_threshold: float) -> None:
    check_choice(mode, "mode", get_args(PartialMode))
    check_whole(likelihood_topk, "likelihood_topk", "pass a whole number, 0 or more", at_least=0)
    check_probability(prior_threshold, "prior_threshold")


def _check_prior(class_prior: Tensor, num_classes: int) -> None:
    if class_prior.shape != (num_classes,):
        raise ValueError(
            f"`class_prior` has shape {list(class_prior.shape)} but there are {num_classes} classes: pass one "
            f"probability for each, [{num_classes}]"
        )
    # A branch on a value cannot be traced.
    if torch.compiler.is_compiling():
        return
    bad = ~((class_prior >= 0) & (class_prior <= 1))
    if bool(bad.any()):
        place = int(bad.nonzero()[0])
        raise ValueError(f"`class_prior[{place}]` is {class_prior[place].item():g}: pass probabilities from 0 to 1")


class PartialAsymmetricLoss(nn.Module):
    """Module of ``partial_asymmetric_loss``; the class prior is a buffer.

    Args:
        gamma_pos: g+ of positives.
        gamma_neg: g- of negatives.
        gamma_unknown: g_u of entries not annotated.
        alpha_pos: a+ of positives.
        alpha_neg: a- of negatives.
        alpha_unknown: a_u of entries not annotated.
        clip: Taken from the probability of all but positives.
        mode: What becomes of entries that are not annotated.
        likelihood_topk: Entries left out, as a mean over the images of the batch.
        class_prior: ``[C]`` share of images that hold each class, in truth; None: not used.
        prior_threshold: Classes above it are left out where they are not annotated.
        zeros_unknown: Every 0 is an entry that was not annotated.
        reduction: As in ``partial_asymmetric_loss``.

    Raises:
        ValueError: If an argument is out of its range.
    """

    class_prior: Tensor | None

    def __init__(
        self,
        *,
        gamma_pos: float = 0.0,
        gamma_neg: float = 1.0,
        gamma_unknown: float = 2.0,
        alpha_pos: float = 1.0,
        alpha_neg: float = 1.0,
        alpha_unknown: float = 1.0,
        clip: float = 0.0,
        mode: PartialMode = "selective",
        likelihood_topk: int = 5,
        class_prior: Sequence[float] | Tensor | None = None,
        prior_threshold: float = 0.05,
        zeros_unknown: bool = False,
        reduction: Reduction = "sum",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check_numbers(gamma_pos, gamma_neg, gamma_unknown, alpha_pos, alpha_neg, alpha_unknown)
        check_clip(clip)
        _check_selection(mode, likelihood_topk, prior_threshold)
        prior = None if class_prior is None else as_numbers(class_prior, "class_prior").detach().clone().float()
        if prior is not None:
            _check_prior(prior, prior.numel())
        self.register_buffer("class_prior", prior)
        self.gamma_pos, self.gamma_neg, self.gamma_unknown = gamma_pos, gamma_neg, gamma_unknown
        self.alpha_pos, self.alpha_neg, self.alpha_unknown = alpha_pos, alpha_neg, alpha_unknown
        self.clip = clip
        self.mode = mode
        self.likelihood_topk = likelihood_topk
        self.prior_threshold = prior_threshold
        self.zeros_unknown = zeros_unknown
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 1, 0, or -1 (not annotated), or bool.

        Returns:
            As ``partial_asymmetric_loss``.
        """
        return partial_asymmetric_loss(
            logits,
            targets,
            gamma_pos=self.gamma_pos,
            gamma_neg=self.gamma_neg,
            gamma_unknown=self.gamma_unknown,
            alpha_pos=self.alpha_pos,
            alpha_neg=self.alpha_neg,
            alpha_unknown=self.alpha_unknown,
            clip=self.clip,
            mode=self.mode,
            likelihood_topk=self.likelihood_topk,
            class_prior=self.class_prior,
            prior_threshold=self.prior_threshold,
            zeros_unknown=self.zeros_unknown,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line; a class prior from its smallest to its largest.
        """
        return shown(self)
