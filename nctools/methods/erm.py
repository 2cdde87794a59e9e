"""ERM: backbone, mean over positions, linear classifier, binary cross entropy. The baseline of every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from nctools.losses.bce import bce_loss
from nctools.methods.method import Method
from nctools.models.backbones import build_backbone
from nctools.models.output import Anchors, Output


class ERM(Method):
    """Plain multi-label classifier.

    The loss is the binary cross entropy, summed over classes and averaged over images.

    Args:
        num_classes: Number of classes ``C``.
        backbone: ``"small"`` or any timm name.
        pretrained: Start from timm's ImageNet weights, or from the weights in this file.

    Example:
        >>> import torch
        >>> method = ERM(20, backbone="small")
        >>> output = method(torch.zeros(2, 3, 48, 48))
        >>> output.logits.shape, output.features["penultimate"].shape
        (torch.Size([2, 20]), torch.Size([2, 64]))
    """

    feature_layers: ClassVar[Mapping[str, str]] = {"penultimate": "classifier:input"}

    def __init__(self, num_classes: int, *, backbone: str = "resnet50", pretrained: bool | str = False) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.classifier = nn.Linear(self.backbone.num_features, num_classes)

    def forward(self, images: Tensor) -> Output:
        """Run the network; see ``Method.forward``.

        Args:
            images: ``[B, 3, H, W]``.

        Returns:
            Logits and the pooled features ``"penultimate" [B, D]``.
        """
        pooled = self.backbone(images).mean((2, 3))
        return Output(logits=self.classifier(pooled), features={"penultimate": pooled}, maps=None)

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
        """Give the classifier for NC3 and NC4.

        Returns:
            The linear layer's rows and bias, for the penultimate space.
        """
        weight, bias = self.classifier.weight.detach(), self.classifier.bias.detach()
        return {"penultimate": Anchors(weight=weight, bias=bias, kind="classifier")}
