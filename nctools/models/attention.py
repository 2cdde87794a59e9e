"""Class-wise attention: one feature per class from a feature map, and the map of where it was taken."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.models._norms import divisible_norm


class CosineAttention(nn.Module):
    """Attention without parameters: ``a_{ck} = softmax_k( cos(z^k, l_c) )``, ``f^c = sum_k a_{ck} z^k``.

    Source:
        MLC-NC (AAAI 2025), EGFL (the paper's equation).

    Limit:
        A map that is the same at all positions gives uniform attention, and that vector for every class.

    Example:
        >>> features, maps = CosineAttention()(torch.randn(2, 64, 6, 6), torch.randn(20, 64))
        >>> features.shape, maps.shape
        (torch.Size([2, 20, 64]), torch.Size([2, 20, 6, 6]))
    """

    def forward(self, feature_map: Tensor, label_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            feature_map: ``[B, ch, h, w]`` z.
            label_embedding: ``[C, ch]`` l, any length of rows.

        Returns:
            Features ``[B, C, ch]`` and attention maps ``[B, C, h, w]``, which sum to 1 over positions (float32 or
            wider).

        Raises:
            ValueError: If the shapes do not agree.
        """
        _check_map(feature_map)
        if label_embedding.dim() != 2 or label_embedding.shape[1] != feature_map.shape[1]:
            raise ValueError(
                f"`label_embedding` has shape {list(label_embedding.shape)} but `feature_map` has shape "
                f"{list(feature_map.shape)}: cosine attention needs label embeddings [C, {feature_map.shape[1]}]"
            )
        positions = feature_map.flatten(2)
        labels = label_embedding / divisible_norm(label_embedding, 1)
        # Dividing the scores costs B C hw; unit vectors at each position would cost B ch hw.
        scores = torch.matmul(labels.to(feature_map.dtype), positions) / divisible_norm(positions, 1)
        weights = _softmax(scores)
        features = torch.bmm(weights.to(feature_map.dtype), positions.transpose(1, 2))
        return features, weights.unflatten(2, feature_map.shape[2:])


class MultiheadClassAttention(nn.Module):
    """Multihead attention of the classes over the positions of a feature map, as in the released code.

    ``e^k = relu(Linear(z^k))``; the label embeddings are the queries, e the keys and the values. Parameters are named
    and laid out as those of ``torch.nn.MultiheadAttention`` (``in_proj_weight``, ``in_proj_bias``, ``out_proj``).

    The queries are the same for every image and are projected once. The attention maps are those before dropout.

    Args:
        in_features: Channels ch of the feature map.
        num_features: Width D of label embeddings and features (768 in the released code).
        num_heads: Must divide ``num_features``.
        dropout: Of the attention weights, while training.
        positive_scale: Positive entries of the features are multiplied by it (``alpha`` of the released code).

    Raises:
        ValueError: If ``num_heads`` does not divide ``num_features``.

    Source:
        MLC-NC (AAAI 2025), released code.

    Example:
        >>> attention = MultiheadClassAttention(64, 128).eval()
        >>> features, maps = attention(torch.randn(2, 64, 6, 6), torch.randn(20, 128))
        >>> features.shape, maps.shape
        (torch.Size([2, 20, 128]), torch.Size([2, 20, 6, 6]))
    """

    def __init__(
        self,
        in_features: int,
        num_features: int,
        num_heads: int = 8,
        dropout: float = 0.1,
        *,
        positive_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if num_heads < 1 or num_features % num_heads:
            raise ValueError(f"num_heads is {num_heads}, which does not divide num_features {num_features}")
        self.in_features = in_features
        self.num_features = num_features
        self.num_heads = num_heads
        self.dropout = dropout
        self.positive_scale = positive_scale
        self.embed = nn.Linear(in_features, num_features)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * num_features, num_features))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * num_features))
        self.out_proj = nn.Linear(num_features, num_features)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, feature_map: Tensor, label_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            feature_map: ``[B, ch, h, w]``.
            label_embedding: ``[C, D]``, used as it is (its length counts).

        Returns:
            Features ``[B, C, D]`` and attention maps ``[B, C, h, w]``: mean over heads, sum 1 over positions
            (float32 or wider).

        Raises:
            ValueError: If the shapes do not agree.
        """
        _check_map(feature_map)
        if feature_map.shape[1] != self.in_features:
            raise ValueError(
                f"`feature_map` has shape {list(feature_map.shape)}: this attention was made for "
                f"{self.in_features} channels, not {feature_map.shape[1]}"
            )
        if label_embedding.dim() != 2 or label_embedding.shape[1] != self.num_features:
            raise ValueError(
                f"`label_embedding` has shape {list(label_embedding.shape)}: this attention was made for label "
                f"embeddings [C, {self.num_features}]"
            )
        queries, keys, values = self._project(feature_map, label_embedding)
        weights = _softmax(queries @ keys.transpose(-1, -2))
        maps = weights.mean(1).unflatten(2, feature_map.shape[2:])
        weights = F.dropout(weights, self.dropout, self.training)
        features = self.out_proj((weights.to(values.dtype) @ values).transpose(1, 2).flatten(2))
        if self.positive_scale != 1:
            features = torch.where(features > 0, features * self.positive_scale, features)
        return features, maps

    def _project(self, feature_map: Tensor, label_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Queries [heads, C, d], already divided by sqrt(d); keys and values [B, heads, hw, d].
        width, heads = self.num_features, self.num_heads
        query_weight, pair_weight = self.in_proj_weight.split([width, 2 * width])
        query_bias, pair_bias = self.in_proj_bias.split([width, 2 * width])
        queries = F.linear(label_embedding, query_weight, query_bias) / math.sqrt(width // heads)
        positions = F.relu(self.embed(feature_map.flatten(2).transpose(1, 2)))
        pairs = F.linear(positions, pair_weight, pair_bias).unflatten(2, (2, heads, width // heads))
        keys, values = pairs.permute(2, 0, 3, 1, 4)
        return queries.unflatten(1, (heads, width // heads)).transpose(0, 1), keys, values


def _softmax(scores: Tensor) -> Tensor:
    # In float32 or wider: maps rounded to half precision do not sum to 1.
    return scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def _check_map(feature_map: Tensor) -> None:
    if feature_map.dim() != 4:
        raise ValueError(f"`feature_map` has shape {list(feature_map.shape)}: pass a feature map [B, ch, h, w]")
