"""The class-wise head that MLC-NC and its control share: label embeddings, attention, one projection for each class."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nctools.models.attention import CosineAttention, MultiheadClassAttention
from nctools.models.label_embedding import LabelEmbedding, LabelEmbeddingKind
from nctools.models.projection import ClassProjection

AttentionKind = Literal["cosine", "multihead"]
# Width of the authors' released attention.
RELEASED_WIDTH = 768


class ClasswiseHead(nn.Module):
    """Turn a feature map into one feature for each class, and project each to a small common width.

    Args:
        num_classes: Number of classes ``C``.
        in_features: Channels ``ch`` of the feature map.
        attention: ``"cosine"`` (no parameters) or ``"multihead"``.
        num_features: Width ``D`` of the class-wise features; None takes ``ch`` (cosine) or 768 (multihead).
        num_heads: Heads of the multihead attention.
        dropout: Dropout of the multihead attention.
        label_embedding: Kind of label embedding.
        label_vectors: ``[C, d]`` of the kind ``"text"``.
        projection_features: Width ``p`` after the projection.
        seed: Seed of the label embedding.

    Raises:
        ValueError: If cosine attention is asked for with a width other than the feature map's.

    Source: MLC-NC (Tao et al., AAAI 2025), sections EGFL and FPC.

    Example:
        >>> import torch
        >>> head = ClasswiseHead(5, 16, attention="cosine", projection_features=4)
        >>> [tuple(part.shape) for part in head(torch.randn(2, 16, 3, 3))]
        [(2, 5, 16), (2, 5, 4), (2, 5, 3, 3)]
    """

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        attention: AttentionKind = "cosine",
        num_features: int | None = None,
        num_heads: int = 8,
        dropout: float = 0.1,
        label_embedding: LabelEmbeddingKind = "etf",
        label_vectors: Tensor | None = None,
        projection_features: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if attention not in {"cosine", "multihead"}:
            raise ValueError(f'attention is {attention!r}; it is "cosine" or "multihead"')
        width = num_features or (in_features if attention == "cosine" else RELEASED_WIDTH)
        if attention == "cosine" and width != in_features:
            raise ValueError(
                f"num_features is {width}, but cosine attention keeps the backbone's width {in_features}: "
                'leave num_features out, or take attention="multihead"'
            )
        self.label_embedding = LabelEmbedding(
            num_classes, width, kind=label_embedding, seed=seed, vectors=label_vectors
        )
        self.attention: CosineAttention | MultiheadClassAttention = (
            CosineAttention()
            if attention == "cosine"
            else MultiheadClassAttention(in_features, width, num_heads=num_heads, dropout=dropout)
        )
        self.projection = ClassProjection(num_classes, width, projection_features)

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend and project.

        Args:
            feature_map: ``[B, ch, h, w]``.

        Returns:
            Class-wise features ``[B, C, D]``, projected unit vectors ``[B, C, p]``, attention maps ``[B, C, h, w]``.
        """
        features, maps = self.attention(feature_map, self.label_embedding())
        return features, self.projection(features), maps
