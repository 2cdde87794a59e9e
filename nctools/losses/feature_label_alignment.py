"""L_FLA of MLC-NC: class-wise features are drawn to their label embedding where the class is present."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.losses._checks import check_choice, check_class_rows, check_floating, check_targets
from nctools.losses._cosine import classwise_cosine
from nctools.losses._precision import widen
from nctools.losses._shown import shown

AlignmentReduction = Literal["mean", "sum_classes"]
AlignmentVariant = Literal["paper", "released"]

LOG_FLOOR = 1e-6


def feature_label_alignment_loss(
    features: Tensor,
    label_embedding: Tensor,
    targets: Tensor,
    *,
    reduction: AlignmentReduction = "mean",
    variant: AlignmentVariant = "paper",
) -> Tensor:
    """Feature-label alignment: binary cross entropy on a cosine.

    ``L = -1/(B C) sum_{i,c} [ y log((1+s)/2) + (1-y) log(1 - (C-1)/C |1/(C-1) + s|) ]``, ``s = cos(f_i^c, l_c)``.
    A positive is drawn to its label (s = 1), a negative to the angle that other classes have in the simplex
    (s = -1/(C-1)).

    Args:
        features: ``[B, C, D]`` class-wise features, floating point; half precision is computed in float32.
        label_embedding: ``[C, D]``, any length of rows; receives a gradient when it is trained.
        targets: ``[B, C]`` 0 / 1 or bool; only positives count, so -1 (unknown) is as good as 0.
        reduction: ``"mean"`` over images and classes (the paper), or ``"sum_classes"``: summed over classes, mean
            over images, which is C times as much.
        variant: ``"paper"`` keeps what stands inside the logs at 1e-6 or above; ``"released"`` adds 1e-6 to it. They
            differ by less than 1e-6 per entry unless the log is near its floor.

    Returns:
        A scalar. Finite, with its gradient, also for s = -1 at a positive and s = 1 at a negative; a zero feature
        counts as s = 0 and receives no gradient.

    Raises:
        ValueError: If shapes do not agree, there is only one class, a target is neither 0 nor 1, or a word is
            unknown.

    Source:
        MLC-NC (AAAI 2025), L_FLA; the floor is in the released code only.

    Limit:
        0 when every positive feature points along its label and every negative has the cosine -1/(C-1) to it.

    Example:
        >>> labels = torch.eye(2)
        >>> features = torch.tensor([[[2.0, 0.0], [0.0, -3.0]]])  # s = 1 and -1
        >>> feature_label_alignment_loss(features, labels, torch.tensor([[1, 0]]))
        tensor(0.)
    """
    check_choice(reduction, "reduction", get_args(AlignmentReduction))
    check_choice(variant, "variant", get_args(AlignmentVariant))
    check_floating(features, "features", "BCD")
    check_class_rows(label_embedding, "label_embedding", features, "features")
    positive = check_targets(targets, features, "features")
    wide = widen(features)
    classes = features.shape[1]
    if classes < 2:
        raise ValueError(f"`features` has shape {list(features.shape)}: L_FLA needs at least 2 classes, not {classes}")

    cosine = classwise_cosine(wide, label_embedding.to(wide.dtype))
    aligned = (1 + cosine) / 2
    apart = 1 - (classes - 1) / classes * (1 / (classes - 1) + cosine).abs()
    probability = torch.where(positive, aligned, apart)
    floored = probability + LOG_FLOOR if variant == "released" else probability.clamp_min(LOG_FLOOR)
    entries = -floored.log()
    return entries.mean() if reduction == "mean" else entries.sum() / features.shape[0]


class FeatureLabelAlignmentLoss(nn.Module):
    """Module of ``feature_label_alignment_loss``.

    Args:
        reduction: ``"mean"`` or ``"sum_classes"``.
        variant: ``"paper"`` or ``"released"``.
    """

    def __init__(self, reduction: AlignmentReduction = "mean", variant: AlignmentVariant = "paper") -> None:
        super().__init__()
        check_choice(reduction, "reduction", get_args(AlignmentReduction))
        check_choice(variant, "variant", get_args(AlignmentVariant))
        self.reduction = reduction
        self.variant = variant

    def forward(self, features: Tensor, label_embedding: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            features: ``[B, C, D]``.
            label_embedding: ``[C, D]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            A scalar.
        """
        return feature_label_alignment_loss(
            features, label_embedding, targets, reduction=self.reduction, variant=self.variant
        )

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line.
        """
        return shown(self)
