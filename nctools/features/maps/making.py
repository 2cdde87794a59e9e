"""``class_maps``: from a model and a batch of images to one map for each image and class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nctools.errors import UnknownNameError
from nctools.features.batches import logits_of
from nctools.features.inference import home_of
from nctools.features.layers import LayerSpec, parse_layer
from nctools.features.maps.attention import attention_maps
from nctools.features.maps.cam import find_cam
from nctools.features.maps.faults import check_finite, check_images, chosen_classes
from nctools.features.maps.gradients import GRADIENT_METHODS, gradient_maps
from nctools.features.maps.layout import Grid, TokenFacts, token_facts
from nctools.features.maps.result import ClassMaps
from nctools.features.maps.searching import last_map
from nctools.features.unwrapping import unwrapped

MAP_METHODS = ("attention", "cam", *GRADIENT_METHODS)


def class_maps(
    model: nn.Module,
    images: Tensor,
    *,
    method: str = "attention",
    layer: str | None = None,
    classes: Sequence[int] | Tensor | None = None,
    grid: Grid | None = None,
    prefix_tokens: int | None = None,
) -> ClassMaps:
    """Make the maps of all classes of a batch, in one forward pass.

    The model runs in eval mode on the device where it is; its modes, gradients, ``requires_grad`` flags and hooks are
    afterwards as before, also after an error. It does not matter whether the caller has switched gradients off.

    Args:
        model: Any module that returns logits ``[B, C]`` (alone, first, or as ``.logits``).
        images: ``[B, 3, H, W]``, normalised.
        method: ``"attention"``: the maps of a class-wise head, as they are: each sums to 1 over its places.
            ``"cam"``: ``M_c = sum_k w_ck A_k`` of a model whose logits are linear in the mean of its last map, or whose
            classifier is a 1x1 convolution; without the bias, so that the mean of ``M_c`` and ``b_c`` add up to the
            logit. That is checked on these images, and a model for which it does not hold is refused.
            ``"gradcam"``, ``"layercam"``, ``"xgradcam"`` (by torch-cam), ``"gradcam++"``: the map weighed with the
            gradients of the logits; what is negative is cut off. One forward pass, then one backward pass for each
            class, from the logits to the map and no further. ``"smoothgradcam++"``: the derivatives are means over
            four noisy copies of each image (standard deviation 0.3, always the same noise): four forward passes more.
        layer: Where the map is, ``"MODULE"``, ``"MODULE:input"``, ``"MODULE:output[KEY]"`` or ``"MODULE#CALL"``. None:
            the maps that the model returns (attention), the last map that gives the logits (CAM), or the last on
            whose places the logits depend, which a look at the first image tells (gradients).
        classes: Which classes, in which order; None: all.
        grid: Rows and columns where a layer gives ``[B, C, h w]`` (attention) or tokens ``[B, T, ch]``. None: as the
            model tells (timm's ``grid_size``), else with the proportions of the image.
        prefix_tokens: Class and register tokens before the patches, which are left out. None: as the model tells
            (timm's ``num_prefix_tokens``), else as many as the grid leaves, 0 or 1.

    Returns:
        The maps. ``assumed`` says how tokens were laid out.

    Raises:
        UnknownNameError: If there is no such method or layer; near misses are listed.
        ValueError: If there is no map, a class is out of range, or a number is not finite.
        TypeError: If ``images`` is no tensor or ``classes`` are no integers.

    Source:
        CAM: Zhou et al. 2016; Grad-CAM: Selvaraju et al. 2017; Grad-CAM++: Chattopadhay et al. 2018; XGrad-CAM: Fu et
        al. 2020; LayerCAM: Jiang et al. 2021; attention maps: MLC-NC (AAAI 2025), EGFL.

    Example:
        >>> import nctools
        >>> model = nctools.methods.build("class_attention", num_classes=20, backbone="small")
        >>> found = class_maps(model, torch.rand(2, 3, 48, 48), method="gradcam", classes=[3, 7])
        >>> found.maps.shape, found.layer
        (torch.Size([2, 2, 6, 6]), 'backbone:output')
    """
    if method not in MAP_METHODS:
        raise UnknownNameError("method of class maps", method, MAP_METHODS)
    check_images(images)
    place = None if layer is None else parse_layer(model, layer)
    inner = unwrapped(model)
    # What is made in inference mode could not be used outside, and knows no gradients.
    with torch.inference_mode(False):
        given = (images.clone() if images.is_inference() else images.detach()).to(home_of(inner))
        check_finite(given, "the pixels")
        if method == "attention":
            return _attention(inner, given, layer, classes, grid)
        facts = token_facts(inner, prefix_tokens, grid)
        if method == "cam":
            return _cam(inner, given, place, classes, facts)
        spec = last_map(inner, given, facts) if place is None else place
        made = gradient_maps(inner, given, spec, facts, method, classes)
        return _result(made.maps, made.classes, made.logits, method, str(spec), made.layout.assumed)


def _attention(
    model: nn.Module, images: Tensor, layer: str | None, classes: Sequence[int] | Tensor | None, grid: Grid | None
) -> ClassMaps:
    maps, output, place = attention_maps(model, images, layer, grid)
    wanted = chosen_classes(classes, maps.shape[1])
    logits = logits_of(output)
    if logits is not None and logits.ndim == 2:
        check_finite(logits, "the logits")
    else:
        logits = None
    return _result(maps[:, wanted.to(maps.device)], wanted, logits, "attention", place)


def _cam(
    model: nn.Module, images: Tensor, place: LayerSpec | None, classes: Sequence[int] | Tensor | None, facts: TokenFacts
) -> ClassMaps:
    found = find_cam(model, images, place, facts)
    wanted = chosen_classes(classes, found.logits.shape[1])
    return _result(found.maps(wanted), wanted, found.logits, "cam", found.place, found.layout.assumed)


def _result(
    maps: Tensor, classes: Tensor, logits: Tensor | None, method: str, place: str, assumed: str = ""
) -> ClassMaps:
    check_finite(maps, f"the {method} maps at {place}")
    return ClassMaps(
        maps=maps.detach().to("cpu", torch.float32, copy=True).contiguous(),
        classes=classes,
        logits=None if logits is None else logits.detach().to("cpu", torch.float32, copy=True),
        method=method,
        layer=place,
        assumed=assumed,
    )
