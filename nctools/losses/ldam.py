"""LDAM: binary cross entropy in which positives of rare classes must clear a larger margin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nctools.losses._checks import check_floating, check_not_negative, check_positive, positive_and_unknown
from nctools.losses._class_counts import check_num_classes, checked_counts, span
from nctools.losses._precision import softplus, widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown


def ldam_margins(class_counts: Sequence[int] | Tensor, *, max_margin: float = 0.5) -> Tensor:
    """Margins ``D_c = D_max (n_min / n_c)^(1/4)``: the rarest class has the largest, ``D_max``.

    Args:
        class_counts: ``[C]`` training positives n of each class; 0 counts as 1.
        max_margin: D_max, not negative.

    Returns:
        ``[C]`` float64.

    Raises:
        ValueError: If a count is negative or not whole, or ``max_margin`` is negative.

    Source:
        Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019: the power
        1/4 makes a bound on the error over all classes smallest for two classes; the largest margin sets the constant.

    Example:
        >>> ldam_margins([64, 4])
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """
    check_not_negative(max_margin, "max_margin")
    return _margins(checked_counts(class_counts), max_margin)


def ldam_loss(
    logits: Tensor,
    targets: Tensor,
    class_counts: Sequence[int] | Tensor,
    *,
    max_margin: float = 0.5,
    scale: float = 1.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """LDAM for many labels: ``softplus(-s (z - D_c))`` for a positive, ``softplus(s z)`` for a negative.

    The paper has one label for each image: softmax cross entropy on ``s (z - D_y)``, the margin taken from the logit of
    the label alone, ``s = 30`` and a cosine classifier. The multi-label form is chosen here: the margin is taken from
    the logits of all positives, each a yes-or-no question, and ``s = 1`` because logits are not cosines.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        max_margin: Margin of the rarest class; 0 is the binary cross entropy.
        scale: s, above 0.
        reduction: ``"mean"`` over the known of B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        Margins: Cao et al., NeurIPS 2019. The DB paper compares with a multi-label form that it does not describe.

    Limit:
        0 as positives go to +inf and negatives to -inf; never below the binary cross entropy (``s = 1``).

    Example:
        >>> logits = torch.tensor([[0.25, 0.5]])
        >>> ldam_loss(logits, torch.tensor([[1, 1]]), [64, 4], reduction="none")
        tensor([[0.6931, 0.6931]])
    """
    check_not_negative(max_margin, "max_margin")
    check_positive(scale, "scale")
    return _with_margins(logits, targets, checked_counts(class_counts), max_margin, scale, reduction)


class LDAMLoss(nn.Module):
    """Module of ``ldam_loss``; the counts are a buffer, from which the margins are made as exact as logits.

    Args:
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        max_margin: Margin of the rarest class.
        scale: s, above 0.
        reduction: As in ``ldam_loss``.

    Example:
        >>> LDAMLoss([64, 4])
        LDAMLoss(2 classes, max_margin=0.5, scale=1, reduction='mean', margins 0.25..0.5)
    """

    class_counts: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        *,
        max_margin: float = 0.5,
        scale: float = 1.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        check_not_negative(max_margin, "max_margin")
        check_positive(scale, "scale")
        # Whole numbers: no cast of the module rounds them, and each device has them.
        self.register_buffer("class_counts", checked_counts(class_counts).long())
        self.max_margin, self.scale, self.reduction = max_margin, scale, reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            As ``ldam_loss``.
        """
        return _with_margins(logits, targets, self.class_counts, self.max_margin, self.scale, self.reduction)

    def extra_repr(self) -> str:
        """Give the settings and the range of the margins for ``repr``.

        Returns:
            One line.
        """
        margins = _margins(self.class_counts.float(), self.max_margin)
        return shown(self, f"margins {span(margins)}")


def _margins(counts: Tensor, max_margin: float) -> Tensor:
    return max_margin * (counts.min() / counts) ** 0.25


def _with_margins(
    logits: Tensor, targets: Tensor, counts: Tensor, max_margin: float, scale: float, reduction: Reduction
) -> Tensor:
    check_floating(logits, "logits", "BC")
    check_num_classes(counts, logits)
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    wide = widen(logits)
    margins = _margins(counts.to(wide), max_margin)
    entries = softplus(scale * torch.where(positive, margins - wide, wide))
    return reduce_entries(entries, reduction, unknown=unknown)
