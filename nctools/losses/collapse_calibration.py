"""L_FPC of MLC-NC: projected features of a class are drawn to that class's centre, away from the other centres."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.losses._checks import check_choice, check_class_rows, check_floating, check_positive, check_targets
from nctools.losses._cosine import unit_rows
from nctools.losses._precision import widen, without_autocast
from nctools.losses._shown import shown

Normalisation = Literal["batch", "pairs"]


def collapse_calibration_loss(
    projected: Tensor,
    centres: Tensor,
    seen: Tensor,
    targets: Tensor,
    *,
    temperature: float = 0.5,
    temperature_denominator: float = 0.5,
    normalise: Normalisation = "batch",
) -> Tensor:
    """Collapse calibration: contrast of each positive (image, class) with the class centres.

    ``L = -1/B sum_{i,c: y=1} [ S^{cc}/tau1 - log sum_k exp(S^{ck}/tau2) ]``, ``S_i^{ck} = cos(mu_i^c, centre_k)``;
    c and k run over the classes whose centre exists.

    Args:
        projected: ``[B, C, p]`` mu, floating point; half precision is computed in float32. Negatives are not read.
        centres: ``[C, p]``, any length of rows.
        seen: ``[C]`` bool, whether the centre exists; a class without one is neither target nor in the denominator.
        targets: ``[B, C]`` 0 / 1 or bool; only positives count, so -1 (unknown) is as good as 0.
        temperature: tau1, above 0.
        temperature_denominator: tau2, above 0.
        normalise: ``"batch"`` divides by the batch size (paper), ``"pairs"`` by the number of pairs that take part
            (released code).

    Returns:
        A scalar; 0, still attached to the graph, when no positive has a centre (always so in the first epoch).

    Raises:
        ValueError: If shapes do not agree, a target is neither 0 nor 1, a temperature is not above 0, or a word is
            unknown.

    Source:
        MLC-NC (AAAI 2025), L_FPC; tau1 = tau2 = 0.5.

    Limit:
        With tau1 = tau2 = tau, features on their centre and K centres in a simplex:
        ``log(1 + (K-1) exp(-K / ((K-1) tau)))`` per pair, not 0.

    Example:
        >>> centres = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        >>> projected = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> seen = torch.tensor([True, True])
        >>> collapse_calibration_loss(projected, centres, seen, torch.tensor([[1, 0]]))
        tensor(0.0181)
    """
    check_choice(normalise, "normalise", get_args(Normalisation))
    check_positive(temperature, "temperature")
    check_positive(temperature_denominator, "temperature_denominator")
    check_floating(projected, "projected", "BCp")
    check_class_rows(centres, "centres", projected, "projected")
    if seen.shape != centres.shape[:1] or seen.dtype != torch.bool:
        raise ValueError(
            f"`seen` has shape {list(seen.shape)} and dtype {seen.dtype} but `centres` has shape "
            f"{list(centres.shape)}: pass one bool per class"
        )
    positive = check_targets(targets, projected, "projected")

    # index_select on the flattened tensor: its backward is index_add, that of projected[i, c] a slower index_put.
    pairs = (positive & seen).flatten().nonzero().squeeze(1)
    own = pairs % projected.shape[1]
    with without_autocast(projected):
        vectors = unit_rows(widen(projected.flatten(0, 1).index_select(0, pairs)))
        scaled = unit_rows(centres.to(vectors.dtype)) / temperature_denominator
        # Minus infinity is added to the score of a class without a centre: it is not in the denominator. Each row has
        # a finite score, that of its own class.
        absent = vectors.new_zeros(seen.shape).masked_fill_(~seen, -torch.inf)
        scores = torch.addmm(absent, vectors, scaled.T)
        total = F.cross_entropy(scores, own, reduction="sum")
        if temperature != temperature_denominator:
            own_scores = scores.gather(1, own.unsqueeze(1))
            total = total + (1 - temperature_denominator / temperature) * own_scores.sum()
    return total / (projected.shape[0] if normalise == "batch" else max(pairs.shape[0], 1))


class CollapseCalibrationLoss(nn.Module):
    """Module of ``collapse_calibration_loss``; the centres are kept elsewhere (``models.ClassCentres``).

    Args:
        temperature: tau1, above 0.
        temperature_denominator: tau2, above 0.
        normalise: ``"batch"`` or ``"pairs"``.
    """

    def __init__(
        self, temperature: float = 0.5, temperature_denominator: float = 0.5, normalise: Normalisation = "batch"
    ) -> None:
        super().__init__()
        check_choice(normalise, "normalise", get_args(Normalisation))
        check_positive(temperature, "temperature")
        check_positive(temperature_denominator, "temperature_denominator")
        self.temperature = temperature
        self.temperature_denominator = temperature_denominator
        self.normalise = normalise

    def forward(self, projected: Tensor, centres: Tensor, seen: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            projected: ``[B, C, p]``.
            centres: ``[C, p]``.
            seen: ``[C]`` bool.
            targets: ``[B, C]`` 0 / 1 or bool.

        Returns:
            A scalar.
        """
        return collapse_calibration_loss(
            projected,
            centres,
            seen,
            targets,
            temperature=self.temperature,
            temperature_denominator=self.temperature_denominator,
            normalise=self.normalise,
        )

    def extra_repr(self) -> str:
        """Show the settings.

        Returns:
            One line.
        """
        return shown(self)
