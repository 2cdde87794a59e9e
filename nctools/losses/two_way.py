"""Two-way loss: positives against negatives, within each image and within each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nctools.losses._checks import check_floating, check_positive, positive_and_unknown
from nctools.losses._precision import softplus, widen
from nctools.losses._shown import shown


def two_way_loss(
    logits: Tensor, targets: Tensor, *, temperature: float = 4.0, temperature_negative: float = 1.0
) -> Tensor:
    """Two-way loss: mean row term over images with a positive + mean column term over classes with a positive.

    ``l = softplus( T- log sum_{y=0} e^{z/T-} + T+ log sum_{y=1} e^{-z/T+} )``, over the classes of an image (row
    term) and over the images of a class (column term). Images and classes without a positive are left out of the
    means: they would dilute them.

    The column terms compare the images of one batch, so the loss depends on the batch: accumulating gradients over
    small batches is not the same as one large batch.

    It has no ``reduction``: the terms are those of rows and of columns, not of entries, and each kind has a mean of its
    own. Before the means they are ``two_way_terms``.

    Args:
        logits: ``[B, C]`` z, floating point; half precision is computed in float32.
        targets: ``[B, C]`` 0 / 1 or bool; entries that are -1 (unknown) are in neither sum.
        temperature: T+ of the positives, above 0.
        temperature_negative: T- of the negatives, above 0.

    Returns:
        A scalar; 0, still attached to the graph, when the batch has no positive.

    Source:
        Kobayashi, Two-way Multi-Label Loss, CVPR 2023; T+ = 4, T- = 1 as in MLC-NC. Released codes mask with -100
        instead of leaving entries out: equal to about 1e-11 unless logits come near 100.

    Limit:
        0 when every positive lies far above every negative of its image and of its class. Adding a constant to a row
        leaves its row term, adding one to a column leaves its column term.

    Example:
        >>> two_way_loss(torch.tensor([[3.0, -3.0], [-3.0, 3.0]]), torch.eye(2))
        tensor(0.0050)
    """
    rows, columns = two_way_terms(logits, targets, temperature=temperature, temperature_negative=temperature_negative)
    positive = targets > 0
    # Terms without a positive are exactly 0, so a sum is the sum over the others.
    images = positive.any(1).sum().clamp_min(1)
    classes = positive.any(0).sum().clamp_min(1)
    return rows.sum() / images + columns.sum() / classes


def two_way_terms(
    logits: Tensor, targets: Tensor, *, temperature: float = 4.0, temperature_negative: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Give the row and column terms of the two-way loss before they are averaged.

    Args:
        logits: ``[B, C]``.
        targets: ``[B, C]`` 0 / 1 or bool.
        temperature: T+, above 0.
        temperature_negative: T-, above 0.

    Returns:
        Row terms ``[B]`` and column terms ``[C]``. A row or column without a positive, or without a negative, has
        the term 0 (the log of an empty sum is minus infinity) and passes no gradient.

    Raises:
        ValueError: If shapes do not agree, a target is none of 0, 1 and -1, or a temperature is not above 0.
    """
    check_floating(logits, "logits", "BC")
    check_positive(temperature, "temperature")
    check_positive(temperature_negative, "temperature_negative")
    positive, unknown = positive_and_unknown(targets, logits, "logits")
    wide = widen(logits)
    # The lowest finite number instead of -inf: the gradient of logsumexp over nothing but -inf is NaN.
    nothing = torch.finfo(wide.dtype).min
    not_negative = positive if unknown is None else positive | unknown
    of_negatives = (wide / temperature_negative).masked_fill(not_negative, nothing)
    of_positives = (-wide / temperature).masked_fill(~positive, nothing)

    def terms(axis: int) -> Tensor:
        return softplus(
            temperature_negative * torch.logsumexp(of_negatives, axis)
            + temperature * torch.logsumexp(of_positives, axis)
        )

    return terms(1), terms(0)


class TwoWayLoss(nn.Module):
    """Module of ``two_way_loss``.

    Args:
        temperature: T+ of the positives, above 0.
        temperature_negative: T- of the negatives, above 0.
    """

    def __init__(self, temperature: float = 4.0, temperature_negative: float = 1.0) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        check_positive(temperature_negative, "temperature_negative")
        self.temperature = temperature
        self.temperature_negative = temperature_negative

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            logits: ``[B, C]``.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            A scalar.
        """
        return two_way_loss(
            logits, targets, temperature=self.temperature, temperature_negative=self.temperature_negative
        )

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line.
        """
        return shown(self)
