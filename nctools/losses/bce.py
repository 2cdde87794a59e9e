"""Binary cross entropy on logits, with optional class weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.losses._as_numbers import as_numbers
from nctools.losses._checks import check_floating, positive_and_unknown
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown


def bce_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    class_weights: Sequence[float] | Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Binary cross entropy (ERM): ``w_c softplus(-z)`` for a positive, ``w_c softplus(z)`` for a negative.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        class_weights: ``[C]`` w, the same for positives and negatives of a class; None for ones.
        reduction: ``"mean"`` over the known of B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Raises:
        ValueError: If shapes do not agree or a target is none of 0, 1 and -1.

    Limit:
        0 as positives go to +inf and negatives to -inf.

    Example:
        >>> logits = torch.tensor([[0.0, 1e4]])
        >>> bce_loss(logits, torch.tensor([[1, 1]]), reduction="none")
        tensor([[0.6931, 0.0000]])
    """
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    weights = None if class_weights is None else as_numbers(class_weights, "class_weights")
    if weights is not None and weights.shape != logits.shape[1:]:
        raise ValueError(
            f"`class_weights` has shape {list(weights.shape)} but `logits` has shape {list(logits.shape)}: "
            f"pass one weight for each of the {logits.shape[1]} classes"
        )
    wide = widen(logits)
    if weights is not None:
        weights = weights.to(wide.device, torch.promote_types(weights.dtype, wide.dtype))
    entries = F.binary_cross_entropy_with_logits(wide, positive.to(wide.dtype), weight=weights, reduction="none")
    return reduce_entries(entries, reduction, unknown=unknown)


class BinaryCrossEntropyLoss(nn.Module):
    """Module of ``bce_loss``; the class weights are a buffer.

    Args:
        class_weights: ``[C]``, finite and not negative; None for ones.
        reduction: As in ``bce_loss``.

    Raises:
        ValueError: If a weight is negative or not finite.
    """

    class_weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | Tensor | None = None, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        weights = None if class_weights is None else as_numbers(class_weights, "class_weights").detach().clone()
        if weights is not None:
            weights = weights if weights.is_floating_point() else weights.float()
            if weights.dim() != 1 or weights.numel() == 0:
                raise ValueError(f"`class_weights` has shape {list(weights.shape)}: pass one for each class, [C]")
            bad = ~(torch.isfinite(weights) & (weights >= 0))
            if bool(bad.any()):
                place = int(bad.nonzero()[0])
                raise ValueError(
                    f"`class_weights[{place}]` is {weights[place].item():g}: weights must be finite and >= 0"
                )
        self.register_buffer("class_weights", weights)
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            As ``bce_loss``.
        """
        return bce_loss(logits, targets, class_weights=self.class_weights, reduction=self.reduction)

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line.
        """
        return shown(self)
