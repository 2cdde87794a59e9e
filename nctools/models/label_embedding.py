"""Label embeddings: one vector per class, which the class-wise attention asks with and L_FLA aligns to."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nctools.models.etf import simplex_etf

LabelEmbeddingKind = Literal["etf", "trainable", "random"]


class LabelEmbedding(nn.Module):
    """One unit vector per class: a fixed simplex ETF, trained from a random start, or random and fixed.

    Args:
        num_classes: C.
        num_features: D; at least C-1 for ``"etf"``.
        kind: ``"etf"`` and ``"random"`` are buffers, ``"trainable"`` is a parameter that starts like ``"random"``
            (unit norm at the start only).
        seed: Of the rotation or of the random vectors.

    Raises:
        ValueError: If the kind is unknown or the ETF does not fit.

    Source:
        MLC-NC (AAAI 2025), table 4.

    Example:
        >>> embedding = LabelEmbedding(20, 64, seed=0)
        >>> embedding().shape, [name for name, _ in embedding.named_buffers()]
        (torch.Size([20, 64]), ['weight'])
    """

    weight: Tensor

    def __init__(self, num_classes: int, num_features: int, kind: LabelEmbeddingKind = "etf", seed: int = 0) -> None:
        super().__init__()
        if kind not in get_args(LabelEmbeddingKind):
            raise ValueError(f"`kind` is {kind!r}: pass one of {', '.join(map(repr, get_args(LabelEmbeddingKind)))}")
        self.kind = kind
        if kind == "etf":
            self.register_buffer("weight", simplex_etf(num_classes, num_features, seed=seed))
            return
        generator = torch.Generator().manual_seed(seed)
        vectors = torch.randn(num_classes, num_features, generator=generator, device="cpu")
        vectors /= torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        if kind == "trainable":
            self.weight = nn.Parameter(vectors)
        else:
            self.register_buffer("weight", vectors)

    def forward(self) -> Tensor:
        """Give the label embeddings.

        Returns:
            ``[C, D]``.
        """
        return self.weight
