"""Softmax cross entropy for every positive of an image: pick-all-labels, and over k positives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nctools.losses._checks import check_floating, positive_and_unknown
from nctools.losses._precision import widen
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown


def pick_all_labels_loss(
    logits: Tensor, targets: Tensor, *, normalise: bool = False, reduction: Reduction = "mean"
) -> Tensor:
    """Pick-all-labels cross entropy: ``-y log softmax(z_i)_c``, the softmax over the classes of an image.

    With ``normalise`` the entries of image i are divided by its number of positives k_i (targets ``y / sum y``, "k
    positives"): each image counts once, not once for each label. An image without positives has the loss 0.

    Unknown entries take no part: neither as a positive nor in the sum of the softmax, where they would be held to be
    absent.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; -1 where the label is not known.
        normalise: Divide by the positives of the image.
        reduction: ``"mean"`` over the known of B C, as in all losses here and in the code of DB; ``"batchmean"`` (sum /
            B) is the mean over images of the papers; ``"sum"`` or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        Li et al., Neural Collapse in Multi-label Learning with Pick-all-label Loss, ICML 2024. Normalised: Mahajan et
        al., ECCV 2018, and the code of DB.

    Limit:
        k log k (normalised log k) for an image with k positives: they cannot all have the probability 1. Adding a
        constant to the logits of an image changes nothing.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0, -1e4]])
        >>> pick_all_labels_loss(logits, torch.tensor([[1, 1, 0]]), reduction="none")
        tensor([[0.6931, 0.6931, 0.0000]])
        >>> pick_all_labels_loss(logits, torch.tensor([[1, 1, 0]]), normalise=True, reduction="batchmean")
        tensor(0.6931)
    """
    check_floating(logits, "logits", "BC")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    wide = widen(logits)
    if unknown is not None:
        # The lowest finite number instead of -inf: where all of an image is unknown, -inf would give NaN.
        wide = wide.masked_fill(unknown, torch.finfo(wide.dtype).min)
    entries = (-torch.log_softmax(wide, 1)).masked_fill(~positive, 0)
    if normalise:
        entries = entries / positive.sum(1, keepdim=True).clamp_min(1)
    return reduce_entries(entries, reduction, unknown=unknown)


class PickAllLabelsLoss(nn.Module):
    """Module of ``pick_all_labels_loss``.

    Args:
        normalise: Divide by the positives of the image.
        reduction: As in ``pick_all_labels_loss``.
    """

    def __init__(self, *, normalise: bool = False, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.normalise = normalise
        self.reduction = reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool; -1 where the label is not known.

        Returns:
            As ``pick_all_labels_loss``.
        """
        return pick_all_labels_loss(logits, targets, normalise=self.normalise, reduction=self.reduction)

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line.
        """
        return shown(self)
