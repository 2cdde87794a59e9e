"""MLC-NC's head and losses in plain loops, as code of the field is written: what ``mlc_nc_step.py`` compares with.

The same numbers as ``nctools`` gives, with the same parameters, by the shortest way from the formulas: queries repeated
for each image, one vector product for each class of each image written into its slice, one dot product for each
positive and centre, all C x C cosines of which the diagonal is kept, a loop over classes for the centres.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nctools.methods import MLCNC
from nctools.models import MultiheadClassAttention

_FLOOR = 1e-6
_MASKED = -100.0


class LoopForm(nn.Module):
    """Head and losses of a released-variant MLC-NC; shares the parameters of the method that it is made from.

    Args:
        method: With multihead attention; its class centres are read, its dropout is taken over.
    """

    def __init__(self, method: MLCNC) -> None:
        super().__init__()
        ours = method.head.attention
        if not isinstance(ours, MultiheadClassAttention):
            raise TypeError(f"attention is {type(ours).__name__}: the loop form is that of multihead attention")
        self.embed = ours.embed
        self.attention = nn.MultiheadAttention(ours.num_features, ours.num_heads, dropout=ours.dropout)
        self.attention.in_proj_weight, self.attention.in_proj_bias = ours.in_proj_weight, ours.in_proj_bias
        self.attention.out_proj.weight, self.attention.out_proj.bias = ours.out_proj.weight, ours.out_proj.bias
        self.projection, self.classifier = method.head.projection, method.classifier
        self.labels = method.head.label_embedding()
        self.centres = method.centres.centres
        self.fla_weight, self.fpc_weight = method.fla_weight, method.fpc_weight
        self.fpc_temperature, self.temperature = method.fpc_temperature, method.two_way_temperature
        self.sums, self.counts = torch.zeros_like(self.centres), torch.zeros(len(self.centres))

    def forward(self, feature_map: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give class-wise features, projected features, logits and the loss."""
        positions = F.relu(self.embed(feature_map.flatten(2).transpose(1, 2))).transpose(0, 1)
        queries = self.labels.unsqueeze(1).expand(-1, len(feature_map), -1)
        features = self.attention(queries, positions, positions)[0].transpose(0, 1)
        projected = F.normalize(projected_in_slices(features, self.projection.weight) + self.projection.bias, dim=-1)
        logits = self.classifier.scale * F.linear(projected.flatten(1), self.classifier.weight)
        loss = (
            self.fla_weight * alignment_of_all_pairs(features, self.labels, targets)
            + self.fpc_weight * calibration_by_stacking(projected, self.centres, targets, self.fpc_temperature)
            + two_way_by_masks(logits, targets, self.temperature)
        )
        return features, projected, logits, loss

    def observe(self, projected: Tensor, targets: Tensor) -> None:
        """Add up the positives of each class."""
        add_class_by_class(projected, targets, self.sums, self.counts)


def projected_in_slices(features: Tensor, weight: Tensor) -> Tensor:
    """``[B, C, D]`` times ``[C, D, p]``, a vector and a matrix at a time."""
    images, classes = features.shape[:2]
    projected = torch.zeros(images, classes, weight.shape[2])
    for label in range(classes):
        for image in range(images):
            projected[image, label, :] = torch.matmul(features[image, label, :], weight[label, :, :])
    return projected


def calibration_by_stacking(projected: Tensor, centres: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """L_FPC over positive pairs: a dot product for each of them and each centre."""
    vectors, units = F.normalize(projected, dim=-1), F.normalize(centres, dim=-1)
    terms = []
    for image, label in targets.nonzero().tolist():
        scores = [vectors[image, label].dot(units[other]) / temperature for other in range(len(units))]
        terms.append(torch.logsumexp(torch.stack(scores), 0) - scores[label])
    return torch.stack(terms).mean()


def alignment_of_all_pairs(features: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """L_FLA from the cosines of every feature of an image with every label, of which the diagonal is taken."""
    classes = len(labels)
    cosines = F.normalize(features, dim=-1) @ F.normalize(labels, dim=-1).T
    own = torch.diagonal(cosines, dim1=1, dim2=2)
    positive = targets * torch.log((1 + own) / 2 + _FLOOR)
    apart = 1 - (classes - 1) / classes * torch.abs(1 / (classes - 1) + own)
    negative = (1 - targets) * torch.log(apart + _FLOOR)
    return -(positive + negative).mean()


def two_way_by_masks(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Two-way loss with what does not belong to a sum pushed far down instead of left out."""
    negatives = logits + _MASKED * targets
    positives = -logits / temperature + _MASKED * (1 - targets)
    loss = torch.zeros(())
    for axis in (1, 0):
        terms = F.softplus(torch.logsumexp(negatives, axis) + temperature * torch.logsumexp(positives, axis))
        loss = loss + terms[targets.sum(axis) > 0].mean()
    return loss


@torch.no_grad()
def add_class_by_class(projected: Tensor, targets: Tensor, sums: Tensor, counts: Tensor) -> None:
    """Add the positives of each class to its sum, a class at a time."""
    for label in range(len(sums)):
        rows = projected[targets[:, label] == 1, label]
        if len(rows):
            sums[label] += rows.sum(0)
            counts[label] += len(rows)
