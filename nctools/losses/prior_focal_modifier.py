"""MFM with a prior of the labels that occur together: the loss that the released code of COMIC trains with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.losses._as_numbers import as_numbers
from nctools.losses._checks import check_eps, check_floating, positive_and_unknown
from nctools.losses._class_counts import check_num_classes, checked_counts, span
from nctools.losses._precision import widen, without_autocast
from nctools.losses._reduction import Reduction, check_reduction, reduce_entries
from nctools.losses._shown import shown
from nctools.losses.multi_focal_modifier import RELEASED_EPS, FocalModifier, focus_of

# What the probability of absence of a label that occurs with the positives is multiplied by.
_RELIEF = 1.2


def prior_focal_modifier_loss(
    logits: Tensor,
    targets: Tensor,
    class_counts: Sequence[int] | Tensor,
    cooccurrence: Sequence[Sequence[int]] | Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 3.0,
    weight_pos: float = 0.0,
    weight_neg: float = 1.0,
    beta: float = 1 / 3,
    clip: float = 0.05,
    eps: float | None = RELEASED_EPS,
    detach_focal_weight: bool = True,
    reduction: Reduction = "sum",
) -> Tensor:
    """MFM that takes the labels into account which the image's other labels foretell.

    ``s_ic`` is the share of class c in the rows ``A_j`` of the positives j of image i, where ``A`` is the co-occurrence
    with columns of sum 1 (``label_prior``). With the exponents of ``multi_focal_modifier_loss`` and ``G_c`` its
    head-tail factor, an entry is ``-G_c (1-p')^g+ log p'``, ``p' = p (1 - s_ic)``, for a positive, and
    ``-G_c (1-q)^g- log q``, ``q = min(1, 1 - p + clip)``, for a negative; where ``s_ic`` is above 0, ``min(1, 1.2 q)``
    takes the place of q: labels that go with those of the image are missed less. ``s`` is a constant.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) do not count.
        class_counts: ``[C]`` training positives of each class.
        cooccurrence: ``[C, C]`` training images that hold both classes; its diagonal does not matter.
        gamma_pos: Exponent of the positives, without the class's part.
        gamma_neg: Exponent of the negatives, without the class's part.
        weight_pos: Weight of the class's part in the exponent of the positives.
        weight_neg: Weight of the class's part in the exponent of the negatives.
        beta: Exponent of the head-tail factor.
        clip: Taken from the probability of negatives.
        eps: Logs are ``log(max(., eps))``, as in the released code; None: exact logs.
        detach_focal_weight: The focal factors are constants of the backward pass.
        reduction: ``"sum"``, ``"mean"`` over the known of B C, ``"batchmean"`` (sum / B) or ``"none"`` (``[B, C]``).

    Returns:
        A scalar, or ``[B, C]`` for ``"none"``. Finite, with its gradient, for logits from -10,000 to 10,000.

    Source:
        The released code of COMIC (Zhang et al., ICCV 2023), where all configurations name it; it is not in the paper.
        There an image without positives, or a class that occurs with no other, gives NaN; here s is 0. What MLC-NC
        compares with as MFM is this loss with ``gamma_pos=1``, ``gamma_neg=2`` and ``detach_focal_weight=False``.

    Limit:
        MFM's released variant with this ``beta`` where no classes occur together.

    Example:
        >>> logits, both = torch.zeros(1, 3), torch.tensor([[0, 8, 0], [8, 0, 0], [0, 0, 0]])
        >>> prior_focal_modifier_loss(logits, torch.tensor([[1, 0, 0]]), [10, 10, 10], both, reduction="none")
        tensor([[0.6931, 0.0056, 0.0245]])
    """
    check_floating(logits, "logits", "BC")
    check_eps(eps)
    modifier = FocalModifier(gamma_pos, gamma_neg, weight_pos, weight_neg, beta, clip, detach_focal_weight, "released")
    counts = checked_counts(class_counts)
    pairs = checked_pairs(cooccurrence, num_classes=len(counts))
    return _loss(logits, targets, counts, pairs, modifier, eps, reduction)


def checked_pairs(cooccurrence: Sequence[Sequence[int]] | Tensor, *, num_classes: int) -> Tensor:
    """Check a co-occurrence matrix.

    Args:
        cooccurrence: ``[C, C]`` training images that hold both classes.
        num_classes: ``C``.

    Returns:
        ``[C, C]`` int64, on the CPU, with 0 on its diagonal.

    Raises:
        ValueError: If the matrix has another shape, is not symmetric, or a value is negative or not a whole number.

    Example:
        >>> checked_pairs(torch.tensor([[9, 2], [2, 5]]), num_classes=2)
        tensor([[0, 2],
                [2, 0]])
    """
    if cooccurrence is None:  # what an argument that nobody gave comes to
        raise ValueError(
            "`cooccurrence` is None: pass the training images that hold both classes, [C, C], for example "
            "labels.T @ labels"
        )
    given = as_numbers(cooccurrence, "cooccurrence")
    if given.shape != (num_classes, num_classes):
        raise ValueError(
            f"`cooccurrence` has shape {list(given.shape)}: pass a matrix with a row and a column for each of "
            f"the {num_classes} classes, [{num_classes}, {num_classes}]"
        )
    pairs = given.detach().to("cpu", torch.float64, copy=True).fill_diagonal_(0)
    wrong = ~torch.isfinite(pairs) | (pairs < 0) | (pairs != pairs.round())
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"`cooccurrence[{row}, {column}]` is {pairs[row, column].item():g}: pass whole numbers, 0 or more"
        )
    if not torch.equal(pairs, pairs.T):
        row, column = (pairs != pairs.T).nonzero()[0].tolist()
        raise ValueError(
            f"`cooccurrence[{row}, {column}]` is {pairs[row, column].item():g} but [{column}, {row}] is "
            f"{pairs[column, row].item():g}: two classes occur together as often as the other way round"
        )
    return pairs.long()


def label_affinity(pairs: Tensor) -> Tensor:
    """Divide the columns of a co-occurrence matrix by their sums.

    Args:
        pairs: ``[C, C]`` as ``checked_pairs`` gives it, floating point.

    Returns:
        ``[C, C]`` A; the column of a class that occurs with no other is 0.

    Example:
        >>> label_affinity(torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 6.0], [0.0, 6.0, 0.0]]))
        tensor([[0.0000, 0.2500, 0.0000],
                [1.0000, 0.0000, 1.0000],
                [0.0000, 0.7500, 0.0000]])
    """
    sums = pairs.sum(0)
    return pairs / sums.masked_fill(sums == 0, 1)


def label_prior(positive: Tensor, affinity: Tensor) -> Tensor:
    """Give the share of each class among those that occur with the positives of an image.

    Args:
        positive: ``[B, C]`` bool.
        affinity: ``[C, C]`` A, floating point.

    Returns:
        ``[B, C]`` s: the sum of the rows of A of the positives, divided by its own sum; 0 for an image without
        positives, or with none that occur with others.
    """
    with torch.no_grad(), without_autocast(affinity):
        share = positive.to(affinity.dtype) @ affinity
        total = share.sum(1, keepdim=True)
        return share / total.masked_fill(total == 0, 1)


class PriorFocalModifierLoss(nn.Module):
    """Module of ``prior_focal_modifier_loss``; class counts and co-occurrence are buffers.

    Args:
        class_counts: ``[C]`` training positives of each class.
        cooccurrence: ``[C, C]`` training images that hold both classes.
        gamma_pos: As in ``prior_focal_modifier_loss``, as are all others.
        gamma_neg: Likewise.
        weight_pos: Likewise.
        weight_neg: Likewise.
        beta: Likewise.
        clip: Likewise.
        eps: Likewise.
        detach_focal_weight: Likewise.
        reduction: Likewise.
    """

    class_counts: Tensor
    cooccurrence: Tensor

    def __init__(
        self,
        class_counts: Sequence[int] | Tensor,
        cooccurrence: Sequence[Sequence[int]] | Tensor,
        *,
        gamma_pos: float = 0.0,
        gamma_neg: float = 3.0,
        weight_pos: float = 0.0,
        weight_neg: float = 1.0,
        beta: float = 1 / 3,
        clip: float = 0.05,
        eps: float | None = RELEASED_EPS,
        detach_focal_weight: bool = True,
        reduction: Reduction = "sum",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        check_eps(eps)
        self.modifier = FocalModifier(
            gamma_pos, gamma_neg, weight_pos, weight_neg, beta, clip, detach_focal_weight, "released"
        )
        self.eps = eps
        self.reduction = reduction
        # Whole numbers: no cast of the module rounds them, and each device has them.
        self.register_buffer("class_counts", checked_counts(class_counts).long())
        self.register_buffer("cooccurrence", checked_pairs(cooccurrence, num_classes=len(self.class_counts)))

    def extra_repr(self) -> str:
        """Show the settings, and what follows from the training labels.

        Returns:
            One line; exponents and factors from the smallest to the largest, and how many classes occur with others.
        """
        focus = focus_of(self.class_counts.float(), self.modifier.beta)
        positives, negatives = self.modifier.exponents(focus)
        pairs = self.cooccurrence
        others = "?" if pairs.is_meta else int((pairs.sum(0) > 0).sum())
        return shown(
            self,
            f"exponents of negatives {span(negatives)}, of positives {span(positives)}",
            f"factors {span(focus)}",
            f"{others} of {len(focus)} classes occur with others",
        )

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool; -1 where the label is not known.

        Returns:
            As ``prior_focal_modifier_loss``.
        """
        check_floating(logits, "logits", "BC")
        return _loss(logits, targets, self.class_counts, self.cooccurrence, self.modifier, self.eps, self.reduction)


