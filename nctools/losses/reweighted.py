"""RW: binary cross entropy with classes weighted by the inverse of their frequency, or a power of it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nctools.losses._checks import check_floating, check_not_negative
from nctools.losses._class_counts import check_num_classes, checked_counts, span
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction
from nctools.losses._shown import shown
from nctools.losses.bce import bce_loss


def inverse_frequency_weights(
    class_counts: Sequence[int] | Tensor, num_images: int, *, power: float = 0.5, normalise: bool = True
) -> Tensor:
    """Weights ``(N / n_c)^power``, divided by the largest unless told otherwise.

    Args:
        class_counts: ``[C]`` training positives n of each class; 0 counts as 1.
        num_images: Number N of training images; it cancels where the weights are normalised.
        power: 1/2 is the square root, 1 the inverse frequency, 0 no re-weighting.
        normalise: Make the largest weight 1: ``(n_min / n_c)^power``.

    Returns:
        ``[C]`` float64.

    Raises:
        ValueError: If a count is negative, not whole or above ``num_images``, or ``power`` is negative.

    Example:
        >>> inverse_frequency_weights([400, 100, 4], 1000)
        tensor([0.1000, 0.2000, 1.0000], dtype=torch.float64)
    """
    check_not_negative(power, "power")
    return _weights(checked_counts(class_counts, num_images=num_images), num_images, power, normalise)


def reweighted_bce_loss(
    logits: Tensor,
    targets: Tensor,
    class_counts: Sequence[int] | Tensor,
    num_images: int,
    *,
    power: float = 0.5,
    normalise: bool = True,
    reduction: Reduction = "mean",
) -> Tensor:
    """Binary cross entropy with ``inverse_frequency_weights``, the same for positives and negatives of a class.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        num_images: Number of training images.
        power: As in ``inverse_frequency_weights``.
        normalise: As in ``inverse_frequency_weights``.
        reduction: ``"mean"`` over the known of B C, ``"sum"``, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        RW in the comparison of Wu et al., ECCV 2020: its released code has both powers and the normalisation; the
        square root, normalised, is chosen here.

    Limit:
        0 as positives go to +inf and negatives to -inf. Normalised, equal counts give the binary cross entropy, and
        ten times as many images of each class the same loss.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 2)
        >>> reweighted_bce_loss(logits, torch.tensor([[1, 0]]), [100, 25], 200, reduction="none")
        tensor([[0.3466, 0.6931]])
    """
    check_not_negative(power, "power")
    counts = checked_counts(class_counts, num_images=num_images)
    return _weighted(logits, targets, counts, num_images, power, normalise, reduction)


class ReweightedBCELoss(nn.Module):
    """Module of ``reweighted_bce_loss``; the counts are a buffer, from which the weights are made as exact as logits.

    Args:
        class_counts: ``[C]`` training positives of each class; 0 counts as 1.
        num_images: Number of training images.
        power: As in ``inverse_frequency_weights``.
        normalise: As in ``inverse_frequency_weights``.
        reduction: As in ``reweighted_bce_loss``.

    Example:
        >>> ReweightedBCELoss([400, 100, 4], 1000)
        ReweightedBCELoss(3 classes, num_images=1000, power=0.5, normalise=True, reduction='mean', weights 0.1..1)
    """

    class_counts: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        num_images: int,
        *,
        power: float = 0.5,
        normalise: bool = True,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        check_not_negative(power, "power")
        # Whole numbers: no cast of the module rounds them, and each device has them.
        self.register_buffer("class_counts", checked_counts(class_counts, num_images=num_images).long())
        self.num_images, self.power, self.normalise, self.reduction = num_images, power, normalise, reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            As ``reweighted_bce_loss``.
        """
        return _weighted(
            logits, targets, self.class_counts, self.num_images, self.power, self.normalise, self.reduction
        )

    def extra_repr(self) -> str:
        """Give the settings and the range of the weights for ``repr``.

        Returns:
            One line.
        """
        weights = _weights(self.class_counts.float(), self.num_images, self.power, self.normalise)
        return shown(self, f"weights {span(weights)}")


def _weights(counts: Tensor, num_images: int, power: float, normalise: bool) -> Tensor:
    return ((counts.min() if normalise else num_images) / counts) ** power


def _weighted(
    logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    num_images: int,
    power: float,
    normalise: bool,
    reduction: Reduction,
) -> Tensor:
    check_floating(logits, "logits", "BC")
    check_num_classes(counts, logits)
    weights = _weights(counts.to(widen(logits)), num_images, power, normalise)
    return bce_loss(logits, targets, class_weights=weights, reduction=reduction)
