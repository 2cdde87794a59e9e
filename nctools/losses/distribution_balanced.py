"""Distribution-balanced loss (DB, DB-Focal), and its parts alone: R-BCE and NT-BCE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.losses._checks import (
    check_choice,
    check_floating,
    check_not_negative,
    check_positive,
    positive_and_unknown,
)
from nctools.losses._class_counts import check_num_classes, checked_counts, span
from nctools.losses._precision import softplus, widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.class_prior import prior_of
from nctools.losses.focal import focal_factor
from nctools.losses.rebalancing import check_smoothing, weights_of

Variant = Literal["paper", "released"]


def distribution_balanced_loss(
    logits: Tensor,
    targets: Tensor,
    class_counts: Sequence[int] | Tensor,
    num_images: int,
    *,
    rebalance: bool = True,
    alpha: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.3,
    lambd: float = 2.0,
    kappa: float = 0.05,
    gamma: float = 0.0,
    scale: float = 1.0,
    variant: Variant = "paper",
    reduction: Reduction = "mean",
) -> Tensor:
    """Distribution-balanced loss: re-balanced weights on binary cross entropy that tolerates negatives.

    ``w_ic softplus(-s)`` for a positive, ``w_ic (1/lambda) softplus(lambda s)`` for a negative, with the weights of
    ``rebalanced_weights`` and ``s = z - nu_c``, ``nu_c = -kappa log(n_c / (N - n_c))``. The focal form multiplies by
    ``scale sigmoid(u)^gamma``, where u is the argument of the softplus, shifted and scaled as it is.

    The weights correct class-aware sampling and belong to it. The shift is of training alone: at test time the logit is
    z. R-BCE is ``kappa=0, lambd=1``, NT-BCE is ``rebalance=False``, DB-Focal is ``gamma=2, scale=2``.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32. Never changed.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count and are not positives.
        class_counts: ``[C]`` training positives n_c of each class.
        num_images: Number of training images N.
        rebalance: Whether to weight; False is ``w = 1``.
        alpha: Smallest weight.
        beta: Steepness of the weights.
        mu: Ratio at which the weight is halfway; 0.3 for VOC-LT, 0.2 for COCO-LT, else ``median_rebalancing``.
        lambd: Scale lambda of negatives, above 0; 5 for VOC-LT, 2 for COCO-LT.
        kappa: Size of the class-specific shift, not negative.
        gamma: Focal exponent, not negative; 0 is no focus.
        scale: Factor of all entries.
        variant: ``"paper"``, or ``"released"``: kappa divided by lambda, as in the code of the published models. Its
            authors call that a mistake.
        reduction: ``"mean"`` over the known of B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or a count or number does not fit.

    Source:
        Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets, ECCV 2020. The
        focal form is that of the released code, with its factor of 2.

    Limit:
        0 as positives go to +inf and negatives to -inf. At ``z = nu`` the gradient is ``-w/2`` of a positive and
        ``w/2`` of a negative for any lambda; for lambda to infinity a negative's loss is ``w relu(s)``.

    Example:
        >>> distribution_balanced_loss(torch.zeros(1, 2), torch.tensor([[1, 0]]), [50, 2], 100)
        tensor(0.5232)
    """
    counts = checked_counts(class_counts, num_images=num_images).long()
    return _loss(
        logits,
        targets,
        counts,
        num_images,
        rebalance=rebalance,
        smoothing=(alpha, beta, mu),
        lambd=lambd,
        kappa=kappa,
        focus=(gamma, scale),
        variant=variant,
        reduction=reduction,
    )


class DistributionBalancedLoss(nn.Module):
    """Module of ``distribution_balanced_loss``; the class counts are a buffer.

    Args:
        class_counts: ``[C]`` training positives of each class.
        num_images: Number of training images N.
        rebalance: As in ``distribution_balanced_loss``.
        alpha: As in ``distribution_balanced_loss``.
        beta: As in ``distribution_balanced_loss``.
        mu: As in ``distribution_balanced_loss``.
        lambd: As in ``distribution_balanced_loss``.
        kappa: As in ``distribution_balanced_loss``.
        gamma: As in ``distribution_balanced_loss``.
        scale: As in ``distribution_balanced_loss``.
        variant: As in ``distribution_balanced_loss``.
        reduction: As in ``distribution_balanced_loss``.

    Raises:
        ValueError: If a count or number does not fit.
    """

    class_counts: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        num_images: int,
        *,
        rebalance: bool = True,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.3,
        lambd: float = 2.0,
        kappa: float = 0.05,
        gamma: float = 0.0,
        scale: float = 1.0,
        variant: Variant = "paper",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        _check_numbers((alpha, beta, mu), lambd, kappa, (gamma, scale), variant)
        check_reduction(reduction)
        # Whole numbers are exact on every device and after every cast of the module.
        self.register_buffer("class_counts", checked_counts(class_counts, num_images=num_images).long())
        self.num_images, self.rebalance = num_images, rebalance
        self.alpha, self.beta, self.mu = alpha, beta, mu
        self.lambd, self.kappa = lambd, kappa
        self.gamma, self.scale = gamma, scale
        self.variant: Variant = variant
        self.reduction: Reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool, -1 where the label is not known.

        Returns:
            As ``distribution_balanced_loss``.
        """
        return _loss(
            logits,
            targets,
            self.class_counts,
            self.num_images,
            rebalance=self.rebalance,
            smoothing=(self.alpha, self.beta, self.mu),
            lambd=self.lambd,
            kappa=self.kappa,
            focus=(self.gamma, self.scale),
            variant=self.variant,
            reduction=self.reduction,
        )

    def tolerance(self) -> Tensor:
        """Give the class-specific shift nu of the logits.

        Returns:
            ``[C]`` float64, on the CPU; above 0 for classes in less than half of the images.
        """
        prior = prior_of(self.class_counts.cpu(), self.num_images, torch.float64)
        return -_shift(self.kappa, self.lambd, self.variant) * prior

    def extra_repr(self) -> str:
        """Show the settings, and what they come to.

        Returns:
            One line.
        """
        nu = "?" if self.class_counts.is_meta else span(self.tolerance())
        weights = f"weights {self.alpha:g}..{1 + self.alpha:g}" if self.rebalance else "weights 1"
        return shown(self, weights, f"nu {nu}")


