"""MFM: the asymmetric loss with exponents for each class, larger the rarer the class is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from nctools.losses._checks import check_choice, check_clip, check_floating, check_not_negative, positive_and_unknown
from nctools.losses._class_counts import check_num_classes, checked_counts, span
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.asymmetric import asymmetric_entries

FocalVariant = Literal["paper", "released"]
# The released code takes logs of max(., eps).
RELEASED_EPS = 1e-8


def head_tail_focus(class_counts: Sequence[int] | Tensor, *, beta: float = 1 / 6) -> Tensor:
    """Head-tail factor ``(1 - ln(n_c / n_max))^beta``: 1 for the largest class, more the rarer a class is.

    Args:
        class_counts: ``[C]`` training positives of each class; a class without any counts as 1, with one warning.
        beta: Exponent, 0 or more; 0 makes all classes equal.

    Returns:
        ``[C]`` float64, at least 1. It does not change when all counts grow by the same factor.

    Raises:
        ValueError: If a count is negative or not a whole number, or ``beta`` is negative or not finite.

    Source:
        COMIC's released code (``beta`` 1/6; 1/3 in ``PriorFocalModifierLoss``); the paper names only the counts, a
        normalisation by the largest and a value of at least 1.

    Example:
        >>> head_tail_focus([775, 100, 20, 4])
        tensor([1.0000, 1.2041, 1.2923, 1.3578], dtype=torch.float64)
    """
    check_not_negative(beta, "beta")
    return focus_of(checked_counts(class_counts), beta)


def focus_of(counts: Tensor, beta: float) -> Tensor:
    """Give the head-tail factor of counts that were checked.

    Args:
        counts: ``[C]`` floating point, at least 1.
        beta: Exponent, at least 0.

    Returns:
        ``[C]``, at least 1.
    """
    return (1 - (counts / counts.max()).log()) ** beta


def multi_focal_modifier_loss(
    logits: Tensor,
    targets: Tensor,
    class_counts: Sequence[int] | Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 3.0,
    weight_pos: float = 0.0,
    weight_neg: float = 1.0,
    beta: float = 1 / 6,
    clip: float = 0.05,
    detach_focal_weight: bool = True,
    variant: FocalVariant = "paper",
    reduction: Reduction = "sum",
) -> Tensor:
    """Multi-focal modifier loss: ``-y (1-p)^g+_c log p - (1-y) p_m^g-_c log(1 - p_m)``, ``p_m = max(p - clip, 0)``.

    ``g+_c = gamma_pos + weight_pos G_c`` and ``g-_c = gamma_neg + weight_neg G_c`` with the head-tail factor ``G_c`` of
    the class (``head_tail_focus``): the rarer a class, the less its easy negatives count. ``weight_pos`` above 0 would
    take weight from the positives of rare classes.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        class_counts: ``[C]`` training positives of each class.
        gamma_pos: Exponent of the positives, without the class's part.
        gamma_neg: Exponent of the negatives, without the class's part; below ``gamma_pos`` there is a warning.
        weight_pos: Weight of the class's part in the exponent of the positives.
        weight_neg: Weight of the class's part in the exponent of the negatives.
        beta: Exponent of the head-tail factor.
        clip: Taken from the probability of negatives; the paper prints none, its code has 0.05.
        detach_focal_weight: The focal factors are constants of the backward pass.
        variant: ``"paper"``, or ``"released"``: each entry is multiplied by ``G_c`` and logs are ``log(max(., 1e-8))``.
            The released class's own ``gamma_neg`` is 4; its configurations have 3.
        reduction: ``"sum"`` (released; COMIC's weights of the parts belong to it), ``"mean"`` over the known of B C,
            ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        Zhang et al., Learning in Imperfect Environment, ICCV 2023, eq. 4-6, and the authors' released code. The paper's
        equations lack the minus sign.

    Limit:
        Binary cross entropy when all gammas, weights and the clip are 0. ASL with ``gamma + weight`` for equal counts.

    Example:
        >>> import torch
        >>> logits = torch.zeros(2, 2)
        >>> multi_focal_modifier_loss(logits, torch.tensor([[1, 1], [0, 0]]), [775, 4], reduction="none")
        tensor([[0.6931, 0.6931],
                [0.0245, 0.0184]])
    """
    check_floating(logits, "logits", "BC")
    modifier = FocalModifier(gamma_pos, gamma_neg, weight_pos, weight_neg, beta, clip, detach_focal_weight, variant)
    return modifier.loss(logits, targets, checked_counts(class_counts), reduction)


@dataclass(frozen=True)
class FocalModifier:
    """Settings of ``multi_focal_modifier_loss``, checked once, for the losses that are made of it.

    Args:
        gamma_pos: As in ``multi_focal_modifier_loss``, as are all others.
        gamma_neg: Likewise.
        weight_pos: Likewise.
        weight_neg: Likewise.
        beta: Likewise.
        clip: Likewise.
        detach_focal_weight: Likewise.
        variant: Likewise.
    """

    gamma_pos: float
    gamma_neg: float
    weight_pos: float
    weight_neg: float
    beta: float
    clip: float
    detach_focal_weight: bool
    variant: FocalVariant

    def __post_init__(self) -> None:
        for name in ("gamma_pos", "gamma_neg", "weight_pos", "weight_neg", "beta"):
            check_not_negative(getattr(self, name), name)
        check_clip(self.clip)
        check_choice(self.variant, "variant", get_args(FocalVariant))
        if self.gamma_neg < self.gamma_pos:
            warnings.warn(
                f"`gamma_neg` is {self.gamma_neg} but `gamma_pos` is {self.gamma_pos}: positives are then focused "
                "harder than negatives; MFM is meant the other way round",
                stacklevel=4,
            )

    def exponents(self, focus: Tensor) -> tuple[Tensor, Tensor]:
        """Give the exponents of the classes.

        Args:
            focus: ``[C]`` head-tail factor.

        Returns:
            ``[C]`` of positives and ``[C]`` of negatives.
        """
        return self.gamma_pos + self.weight_pos * focus, self.gamma_neg + self.weight_neg * focus

    def entries(self, logits: Tensor, positive: Tensor, counts: Tensor) -> Tensor:
        """Give the entries of the loss before they are reduced.

        Args:
            logits: ``[B, C]``.
            positive: ``[B, C]`` bool, True for positives; all others are negatives.
            counts: ``[C]`` at least 1, from which the head-tail factor is made as exact as the logits.

        Returns:
            ``[B, C]`` float32 or wider.
        """
        wide = widen(logits)
        focus = focus_of(counts.to(wide), self.beta)
        gamma_pos, gamma_neg = self.exponents(focus)
        released = self.variant == "released"
        entries = asymmetric_entries(
            wide,
            positive,
            gamma_neg=gamma_neg,
            gamma_pos=gamma_pos,
            clip=self.clip,
            eps=RELEASED_EPS if released else None,
            detach=self.detach_focal_weight,
        )
        return focus * entries if released else entries

    def loss(self, logits: Tensor, targets: Tensor, counts: Tensor, reduction: Reduction) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``, checked.
            targets: ``[B, C]`` 0 / 1 or bool; -1 where the label is not known.
            counts: ``[C]`` at least 1.
            reduction: As in ``multi_focal_modifier_loss``.

        Returns:
            A scalar, or ``[B, C]`` for ``"none"``.
        """
        check_num_classes(counts, logits)
        positive, unknown = positive_and_unknown(targets, logits, "logits")
        return reduce_entries(self.entries(logits, positive, counts), reduction, unknown=unknown)


class MultiFocalModifierLoss(nn.Module):
    """Module of ``multi_focal_modifier_loss``; the class counts are a buffer.

    Args:
        class_counts: ``[C]`` training positives of each class.
        gamma_pos: As in ``multi_focal_modifier_loss``, as are all others.
        gamma_neg: Likewise.
        weight_pos: Likewise.
        weight_neg: Likewise.
        beta: Likewise.
        clip: Likewise.
        detach_focal_weight: Likewise.
        variant: Likewise.
        reduction: Likewise.
    """

    class_counts: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        *,
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
        check_reduction(reduction)
        self.modifier = FocalModifier(
            gamma_pos, gamma_neg, weight_pos, weight_neg, beta, clip, detach_focal_weight, variant
        )
        # Whole numbers: no cast of the module rounds them, and each device has them.
        self.register_buffer("class_counts", checked_counts(class_counts).long())
        self.reduction = reduction

    def extra_repr(self) -> str:
        """Show the settings, and the exponents that follow from the counts.

        Returns:
            One line; exponents from the smallest to the largest, of negatives and of positives.
        """
        positives, negatives = self.modifier.exponents(focus_of(self.class_counts.float(), self.modifier.beta))
        return shown(self, f"exponents of negatives {span(negatives)}, of positives {span(positives)}")

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool; -1 where the label is not known.

        Returns:
            As ``multi_focal_modifier_loss``.
        """
        check_floating(logits, "logits", "BC")
        return self.modifier.loss(logits, targets, self.class_counts, self.reduction)
