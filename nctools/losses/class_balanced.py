"""Class-balanced loss: focal loss or cross entropy, weighted by the inverse effective number of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.losses._checks import (
    check_choice,
    check_floating,
    check_not_negative,
    check_number,
    check_positive,
    positive_and_unknown,
)
from nctools.losses._class_counts import check_num_classes, checked_counts, span
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.focal import focal_entries

# How the classes of an image give its weight.
BalanceMode = Literal["by_class", "average_e", "average_w", "average_n", "min_n"]


def effective_number_weights(class_counts: Sequence[int] | Tensor, beta: float) -> Tensor:
    """Weights ``w(n) = (1 - beta) / (1 - beta^n)``, one over the effective number of n images.

    Args:
        class_counts: ``[C]`` training positives n of each class; 0 counts as 1.
        beta: From 0 (weight 1) to below 1 (near 1 the weight is nearly 1 / n).

    Returns:
        ``[C]`` float64, from ``1 - beta`` to 1.

    Raises:
        ValueError: If a count is negative or not whole, or ``beta`` is not from 0 to below 1.

    Source:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.

    Example:
        >>> effective_number_weights([775, 4], 0.99)
        tensor([0.0100, 0.2538], dtype=torch.float64)
    """
    _check_beta(beta)
    return 1 / _effective_number(checked_counts(class_counts), beta)


def class_balanced_loss(
    logits: Tensor,
    targets: Tensor,
    class_counts: Sequence[int] | Tensor,
    *,
    beta: float = 0.99,
    mode: BalanceMode = "average_e",
    gamma: float = 0.0,
    scale: float = 1.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Class-balanced loss: ``w scale sigmoid(u)^gamma softplus(u)``, ``u = -z`` for a positive, ``z`` for a negative.

    ``w`` is made of ``w(n) = (1 - beta) / (1 - beta^n)``, or of the effective number ``E(n) = 1 / w(n)``:

    - ``"by_class"``: ``w(n_c)``, one for each class, as for one label;
    - ``"average_e"``: ``1 / mean E(n_c)`` over the positives of the image, one for all its entries;
    - ``"average_w"``: ``mean w(n_c)``, never smaller than the former;
    - ``"average_n"``: ``w(mean n_c)``;
    - ``"min_n"``: ``w(min n_c)``, by the rarest class of the image.

    An image without positives has the smallest weight, ``w(n_max)`` (chosen here: there is no
    mean over nothing).

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count, nor in the weight.
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        beta: From 0 (weight 1) to below 1. With 0.9 all classes above about 40 images have the weight 0.1.
        mode: How the classes of an image give its weight.
        gamma: Focus; 0 is the cross entropy.
        scale: One factor for both signs, above 0.
        reduction: ``"mean"`` over the known of B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        Cui et al., CVPR 2019, for one label. Many labels: Wu et al., ECCV 2020, whose supplement averages the effective
        numbers and then inverts (``"average_e"``), while the released code averages the inverse (``"average_w"``).

    Limit:
        0 as positives go to +inf and negatives to -inf; ``beta = 0`` is the focal loss.

    Example:
        >>> logits, targets = torch.zeros(2, 2), torch.tensor([[1, 0], [1, 1]])
        >>> class_balanced_loss(logits, targets, [3, 1], beta=0.5, reduction="none")
        tensor([[0.3961, 0.3961],
                [0.5041, 0.5041]])
    """
    _check_settings(beta, mode, gamma, scale)
    return _balanced(logits, targets, checked_counts(class_counts), beta, mode, gamma, scale, reduction)


class ClassBalancedLoss(nn.Module):
    """Module of ``class_balanced_loss``; the counts are a buffer, from which weights are made as exact as logits.

    Args:
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        beta: From 0 to below 1.
        mode: How the classes of an image give its weight.
        gamma: Focus; 0 is the cross entropy.
        scale: One factor for both signs, above 0.
        reduction: As in ``class_balanced_loss``.

    Example:
        >>> ClassBalancedLoss([775, 4])
        ClassBalancedLoss(2 classes, beta=0.99, mode='average_e', gamma=0, scale=1, reduction='mean',
        weights 0.01..0.2538)
    """

    class_counts: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        *,
        beta: float = 0.99,
        mode: BalanceMode = "average_e",
        gamma: float = 0.0,
        scale: float = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check_settings(beta, mode, gamma, scale)
        # Whole numbers: no cast of the module rounds them, and each device has them.
        self.register_buffer("class_counts", checked_counts(class_counts).long())
        self.beta, self.mode, self.gamma, self.scale = beta, mode, gamma, scale
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            As ``class_balanced_loss``.
        """
        settings = self.beta, self.mode, self.gamma, self.scale, self.reduction
        return _balanced(logits, targets, self.class_counts, *settings)

    def extra_repr(self) -> str:
        """Give the settings and the range of the classes' weights for ``repr``.

        Returns:
            One line.
        """
        weights = 1 / _effective_number(self.class_counts.float(), self.beta)
        return shown(self, f"weights {span(weights)}")


def _effective_number(counts: Tensor, beta: float) -> Tensor:
    # 1 - beta^n would lose its digits where beta is near 1.
    log_beta = math.log(beta) if beta > 0 else -math.inf
    return -torch.expm1(counts * log_beta) / (1 - beta)


def _weights(counts: Tensor, positive: Tensor, beta: float, mode: BalanceMode) -> Tensor:
    number = _effective_number(counts, beta)
    if mode == "by_class":
        return 1 / number
    # An image without positives is taken for one whose only label is the most frequent class.
    most = torch.arange(len(counts), device=counts.device) == counts.argmax()
    positive = torch.where(positive.any(1, keepdim=True), positive, most)
    if mode == "average_e":
        return 1 / _mean(number, positive)
    if mode == "average_w":
        return _mean(1 / number, positive)
    if mode == "average_n":
        return 1 / _effective_number(_mean(counts, positive), beta)
    return 1 / _effective_number(torch.where(positive, counts, torch.inf).amin(1, keepdim=True), beta)


def _mean(values: Tensor, positive: Tensor) -> Tensor:
    return torch.where(positive, values, 0).sum(1, keepdim=True) / positive.sum(1, keepdim=True)


def _balanced(
    logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    beta: float,
    mode: BalanceMode,
    gamma: float,
    scale: float,
    reduction: Reduction,
) -> Tensor:
    check_floating(logits, "logits", "BC")
    check_num_classes(counts, logits)
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    weights = _weights(counts.to(widen(logits)), positive, beta, mode)
    entries = focal_entries(logits, positive, gamma=gamma, scale=scale)
    return reduce_entries(weights * entries, reduction, unknown=unknown)


def _check_beta(beta: float) -> None:
    check_number(beta, "beta")
    if not 0 <= beta < 1:
        raise ValueError(f"`beta` is {beta}: pass a number from 0 to below 1")


def _check_settings(beta: float, mode: str, gamma: float, scale: float) -> None:
    _check_beta(beta)
    check_choice(mode, "mode", get_args(BalanceMode))
    check_not_negative(gamma, "gamma")
    check_positive(scale, "scale")
