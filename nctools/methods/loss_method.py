"""What the methods share that are a loss: a backbone and a head, plain or class-wise. Each adds its loss."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nctools.losses.catalogue import loss_entry
from nctools.methods.argument_types import LabelChoice, Number, Positive, Share, Width
from nctools.methods.label_choice import chosen_labels
from nctools.methods.method import Argument, Method
from nctools.models.backbones import build_backbone
from nctools.models.classwise_head import RELEASED_WIDTH, AttentionKind, ClasswiseHead
from nctools.models.output import Anchors, Output

HeadKind = Literal["linear", "class_attention"]

POOLED_LAYERS: Mapping[str, str] = {"penultimate": "classifier:input"}
CLASSWISE_LAYERS: Mapping[str, str] = {
    "classwise": "head.projection:input",
    "projected": "head.projection:output",
    "penultimate": "classifier:input",
}
_OF_CLASSWISE_HEAD = (
    "attention",
    "num_features",
    "num_heads",
    "dropout",
    "label_embedding",
    "projection_features",
    "classifier_scale",
)
# The small backbone's 64 channels are too few to be class-wise features themselves.
_SMALL_WIDTH = 128


class NetworkArguments(TypedDict, total=False):
    """Arguments of ``LossMethod``, which the methods hand on to it."""

    backbone: str
    pretrained: bool | str
    head: HeadKind
    attention: AttentionKind | None
    num_features: Width | None
    num_heads: Width
    dropout: Share
    label_embedding: LabelChoice
    projection_features: Width
    classifier_scale: Positive
    seed: Number
    class_names: Sequence[str] | None
    label_vectors: Tensor | None


class LossMethod(Method):
    """Backbone, head and one loss, ``criterion``, which the derived class sets.

    ``head="linear"`` is the plain classifier: mean over positions, one linear layer. ``head="class_attention"`` is that
    of the control of MLC-NC (``ClassAttention``): label embeddings, class-wise attention, one projection for each class
    and a linear classifier on all of them, all trainable. Arguments after ``head`` are those of the latter, and refused
    with the former unless they are the defaults.

    Args:
        num_classes: Number of classes ``C``.
        backbone: ``"small"`` or any timm name.
        pretrained: Start from timm's ImageNet weights, or from the weights in this file.
        head: ``"linear"`` or ``"class_attention"``.
        attention: ``"cosine"`` (no parameters, width of the backbone) or ``"multihead"``; None is the latter for the
            small backbone, whose 64 channels are few, and the former for all others.
        num_features: Width ``D`` of the class-wise features; None takes the backbone's (cosine), 128 (multihead on the
            small backbone) or 768 (multihead).
        num_heads: Heads of the multihead attention.
        dropout: Dropout of the multihead attention.
        label_embedding: ``"trainable"``, ``"etf"``, ``"random"`` or ``"text:FILE"``, as in MLC-NC.
        projection_features: Width ``p`` of the projected class-wise features.
        classifier_scale: Length of the class-wise classifier's rows at the start.
        seed: Seed of the label embeddings and the class-wise classifier.
        class_names: Names of the classes, which the vectors of a file are matched to; the data tell them.
        label_vectors: ``[C, d]`` in place of those of the file; a checkpoint has them.

    Raises:
        ValueError: If there is no such head, or it has no part that an argument is of.

    Attributes:
        criterion: The loss, a module of ``logits`` and ``targets``.
    """

    feature_layers: Mapping[str, str] = POOLED_LAYERS
    criterion: nn.Module

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: str = "resnet50",
        pretrained: bool | str = False,
        head: HeadKind = "linear",
        attention: AttentionKind | None = None,
        num_features: Width | None = None,
        num_heads: Width = 8,
        dropout: Share = 0.1,
        label_embedding: LabelChoice = "trainable",
        projection_features: Width = 20,
        classifier_scale: Positive = 10.0,
        seed: Number = 0,
        class_names: Sequence[str] | None = None,
        label_vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        if head not in {"linear", "class_attention"}:
            raise ValueError(f'head is {head!r}; it is "linear" or "class_attention"')
        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.head: ClasswiseHead | None = None
        if head == "linear":
            _refuse_of_classwise_head(
                attention=attention,
                num_features=num_features,
                num_heads=num_heads,
                dropout=dropout,
                label_embedding=label_embedding,
                projection_features=projection_features,
                classifier_scale=classifier_scale,
            )
            self.classifier = nn.Linear(self.backbone.num_features, num_classes)
            return
        self.feature_layers = CLASSWISE_LAYERS
        labels, vectors = chosen_labels(label_embedding, class_names, label_vectors)
        kind, width = _attention_of(backbone, attention, num_features)
        self.head = ClasswiseHead(
            num_classes,
            self.backbone.num_features,
            attention=kind,
            num_features=width,
            num_heads=num_heads,
            dropout=dropout,
            label_embedding=labels,
            label_vectors=vectors,
            projection_features=projection_features,
            seed=seed,
        )
        self.classifier = _unit_row_classifier(num_classes, projection_features, scale=classifier_scale, seed=seed)

    @classmethod
    def check_arguments(cls, arguments: Mapping[str, Argument]) -> None:
        """Refuse arguments of the class-wise head beside the linear one; see ``Method.check_arguments``.

        Args:
            arguments: All arguments of the class.
        """
        if arguments.get("head") == "linear":
            _refuse_of_classwise_head(**{name: arguments[name] for name in _OF_CLASSWISE_HEAD if name in arguments})

    @classmethod
    def in_full(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        """Fill in what the backbone chooses; see ``Method.in_full``.

        Args:
            arguments: All arguments of the class.

        Returns:
            The same with the attention and the width of a class-wise head; None stays for a width that the backbone
            has.
        """
        whole = dict(arguments)
        if whole.get("head") == "class_attention":
            given = whole["attention"], whole["num_features"]
            whole["attention"], whole["num_features"] = _attention_of(str(whole["backbone"]), *given)  # type: ignore[arg-type]
        return whole

    def forward(self, images: Tensor) -> Output:
        """Run the network; see ``Method.forward``.

        Args:
            images: ``[B, 3, H, W]``.

        Returns:
            Logits; the space ``"penultimate" [B, D]``, and of a class-wise head also ``"classwise" [B, C, D]`` and
            ``"projected" [B, C, p]`` (``"penultimate"`` is ``[B, C p]`` then) and maps.
        """
        feature_map = self.backbone(images)
        if self.head is None:
            pooled = feature_map.mean((2, 3))
            return Output(logits=self.classifier(pooled), features={"penultimate": pooled}, maps=None)
        features, projected, maps = self.head(feature_map)
        joined = projected.flatten(1)
        spaces = {"classwise": features, "projected": projected, "penultimate": joined}
        return Output(logits=self.classifier(joined), features=spaces, maps=maps)

    def loss(self, output: Output, targets: Tensor, *, epoch: int) -> dict[str, Tensor]:
        """Compute the loss; see ``Method.loss``.

        Args:
            output: What ``forward`` returned.
            targets: ``[B, C]`` in {0, 1}, -1 where the label is not known.
            epoch: Not used.

        Returns:
            ``{"loss": scalar}``.
        """
        return {"loss": self.criterion(output.logits, targets)}

    def anchors(self) -> dict[str, Anchors]:
        """Give the classifier (penultimate space) and, of a class-wise head, the label embeddings, for NC3 and NC4.

        Returns:
            Rows by space.
        """
        weight, bias = self.classifier.weight.detach(), self.classifier.bias.detach()
        rows = {"penultimate": Anchors(weight=weight, bias=bias, kind="classifier")}
        if self.head is None:
            return rows
        labels = Anchors(weight=self.head.label_embedding().detach(), bias=None, kind="label_embedding")
        return {"classwise": labels, **rows}


def suited(loss: str, usual: Mapping[str, Mapping[str, Argument]]) -> dict[str, dict[str, Argument]]:
    """Add the settings that a loss was published with to the arguments of a method by data set.

    Args:
        loss: Name of the loss.
        usual: Data set -> arguments.

    Returns:
        The same with the settings of ``nctools.losses.LOSSES``.

    Example:
        >>> suited("db", {"voc_lt": {"pretrained": True}})
        {'voc_lt': {'pretrained': True, 'mu': 0.3, 'lambd': 5.0}}
    """
    published = loss_entry(loss).settings_for
    return {name: {**arguments, **published.get(name, {})} for name, arguments in usual.items()}


def _refuse_of_classwise_head(**given: object) -> None:
    usual = inspect.signature(LossMethod).parameters
    for name, value in given.items():
        if value != usual[name].default:
            raise ValueError(
                f'{name} is {value!r}, but head is "linear", which has no such part: leave {name} out, or choose '
                'head="class_attention"'
            )


def _attention_of(
    backbone: str, attention: AttentionKind | None, num_features: int | None
) -> tuple[AttentionKind, int | None]:
    small = backbone == "small"
    kind = attention or ("multihead" if small else "cosine")
    if kind == "cosine" or num_features is not None:
        return kind, num_features
    return kind, _SMALL_WIDTH if small else RELEASED_WIDTH


def _unit_row_classifier(num_classes: int, projection_features: int, *, scale: float, seed: int) -> nn.Linear:
    # Projected features have unit length: rows of the usual size would give logits close to 0.
    classifier = nn.Linear(num_classes * projection_features, num_classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        rows = F.normalize(torch.randn(classifier.weight.shape, generator=generator), dim=1)
        classifier.weight.copy_(scale * rows)
        classifier.bias.zero_()
    return classifier
