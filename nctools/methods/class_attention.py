"""The control of MLC-NC: the same class-wise attention head, every part of it trainable, with binary cross entropy.

What MLC-NC gains over this method is due to its collapse terms; what this method gains over ERM is due to the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor

from nctools.losses.bce import BinaryCrossEntropyLoss
from nctools.methods.argument_types import LabelChoice, Number, Positive, Share, Width
from nctools.methods.loss_method import CLASSWISE_LAYERS, LossMethod
from nctools.methods.method import CLASS_AWARE, CLASS_AWARE_FOR, PRETRAINED, Argument
from nctools.methods.recipe import Recipe
from nctools.models.classwise_head import RELEASED_WIDTH, AttentionKind


class ClassAttention(LossMethod):
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

    feature_layers: Mapping[str, str] = CLASSWISE_LAYERS
    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = {
        "digits_lt": {"backbone": "small", "attention": "multihead", "num_features": 128},
        **PRETRAINED,
    }
    recipe: ClassVar[Recipe] = CLASS_AWARE
    recipe_for: ClassVar[Mapping[str, Recipe]] = CLASS_AWARE_FOR

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
        super().__init__(
            num_classes,
            backbone=backbone,
            pretrained=pretrained,
            head="class_attention",
            attention=attention,
            num_features=num_features or (RELEASED_WIDTH if attention == "multihead" else None),
            num_heads=num_heads,
            dropout=dropout,
            label_embedding=label_embedding,
            projection_features=projection_features,
            classifier_scale=scale,
            seed=seed,
            class_names=class_names,
            label_vectors=label_vectors,
        )
        self.criterion = BinaryCrossEntropyLoss(reduction="batchmean")