def _loss(
    logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    num_images: int,
    *,
    rebalance: bool,
    smoothing: tuple[float, float, float],
    lambd: float,
    kappa: float,
    focus: tuple[float, float],
    variant: Variant,
    reduction: Reduction,
) -> Tensor:
    _check_numbers(smoothing, lambd, kappa, focus, variant)
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    check_num_classes(counts, logits)
    wide = widen(logits)
    counts, (alpha, beta, mu), (gamma, scale) = counts.to(wide.device), smoothing, focus
    shifted = wide + _shift(kappa, lambd, variant) * prior_of(counts, num_images, wide.dtype)
    arguments = torch.where(positive, -shifted, lambd * shifted)
    entries = softplus(arguments)
    entries = scale * torch.where(positive, entries, entries / lambd)
    if gamma:
        entries = entries * focal_factor(arguments, gamma)
    if rebalance:
        entries = entries * weights_of(positive, counts.to(wide.dtype), alpha=alpha, beta=beta, mu=mu)
    return reduce_entries(entries, reduction, unknown=unknown)


def _shift(kappa: float, lambd: float, variant: Variant) -> float:
    return kappa / lambd if variant == "released" else kappa


def _check_numbers(
    smoothing: tuple[float, float, float], lambd: float, kappa: float, focus: tuple[float, float], variant: str
) -> None:
    check_smoothing(*smoothing)
    check_positive(lambd, "lambd")
    check_not_negative(kappa, "kappa")
    check_not_negative(focus[0], "gamma")
    check_positive(focus[1], "scale")
    check_choice(variant, "variant", get_args(Variant))
