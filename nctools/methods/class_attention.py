"""The control of MLC-NC: the same class-wise attention head, every part of it trainable, with binary cross entropy.

What MLC-NC gains over this method is due to its collapse terms; what this method gains over ERM is due to the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nctools.losses.bce import bce_loss
from nctools.methods.argument_types import LabelChoice, Number, Positive, Share, Width
from nctools.methods.label_choice import chosen_labels
from nctools.methods.method import PRETRAINED, Argument, Method, class_aware
from nctools.methods.recipe import DIGITS_LT, PHOTOGRAPHS, Recipe, on_photographs
from nctools.models.backbones import build_backbone
from nctools.models.classwise_head import AttentionKind, ClasswiseHead
from nctools.models.output import Anchors, Output


class ClassAttention(Method):
    """Trainable label embeddings, class-wise attention and projection, a trainable linear classifier, and BCE.

    Args:
        num_classes: Number of classes ``C``.
        backbone: ``"small"`` or any timm name.
        pretrained: Start from timm's ImageNet weights, or from the weights in this file.
        attention: ``"cosine"`` (no parameters, width of the backbone) or ``"multihead"``.
        num_features: Width ``D`` of the class-wise features; None takes the backbone's (cosine) or 768 (multihead).
        num_heads: Heads of the multihead attention.
        dropout: Dropout of the multihead attention.
        label_embedding: ``"trainable"``; for comparisons also ``"etf"``, ``"random"`` or ``"text:FILE"``, as in MLC-NC.
        projection_features: Width ``p`` of the projected class-wise features.
        scale: Length of the classifier's rows at the start (the projected features have unit length).
        seed: Seed of the label embeddings and the classifier.
        class_names: Names of the classes, which the vectors of a file are matched to; the data tell them.
        label_vectors: ``[C, d]`` in place of those of the file; a checkpoint has them.

    Example:
        >>> import torch
        >>> method = ClassAttention(20, backbone="small", attention="multihead", num_features=32)
        >>> output = method(torch.zeros(2, 3, 48, 48))
        >>> output.features["classwise"].shape, output.maps.shape
        (torch.Size([2, 20, 32]), torch.Size([2, 20, 6, 6]))
    """

    feature_layers: ClassVar[Mapping[str, str]] = {
        "classwise": "head.projection:input",
        "projected": "head.projection:output",
        "penultimate": "classifier:input",
    }
    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = {
        "digits_lt": {"backbone": "small", "attention": "multihead", "num_features": 128},
        **PRETRAINED,
    }
    recipe: ClassVar[Recipe] = class_aware(Recipe(epoch_length="balanced"))
    recipe_for: ClassVar[Mapping[str, Recipe]] = {
        "digits_lt": class_aware(DIGITS_LT),
        **on_photographs(class_aware(replace(PHOTOGRAPHS, epoch_length="balanced"))),
    }

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: str = "resnet50",
        pretrained: bool | str = False,
        attention: AttentionKind = "cosine",
        num_features: Width | None = None,
        num_heads: Width = 8,
        dropout: Share = 0.1,
        label_embedding: LabelChoice = "trainable",
        projection_features: Width = 20,
        scale: Positive = 10.0,
        seed: Number = 0,
        class_names: Sequence[str] | None = None,
        label_vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        labels, vectors = chosen_labels(label_embedding, class_names, label_vectors)
        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.head = ClasswiseHead(
            num_classes,
            self.backbone.num_features,
            attention=attention,
            num_features=num_features,
            num_heads=num_heads,
            dropout=dropout,
            label_embedding=labels,
            label_vectors=vectors,
            projection_features=projection_features,
            seed=seed,
        )
        self.classifier = nn.Linear(num_classes * projection_features, num_classes)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            rows = F.normalize(torch.randn(self.classifier.weight.shape, generator=generator), dim=1)
            self.classifier.weight.copy_(scale * rows)
            self.classifier.bias.zero_()

    def forward(self, images: Tensor) -> Output:
        """Run the network; see ``Method.forward``.

        Args:
            images: ``[B, 3, H, W]``.

        Returns:
            Logits; spaces ``"classwise" [B, C, D]``, ``"projected" [B, C, p]``, ``"penultimate" [B, C p]``; maps.
        """
        features, projected, maps = self.head(self.backbone(images))
        joined = projected.flatten(1)
        spaces = {"classwise": features, "projected": projected, "penultimate": joined}
        return Output(logits=self.classifier(joined), features=spaces, maps=maps)

    def loss(self, output: Output, targets: Tensor, *, epoch: int) -> dict[str, Tensor]:
        """Binary cross entropy; see ``Method.loss``.

        Args:
            output: What ``forward`` returned.
            targets: ``[B, C]`` in {0, 1}.
            epoch: Not used.

        Returns:
            ``{"loss": scalar}``.
        """
        return {"loss": bce_loss(output.logits, targets, reduction="batchmean")}

    def anchors(self) -> dict[str, Anchors]:
        """Give label embeddings (class-wise space) and classifier (penultimate space) for NC3 and NC4.

        Returns:
            Rows by space.
        """
        weight, bias = self.classifier.weight.detach(), self.classifier.bias.detach()
        return {
            "classwise": Anchors(weight=self.head.label_embedding().detach(), bias=None, kind="label_embedding"),
            "penultimate": Anchors(weight=weight, bias=bias, kind="classifier"),
        }
