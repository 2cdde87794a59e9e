"""Label embeddings: one vector per class, which the class-wise attention asks with and L_FLA aligns to."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.models._norms import divisible_norm
from nctools.models.etf import simplex_etf

LabelEmbeddingKind = Literal["etf", "trainable", "random", "text"]


class LabelEmbedding(nn.Module):
    """One vector per class: a fixed simplex ETF, trained from a random start, random and fixed, or brought by the user.

    Args:
        num_classes: C.
        num_features: D; at least C-1 for ``"etf"``.
        kind: ``"etf"`` and ``"random"`` are buffers of unit vectors, ``"trainable"`` is a parameter that starts like
            ``"random"`` (unit norm at the start only). ``"text"`` keeps ``vectors`` in a buffer, each scaled to unit
            length; where their width d is not D, a trained linear map without bias stands between.
        seed: Of the rotation, the random vectors or the map.
        vectors: ``[C, d]`` for ``"text"``, no row zero; none for the other kinds.

    Raises:
        ValueError: If the kind is unknown, the ETF does not fit, or the vectors are missing, of another number, or too
            many.

    Source:
        MLC-NC (AAAI 2025), table 4. The map starts with normal entries of variance 1/D, so that it hardly changes
        lengths and angles (chosen here; the paper does not say how vectors of another width come to D).

    Example:
        >>> embedding = LabelEmbedding(20, 64, seed=0)
        >>> embedding().shape, [name for name, _ in embedding.named_buffers()]
        (torch.Size([20, 64]), ['weight'])
        >>> embedding = LabelEmbedding(2, 64, "text", vectors=torch.eye(2, 300))
        >>> embedding().shape, [name for name, _ in embedding.named_parameters()]
        (torch.Size([2, 64]), ['map'])
    """

    weight: Tensor
    vectors: Tensor
    map: nn.Parameter | None  # [D, d]

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        kind: LabelEmbeddingKind = "etf",
        seed: int = 0,
        *,
        vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        if kind not in get_args(LabelEmbeddingKind):
            raise ValueError(f"`kind` is {kind!r}: pass one of {', '.join(map(repr, get_args(LabelEmbeddingKind)))}")
        self.kind = kind
        if (vectors is None) == (kind == "text"):
            given = "no `vectors` were given" if vectors is None else f"`vectors` of shape {list(vectors.shape)} too"
            raise ValueError(f"`kind` is {kind!r} and {given}: vectors belong to 'text' and to no other kind")
        generator = torch.Generator().manual_seed(seed)
        if vectors is not None:
            self._take(vectors, num_classes, num_features, generator)
            return
        if kind == "etf":
            self.register_buffer("weight", simplex_etf(num_classes, num_features, seed=seed))
            return
        rows = torch.randn(num_classes, num_features, generator=generator, device="cpu")
        rows /= torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        if kind == "trainable":
            self.weight = nn.Parameter(rows)
        else:
            self.register_buffer("weight", rows)

    def _take(self, vectors: Tensor, num_classes: int, num_features: int, generator: torch.Generator) -> None:
        if vectors.dim() != 2 or vectors.shape[0] != num_classes or vectors.shape[1] == 0:
            raise ValueError(
                f"`vectors` has shape {list(vectors.shape)}: pass [{num_classes}, d], a row for each class"
            )
        rows = vectors.detach().float().cpu()
        self.register_buffer("vectors", rows / divisible_norm(rows, 1))
        width = vectors.shape[1]
        if width == num_features:
            self.map = None
            return
        start = torch.randn(num_features, width, generator=generator, device="cpu") / math.sqrt(num_features)
        self.map = nn.Parameter(start)

    def forward(self) -> Tensor:
        """Give the label embeddings.

        Returns:
            ``[C, D]``.
        """
        if self.kind != "text":
            return self.weight
        if self.map is None:
            return self.vectors
        # Small, and L_FLA takes cosines of it: not in half precision.
        with torch.autocast(self.vectors.device.type, enabled=False):
            return nn.functional.linear(self.vectors, self.map)
