"""What a model returns, and the class vectors that NC3 and NC4 compare features with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

AnchorKind = Literal["classifier", "label_embedding"]


@dataclass(eq=False)
class Output:
    """What a model returns for a batch.

    Args:
        logits: ``[B, C]``; their sigmoid is the probability of each class.
        features: Feature spaces by name: ``"classwise" [B, C, D]``, ``"projected" [B, C, p]``,
            ``"penultimate" [B, D]``.
        maps: ``[B, C, h, w]`` class attention maps, or None if the model makes none.

    Example:
        >>> import torch
        >>> output = Output(torch.zeros(2, 20), features={"penultimate": torch.zeros(2, 64)})
        >>> output.logits.shape, list(output.features), output.maps
        (torch.Size([2, 20]), ['penultimate'], None)
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    maps: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Anchors:
    """One vector per class, in the space of some features.

    Args:
        weight: ``[C, D]``.
        bias: ``[C]``, or None.
        kind: ``"classifier"`` if ``features @ weight.T + bias`` are the logits, else ``"label_embedding"``.

    Raises:
        ValueError: If the shapes of weight and bias do not agree.

    Example:
        >>> import torch
        >>> Anchors(torch.zeros(20, 64), bias=torch.zeros(21))
        Traceback (most recent call last):
        ValueError: `bias` has shape [21] but `weight` has shape [20, 64]: pass one bias for each of the 20 rows
    """

    weight: Tensor
    bias: Tensor | None = None
    kind: AnchorKind = "classifier"

    def __post_init__(self) -> None:
        if self.weight.dim() != 2:
            raise ValueError(f"`weight` has shape {list(self.weight.shape)}: pass one row per class, [C, D]")
        if self.bias is not None and self.bias.shape != self.weight.shape[:1]:
            raise ValueError(
                f"`bias` has shape {list(self.bias.shape)} but `weight` has shape {list(self.weight.shape)}: "
                f"pass one bias for each of the {self.weight.shape[0]} rows"
            )
