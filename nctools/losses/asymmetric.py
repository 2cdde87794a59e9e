"""ASL: positives and negatives focused by exponents of their own, and the easiest negatives dropped."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.losses._checks import check_clip, check_eps, check_floating, check_gamma, positive_and_unknown
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown

# One exponent for all classes, or [C], one for each.
Gamma = float | Tensor


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_neg: Gamma = 4.0,
    gamma_pos: Gamma = 0.0,
    clip: float = 0.05,
    eps: float | None = None,
    detach_focal_weight: bool = True,
    reduction: Reduction = "sum",
) -> Tensor:
    """Asymmetric loss: ``y (1-p)^g+ (-log p) + (1-y) p_m^g- (-log(1 - p_m))``, ``p_m = max(p - clip, 0)``.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        gamma_neg: g- of the negatives, one number or ``[C]``.
        gamma_pos: g+ of the positives, one number or ``[C]``.
        clip: Taken from the probability of negatives; those with ``p <= clip`` have no loss and no gradient.
        eps: Logs are ``log(max(., eps))``, in the authors' code with 1e-8: entries stop at ``-log(eps)`` (18.42), and
            so does their gradient. None: exact logs.
        detach_focal_weight: The factors ``(1-p)^g+`` and ``p_m^g-`` are constants of the backward pass.
        reduction: ``"sum"``, ``"mean"`` over the known of B C, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or a number is out of its range.

    Source:
        Ridnik et al., Asymmetric Loss for Multi-Label Classification, ICCV 2021. 4, 0 and 0.05 with detached factors as
        in the authors' training script; their class has g+ = 1. They sum; others who use it take the mean, and their
        learning rates belong to it.

    Limit:
        Binary cross entropy at gammas 0 and clip 0.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0, -4.0]])
        >>> asymmetric_loss(logits, torch.tensor([[1, 0, 0]]), reduction="none")
        tensor([[0.6931, 0.0245, 0.0000]])
    """
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    for name, gamma in (("gamma_neg", gamma_neg), ("gamma_pos", gamma_pos)):
        check_gamma(gamma, name, num_classes=logits.shape[1])
    check_clip(clip)
    check_eps(eps)
    entries = asymmetric_entries(
        logits,
        positive,
        gamma_neg=gamma_neg,
        gamma_pos=gamma_pos,
        clip=clip,
        eps=eps,
        detach=detach_focal_weight,
    )
    return reduce_entries(entries, reduction, unknown=unknown)


def asymmetric_entries(
    logits: Tensor,
    positive: Tensor,
    *,
    gamma_neg: Gamma,
    gamma_pos: Gamma,
    clip: float,
    eps: float | None,
    detach: bool,
) -> Tensor:
    """Give the entries of the asymmetric loss before they are reduced; arguments are not checked.

    Args:
        logits: ``[B, C]`` z, floating point.
        positive: ``[B, C]`` bool, True for positives; all others are negatives.
        gamma_neg: g-, a number or anything that broadcasts to ``[B, C]``, at least 0.
        gamma_pos: g+, likewise.
        clip: From 0 to below 1.
        eps: Smallest argument of the logs, or None.
        detach: The focal factors are constants of the backward pass.

    Returns:
        ``[B, C]`` float32 or wider, at least 0.
    """
    wide = widen(logits)
    log_p, log_q = F.logsigmoid(wide), F.logsigmoid(-wide)
    # p^g as exp(g log p): exact for any logit, and p^0 = 1 also where p is 0.
    of_positives, focus_of_positives = -log_p, torch.exp(_like(gamma_pos, wide) * log_q)
    exponent = _like(gamma_neg, wide)
    if clip == 0:
        of_negatives, focus_of_negatives = -log_q, torch.exp(exponent * log_p)
    else:
        shifted = F.relu(torch.sigmoid(wide) - clip)
        # -log(1 - p_m) with 1 - p_m = (1 - p) + clip, which is never 0 and keeps its digits for p close to 1.
        of_negatives = torch.log1p(shifted / (torch.sigmoid(-wide) + clip))
        # The slope of x^g at 0 is infinite for g < 1. Where p_m is 0 the log is 0 too, so that any base will do.
        focus_of_negatives = torch.pow(shifted.masked_fill(shifted == 0, 1), exponent)
    if eps is not None:
        of_positives, of_negatives = of_positives.clamp(max=-math.log(eps)), of_negatives.clamp(max=-math.log(eps))
    if detach:
        focus_of_positives, focus_of_negatives = focus_of_positives.detach(), focus_of_negatives.detach()
    return torch.where(positive, focus_of_positives * of_positives, focus_of_negatives * of_negatives)


def _like(gamma: Gamma, wide: Tensor) -> Tensor:
    return torch.as_tensor(gamma, device=wide.device, dtype=wide.dtype)


class AsymmetricLoss(nn.Module):
    """Module of ``asymmetric_loss``; class-wise exponents are buffers.

    Args:
        gamma_neg: g- of the negatives, one number or ``[C]``.
        gamma_pos: g+ of the positives, one number or ``[C]``.
        clip: Taken from the probability of negatives.
        eps: Smallest argument of the logs; None: exact logs.
        detach_focal_weight: The focal factors are constants of the backward pass.
        reduction: As in ``asymmetric_loss``.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> AsymmetricLoss(gamma_neg=torch.tensor([4.0, 4.5]))
        AsymmetricLoss(gamma_neg=4..4.5, gamma_pos=0, clip=0.05, eps=None, detach_focal_weight=True, reduction='sum')
    """

    gamma_neg: Gamma
    gamma_pos: Gamma

    def __init__(
        self,
        *,
        gamma_neg: Gamma = 4.0,
        gamma_pos: Gamma = 0.0,
        clip: float = 0.05,
        eps: float | None = None,
        detach_focal_weight: bool = True,
        reduction: Reduction = "sum",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        check_clip(clip)
        check_eps(eps)
        for name, gamma in (("gamma_neg", gamma_neg), ("gamma_pos", gamma_pos)):
            check_gamma(gamma, name)
            if isinstance(gamma, Tensor):
                self.register_buffer(name, gamma.detach().clone())
            else:
                setattr(self, name, gamma)
        self.clip = clip
        self.eps = eps
        self.detach_focal_weight = detach_focal_weight
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool, -1 where the label is not known.

        Returns:
            As ``asymmetric_loss``.
        """
        return asymmetric_loss(
            logits,
            targets,
            gamma_neg=self.gamma_neg,
            gamma_pos=self.gamma_pos,
            clip=self.clip,
            eps=self.eps,
            detach_focal_weight=self.detach_focal_weight,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line; exponents from the smallest to the largest where they differ by class.
        """
        return shown(self)