def _loss(
    logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    pairs: Tensor,
    modifier: FocalModifier,
    eps: float | None,
    reduction: Reduction,
) -> Tensor:
    check_num_classes(counts, logits)
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    wide = widen(logits)
    focus = focus_of(counts.to(wide), modifier.beta)
    prior = label_prior(positive, label_affinity(pairs.to(wide)))
    gamma_pos, gamma_neg = modifier.exponents(focus)
    # A share that rounds to 1 would leave nothing of the probability.
    log_positive = F.logsigmoid(wide) + torch.log1p(-prior.clamp(max=1 - torch.finfo(wide.dtype).eps))
    log_absent = _log_absent(wide, modifier.clip) + math.log(_RELIEF) * (prior > 0).to(wide)
    entries = torch.where(
        positive,
        _focused(log_positive, gamma_pos, eps, detach=modifier.detach_focal_weight),
        _focused(log_absent.clamp(max=0), gamma_neg, eps, detach=modifier.detach_focal_weight),
    )
    return reduce_entries(focus * entries, reduction, unknown=unknown)


def _log_absent(wide: Tensor, clip: float) -> Tensor:
    # log min(1, 1 - p + clip)
    if clip == 0:
        return F.logsigmoid(-wide)
    return -torch.log1p(F.relu(torch.sigmoid(wide) - clip) / (torch.sigmoid(-wide) + clip))


def _focused(log_probability: Tensor, gamma: Tensor, eps: float | None, *, detach: bool) -> Tensor:
    # -(1 - x)^gamma log x, from log x.
    rest = -torch.expm1(log_probability)
    # The slope of r^gamma at r = 0 is infinite for gamma < 1; the log is 0 there, so that any base will do.
    factor = torch.pow(rest.masked_fill(rest < torch.finfo(rest.dtype).tiny, 1), gamma)
    logs = log_probability if eps is None else log_probability.clamp(min=math.log(eps))
    return -(factor.detach() if detach else factor) * logs
