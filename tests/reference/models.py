"""Slow references of the model parts: loops over images, classes, heads and positions, in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def softmax(scores: list[Tensor]) -> list[Tensor]:
    largest = max(float(score.detach()) for score in scores)
    exponentials = [torch.exp(score - largest) for score in scores]
    total = torch.stack(exponentials).sum()
    return [exponential / total for exponential in exponentials]


def norm(vector: Tensor) -> Tensor:
    return vector.square().sum().sqrt()


def positions_of(feature_map: Tensor) -> list[Tensor]:
    """The vectors of one image's map [ch, h, w], row by row."""
    _, height, width = feature_map.shape
    return [feature_map[:, row, column] for row in range(height) for column in range(width)]


def cosine_attention(feature_map: Tensor, label_embedding: Tensor) -> tuple[Tensor, Tensor]:
    images, _, height, width = feature_map.shape
    features, maps = [], []
    for i in range(images):
        positions = positions_of(feature_map[i])
        for label in label_embedding:
            weights = softmax([(z * label).sum() / (norm(z) * norm(label)) for z in positions])
            features.append(sum((a * z for a, z in zip(weights, positions, strict=True)), torch.zeros_like(label)))
            maps.append(torch.stack(weights).reshape(height, width))
    classes = len(label_embedding)
    return (
        torch.stack(features).reshape(images, classes, -1),
        torch.stack(maps).reshape(images, classes, height, width),
    )


def multihead_attention(
    feature_map: Tensor, label_embedding: Tensor, parameters: dict[str, Tensor], num_heads: int
) -> tuple[Tensor, Tensor]:
    """Without dropout. Parameters by the names of the module's state dict."""
    images, _, height, width = feature_map.shape
    features_width = label_embedding.shape[1]
    size = features_width // num_heads
    weight, bias = parameters["in_proj_weight"], parameters["in_proj_bias"]
    features, maps = [], []
    for i in range(images):
        embedded = [
            torch.clamp(parameters["embed.weight"] @ z + parameters["embed.bias"], min=0)
            for z in positions_of(feature_map[i])
        ]
        for label in label_embedding:
            query = weight[:features_width] @ label + bias[:features_width]
            joined, mean_weights = [], torch.zeros(len(embedded), dtype=feature_map.dtype)
            for head in range(num_heads):
                part = slice(head * size, (head + 1) * size)
                keys = [
                    (weight[features_width : 2 * features_width] @ e + bias[features_width : 2 * features_width])[part]
                    for e in embedded
                ]
                values = [(weight[2 * features_width :] @ e + bias[2 * features_width :])[part] for e in embedded]
                weights = softmax([(query[part] * key).sum() / math.sqrt(size) for key in keys])
                joined.append(sum((a * v for a, v in zip(weights, values, strict=True)), torch.zeros_like(values[0])))
                mean_weights = mean_weights + torch.stack(weights) / num_heads
            features.append(parameters["out_proj.weight"] @ torch.cat(joined) + parameters["out_proj.bias"])
            maps.append(mean_weights.reshape(height, width))
    classes = len(label_embedding)
    return (
        torch.stack(features).reshape(images, classes, -1),
        torch.stack(maps).reshape(images, classes, height, width),
    )


def class_projection(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    images, classes, _ = features.shape
    rows = []
    for i in range(images):
        for c in range(classes):
            projected = features[i, c] @ weight[c] + bias[c]
            rows.append(projected / norm(projected))
    return torch.stack(rows).reshape(images, classes, -1)


def class_means(batches: list[tuple[Tensor, Tensor]], num_classes: int) -> dict[int, Tensor]:
    """Mean of the positives of each class over batches of (projected, targets); classes without any are left out."""
    means = {}
    for c in range(num_classes):
        vectors = [
            projected[i, c].double()
            for projected, targets in batches
            for i in range(len(projected))
            if targets[i, c] == 1
        ]
        if vectors:
            means[c] = torch.stack(vectors).mean(0)
    return means


def mapped_rows(vectors: Tensor, linear_map: Tensor) -> Tensor:
    """Vectors [C, d], each brought to unit length and through a map [D, d]."""
    rows = []
    for vector in vectors:
        unit = vector / norm(vector)
        rows.append(torch.stack([(line * unit).sum() for line in linear_map]))
    return torch.stack(rows)


def joined_logits(projected: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
    """Each class's row [C p] times all projected features [B, C, p] of an image, one after the other."""
    images = []
    for vectors in projected:
        joined = [number for vector in vectors for number in vector]
        images.append(torch.stack([scale * sum(x * w for x, w in zip(joined, row, strict=True)) for row in rows]))
    return torch.stack(images)


def classwise_logits(projected: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
    """Each class's row [p] times its own projected feature."""
    images = [
        torch.stack([scale * (vector * row).sum() for vector, row in zip(vectors, rows, strict=True)])
        for vectors in projected
    ]
    return torch.stack(images)
