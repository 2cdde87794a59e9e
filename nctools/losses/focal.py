"""Focal loss: binary cross entropy in which entries that are classified well count less."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.losses._checks import (
    check_floating,
    check_not_negative,
    check_number,
    check_positive,
    positive_and_unknown,
)
from nctools.losses._precision import softplus, widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown


def focal_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma: float = 2.0,
    scale: float = 1.0,
    alpha: float | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Focal loss: ``scale sigmoid(u)^gamma softplus(u)``, ``u = -z`` for a positive and ``z`` for a negative.

    ``sigmoid(u)`` is ``1 - p_t``, what the entry lacks to be right. The gradient flows through it.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        gamma: Focus; 0 is the binary cross entropy.
        scale: One factor for both signs.
        alpha: Weight of positives, and ``1 - alpha`` that of negatives, from 0 to 1; None for neither.
        reduction: ``"mean"`` over the known of B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, eq. 4 and 5 (alpha). The DB paper's code has no
        alpha but a factor of 2: ``scale=2``.

    Limit:
        0 as positives go to +inf and negatives to -inf, faster than the cross entropy.

    Example:
        >>> logits = torch.tensor([[0.0, 2.0]])
        >>> focal_loss(logits, torch.tensor([[1, 1]]), reduction="none")
        tensor([[0.1733, 0.0018]])
    """
    _check_settings(gamma, scale, alpha)
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    entries = focal_entries(logits, positive, gamma=gamma, scale=scale)
    if alpha is not None:
        entries = torch.where(positive, alpha * entries, (1 - alpha) * entries)
    return reduce_entries(entries, reduction, unknown=unknown)


def focal_entries(logits: Tensor, positive: Tensor, *, gamma: float, scale: float) -> Tensor:
    """Give the entries of the focal loss before they are reduced; arguments are not checked.

    Args:
        logits: ``[B, C]`` z, floating point.
        positive: ``[B, C]`` bool, True for positives; all others are negatives.
        gamma: Focus, not negative.
        scale: One factor for both signs.

    Returns:
        ``[B, C]`` float32 or wider, at least 0.
    """
    wide = widen(logits)
    argument = torch.where(positive, -wide, wide)
    return scale * focal_factor(argument, gamma) * softplus(argument)


def focal_factor(argument: Tensor, gamma: float) -> Tensor:
    """Give ``sigmoid(u)^gamma``, the focal factor of entries whose cross entropy is ``softplus(u)``.

    Args:
        argument: u, any shape, float32 or wider.
        gamma: Focus, not negative.

    Returns:
        The factors, in the shape of ``argument``.

    Example:
        >>> focal_factor(torch.tensor([0.0, -1e4, 1e4]), 2.0)
        tensor([0.2500, 0.0000, 1.0000])
    """
    # The derivative of a power with an exponent below 1 is infinite where the sigmoid is 0; an exponential's is not.
    return torch.exp(gamma * F.logsigmoid(argument))


class FocalLoss(nn.Module):
    """Module of ``focal_loss``.

    Args:
        gamma: Focus; 0 is the binary cross entropy.
        scale: One factor for both signs, above 0.
        alpha: Weight of positives, from 0 to 1; None for the same weight as negatives.
        reduction: As in ``focal_loss``.

    Example:
        >>> FocalLoss(scale=2.0)
        FocalLoss(gamma=2, scale=2, alpha=None, reduction='mean')
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        scale: float = 1.0,
        alpha: float | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check_settings(gamma, scale, alpha)
        self.gamma, self.scale, self.alpha, self.reduction = gamma, scale, alpha, reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            As ``focal_loss``.
        """
        return focal_loss(
            logits, targets, gamma=self.gamma, scale=self.scale, alpha=self.alpha, reduction=self.reduction
        )

    def extra_repr(self) -> str:
        """Give the settings for ``repr``.

        Returns:
            One line.
        """
        return shown(self)


def _check_settings(gamma: float, scale: float, alpha: float | None) -> None:
    check_not_negative(gamma, "gamma")
    check_positive(scale, "scale")
    if alpha is None:
        return
    check_number(alpha, "alpha")
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` is {alpha}: pass the weight of positives, from 0 to 1, or None")
