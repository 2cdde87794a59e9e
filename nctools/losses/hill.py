"""Hill loss: negatives that the network takes for positives are forgiven, since labels may be missing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nctools.losses._checks import (
    check_finite,
    check_floating,
    check_not_negative,
    check_positive,
    positive_and_unknown,
)
from nctools.losses._precision import softplus, widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.focal import focal_factor


def hill_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    lambd: float = 1.5,
    margin: float = 1.0,
    gamma: float = 2.0,
    reduction: Reduction = "sum",
) -> Tensor:
    """Hill loss: ``y (1-p')^gamma (-log p') + (1-y) (lambda - p) p^2``, ``p' = sigmoid(z - m)``.

    The slope of a negative, ``p^2 (1-p) (2 lambda - 3 p)``, is a hill: nothing at low p (easy) and nothing at high p
    (a label that is likely missing). The focal factor of the positives is part of the gradient.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        lambd: lambda, above 0. Below 1.5 the gradient of negatives turns round before p = 1: they are pushed up there.
        margin: m, by which positives have to be larger.
        gamma: Exponent of the focal factor of positives, 0 or more.
        reduction: ``"sum"``, ``"mean"`` over the known of B C, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or a number is out of its range.

    Source:
        Zhang et al., Simple and Robust Loss Design for Multi-Label Learning with Missing Labels, 2021
        (arXiv 2112.07368).

    Limit:
        0 for negatives as z goes to -inf, ``lambda - 1`` as z goes to +inf.

    Example:
        >>> hill_loss(torch.tensor([[1.0, 0.0, 99.0]]), torch.tensor([[1, 0, 0]]), reduction="none")
        tensor([[0.1733, 0.2500, 0.5000]])
    """
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    _check_numbers(lambd, margin, gamma)
    wide = widen(logits)
    lacking = margin - wide
    of_positives = focal_factor(lacking, gamma) * softplus(lacking)
    p = torch.sigmoid(wide)
    entries = torch.where(positive, of_positives, (lambd - p) * p.square())
    return reduce_entries(entries, reduction, unknown=unknown)


def _check_numbers(lambd: float, margin: float, gamma: float) -> None:
    check_positive(lambd, "lambd")
    check_finite(margin, "margin")
    check_not_negative(gamma, "gamma")


class HillLoss(nn.Module):
    """Module of ``hill_loss``.

    Args:
        lambd: lambda, above 0.
        margin: m, by which positives have to be larger.
        gamma: Exponent of the focal factor of positives, 0 or more.
        reduction: As in ``hill_loss``.
    """

    def __init__(
        self, *, lambd: float = 1.5, margin: float = 1.0, gamma: float = 2.0, reduction: Reduction = "sum"
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check_numbers(lambd, margin, gamma)
        self.lambd = lambd
        self.margin = margin
        self.gamma = gamma
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool, -1 where the label is not known.

        Returns:
            As ``hill_loss``.
        """
        return hill_loss(
            logits, targets, lambd=self.lambd, margin=self.margin, gamma=self.gamma, reduction=self.reduction
        )

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line.
        """
        return shown(self)
