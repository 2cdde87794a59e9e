"""Backbones by name: the small one of the embedded data, or any timm model; always a map ``[B, ch, h, w]``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from nctools.errors import CheckpointError, UnknownNameError
from nctools.models._local_weights import load_weights
from nctools.models.small import SmallBackbone

Layout = Literal["channels_first", "channels_last", "tokens"]


class Backbone(nn.Module):
    """A network whose last features come out as a map, whatever layout it uses inside.

    Args:
        body: The network. Its ``forward_features`` is called where it has one, otherwise the module itself.
        num_features: Channels of the map.
        layout: What the body returns: ``[B, ch, h, w]``, ``[B, h, w, ch]`` or ``[B, tokens, ch]``.
        prefix_tokens: Tokens before the patch tokens (class token, registers); they are left out.
    """

    def __init__(
        self, body: nn.Module, num_features: int, *, layout: Layout = "channels_first", prefix_tokens: int = 0
    ) -> None:
        super().__init__()
        self.body = body
        self.num_features = num_features
        self.layout = layout
        self.prefix_tokens = prefix_tokens

    def forward(self, images: Tensor) -> Tensor:
        """Compute the feature map.

        Args:
            images: ``[B, 3, H, W]``, normalised.

        Returns:
            ``[B, num_features, h, w]``.
        """
        features: Tensor = getattr(self.body, "forward_features", self.body)(images)
        if self.layout == "channels_last":
            return features.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            return tokens_to_map(features[:, self.prefix_tokens :], images.shape[-2], images.shape[-1])
        return features


def build_backbone(name: str, *, pretrained: bool | str = False) -> Backbone:
    """Build a backbone without its classifier.

    A timm model is run once on an empty image of its default size: this tells its layout, and which parts only serve
    the classifier (the two wide layers of VGG, the last norm of ConvNeXt). Those are dropped; unused parameters would
    stop distributed training.

    Args:
        name: ``"small"``, or a timm model name such as ``"resnet50"`` or ``"vit_base_patch16_224"``.
        pretrained: False for random weights, True for timm's own (downloaded or cached), or the path of a local file:
            safetensors, or a ``torch.save`` of tensors only. Classifier weights in the file are ignored.

    Returns:
        The backbone in training mode. Models with position embeddings take images of their own size only.

    Raises:
        UnknownNameError: If timm has no such model.
        ValueError: If ``"small"`` is asked for with ``pretrained=True``.

    Example:
        >>> backbone = build_backbone("small")
        >>> backbone.num_features, backbone(torch.zeros(1, 3, 48, 48)).shape
        (64, torch.Size([1, 64, 6, 6]))
    """
    if name == "small":
        if pretrained is True:
            raise ValueError('backbone "small" has no pretrained weights: pass pretrained=False or a local file')
        backbone, ignored = Backbone(SmallBackbone(), SmallBackbone.num_features), set[str]()
    else:
        backbone, ignored = _build_timm(name, download=pretrained is True)
    if isinstance(pretrained, str):
        load_weights(backbone.body, Path(pretrained), name, ignored)
    return backbone


def tokens_to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """Lay patch tokens out as a map with the proportions of the image.

    Args:
        tokens: ``[B, n, ch]``, row by row, without prefix tokens.
        height: Of the image; only the ratio counts.
        width: Of the image.

    Returns:
        ``[B, ch, h, w]`` with ``h w = n``.

    Raises:
        ValueError: If n tokens do not fill a grid of these proportions.

    Example:
        >>> tokens_to_map(torch.zeros(1, 8, 192), 32, 64).shape
        torch.Size([1, 192, 2, 4])
    """
    count = tokens.shape[1]
    rows = max(1, round(math.sqrt(count * height / width)))
    if count % rows:
        raise ValueError(
            f"{count} tokens do not fill a grid for an image of {height} x {width}: "
            "choose a backbone whose tokens are square patches of the image"
        )
    feature_map: Tensor = tokens.transpose(1, 2).unflatten(2, (rows, count // rows))
    return feature_map


def _build_timm(name: str, *, download: bool) -> tuple[Backbone, set[str]]:
    """Build a timm model.

    Args:
        name: timm's name.
        download: Whether to take timm's weights.

    Returns:
        The backbone, and the top-level parts that a file of weights may hold beside it.

    Raises:
        UnknownNameError: If timm has no such model.
        CheckpointError: If its weights cannot be had.
    """
    import_torchvision()
    import timm

    if not timm.is_model(name):
        raise UnknownNameError("backbone", name, ["small", *timm.list_models()])
    try:
        body: nn.Module = timm.create_model(name, pretrained=download, num_classes=0)
    except Exception as error:
        if not download:
            raise
        raise CheckpointError(
            f"the weights of backbone {name!r} cannot be had ({type(error).__name__}: {error}): download "
            f"{_file_of_weights(name)} elsewhere and pass pretrained=FILE, or start from random weights with "
            "pretrained=false (on the command line --set pretrained=...)"
        ) from error
    config: dict[str, object] = getattr(body, "pretrained_cfg", {})
    size = config.get("input_size")
    body.eval()
    with torch.enable_grad():
        features = body.forward_features(torch.zeros(1, *(size if isinstance(size, tuple) else (3, 224, 224))))  # type: ignore[operator]
        layout = _layout(features, int(getattr(body, "num_features", 0)), name)
        ignored = _drop_unused_parts(body, features)
    body.train()
    classifier = config.get("classifier")
    names = classifier if isinstance(classifier, tuple | list) else (classifier,)
    ignored |= {part.partition(".")[0] for part in names if isinstance(part, str)}
    prefix_tokens = int(getattr(body, "num_prefix_tokens", 0)) if layout == "tokens" else 0
    num_features = features.shape[1] if layout == "channels_first" else features.shape[-1]
    return Backbone(body, num_features, layout=layout, prefix_tokens=prefix_tokens), ignored


def _file_of_weights(name: str) -> str:
    import timm

    place = getattr(timm.get_pretrained_cfg(name, allow_unregistered=True), "hf_hub_id", None)
    return f"model.safetensors of https://huggingface.co/{place}" if place else "a file of its weights"


def _layout(features: object, num_features: int, name: str) -> Layout:
    shape = tuple(features.shape) if isinstance(features, Tensor) else ()
    if len(shape) == 4 and shape[1] == num_features:
        return "channels_first"
    if len(shape) == 4 and shape[3] == num_features:
        return "channels_last"
    if len(shape) == 3 and shape[2] == num_features:
        return "tokens"
    what = f"a tensor of shape {list(shape)}" if shape else f"a {type(features).__name__}"
    raise ValueError(
        f"backbone {name!r} gives {what}, not one feature map of {num_features} channels: choose another timm model"
    )


def _drop_unused_parts(body: nn.Module, features: Tensor) -> set[str]:
    """Replace direct children of ``body`` whose parameters do not reach ``features`` by nothing.

    Args:
        body: The network; changed in place.
        features: Its output, with graph.

    Returns:
        The names of the parts that were replaced.
    """
    parameters = {name: parameter for name, parameter in body.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(features.sum(), list(parameters.values()), allow_unused=True)
    reached = {
        name.partition(".")[0] for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None
    }
    unused = {name.partition(".")[0] for name in parameters if "." in name} - reached
    for part in unused:
        setattr(body, part, nn.Identity())
    return unused
