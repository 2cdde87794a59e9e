"""Grad-CAM and its relatives: one forward pass, then one short backward pass for each class, down to the map alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nctools.features.layers import LayerSpec
from nctools.features.maps.cutting import CutPass, differentiable, run_cut
from nctools.features.maps.faults import check_finite, chosen_classes
from nctools.features.maps.layout import MapLayout, TokenFacts, find_layout

# Computed by torch-cam, whose class bears this name.
_TORCH_CAM = {"gradcam": "GradCAM", "layercam": "LayerCAM", "xgradcam": "XGradCAM"}
# Smooth Grad-CAM++: noisy copies of each image, and the standard deviation of the noise in units of the pixels as the
# model takes them; those of torch-cam.
SMOOTH_COPIES = 4
SMOOTH_NOISE = 0.3
GRADIENT_METHODS = (*_TORCH_CAM, "gradcam++", "smoothgradcam++")


@dataclass(frozen=True, eq=False)
class GradientMaps:
    """Maps made with gradients.

    Args:
        maps: ``[B, K, h, w]``, not negative.
        classes: ``[K]``.
        logits: ``[B, C]``.
        layout: How the layer's output was laid out.
    """

    maps: Tensor
    classes: Tensor
    logits: Tensor
    layout: MapLayout


def gradient_maps(
    model: nn.Module,
    images: Tensor,
    spec: LayerSpec,
    facts: TokenFacts,
    method: str,
    classes: Sequence[int] | Tensor | None,
) -> GradientMaps:
    """Differentiate the logits with respect to a map and weigh the map with the gradients.

    Args:
        model: Any module, unwrapped.
        images: ``[B, 3, H, W]``, on its device.
        spec: The layer that gives the map.
        facts: What is known of the model's tokens.
        method: One of ``GRADIENT_METHODS``.
        classes: Which; None: all.

    Returns:
        The maps, without a graph.

    Raises:
        ValueError: If a number is not finite, or the logits do not depend on the patches of a transformer.
    """
    with differentiable(model):
        cut = run_cut(model, images, spec)
        reader = _Reader(cut, (images.shape[2], images.shape[3]), facts)
        chosen = chosen_classes(classes, cut.logits.shape[1])
        wanted: list[int] = chosen.tolist()
        if method in _TORCH_CAM:
            maps = _by_torch_cam(_TORCH_CAM[method], cut, wanted, reader.read)
        else:
            cuts = [cut] if method == "gradcam++" else _noisy(model, images, spec)
            maps = [_plus_plus(reader.activation, [reader.read(noisy.gradient(c)) for noisy in cuts]) for c in wanted]
        reader.check()
        return GradientMaps(torch.stack(maps, dim=1), chosen, cut.logits.detach(), reader.layout)


class _Reader:
    """Lays activations and gradients out as maps; sees to it that they are finite and some gradient is not 0."""

    def __init__(self, cut: CutPass, image_size: tuple[int, int], facts: TokenFacts) -> None:
        self._cut = cut
        self.layout = find_layout(cut.activation.shape, image_size, facts, str(cut.spec))
        # Elsewhere the graph itself tells whether the logits depend on the map.
        self._reached = self.layout.kind != "tokens"
        self.activation = self.read(cut.activation)

    def read(self, tensor: Tensor) -> Tensor:
        found = self.layout.lay_out(tensor.detach())
        found = found if found.dtype == torch.float64 else found.float()
        check_finite(found, f"{self._cut.spec} or the gradients there")
        if tensor is not self._cut.activation:
            self._reached = self._reached or bool(found.any())
        return found

    def check(self) -> None:
        if not self._reached:
            raise ValueError(
                f"the logits do not depend on the patches at {self._cut.spec} (all their gradients are 0): behind the "
                "last attention only the class token counts; name an earlier layer, or leave layer out"
            )


def _by_torch_cam(name: str, cut: CutPass, classes: Sequence[int], read: Callable[[Tensor], Tensor]) -> list[Tensor]:
    from torchcam import methods

    # It hooks this module in place of the model's: nothing but the map is kept or differentiated.
    place = nn.Sequential(nn.Identity())
    with getattr(methods, name)(place, "0", reshape_transform=read) as extractor:
        place(cut.activation)
        return [extractor(c, scores=cut.logits, normalized=False, retain_graph=True)[0] for c in classes]


def _plus_plus(activation: Tensor, gradients: Sequence[Tensor]) -> Tensor:
    """Weigh a map as Grad-CAM++ does, with the derivatives averaged over noisy copies of the images.

    ``alpha = g2 / (2 g2 + sum(A) g3)`` where ``g2`` is not 0, ``w = sum(alpha relu(g))``; the factor exp(logit) that
    the paper's score has is the same for all places and left out. torch-cam 0.5 does not divide (it writes into a
    copy), and takes the first derivative of the last copy alone.

    Args:
        activation: ``[B, ch, h, w]``.
        gradients: Of each copy, of that shape.

    Returns:
        ``[B, h, w]``.

    Source:
        Chattopadhay et al. 2018 (Grad-CAM++), Omeiza et al. 2019 (Smooth Grad-CAM++).
    """
    first, second, third = (sum(g**power for g in gradients) / len(gradients) for power in (1, 2, 3))
    assert isinstance(first, Tensor)
    assert isinstance(second, Tensor)
    assert isinstance(third, Tensor)
    bottom = 2 * second + activation.sum((2, 3), keepdim=True) * third
    alpha = torch.where(second > 0, second / bottom.where(bottom != 0, torch.ones_like(bottom)), 0)
    weights = (alpha * first.relu()).sum((2, 3))
    return torch.einsum("bd,bdhw->bhw", weights, activation).relu()


def _noisy(model: nn.Module, images: Tensor, spec: LayerSpec) -> list[CutPass]:
    # The same noise for every image, so that its maps do not depend on the others of the batch.
    noise = torch.Generator().manual_seed(0)
    shape = (SMOOTH_COPIES, *images.shape[1:])
    offsets = SMOOTH_NOISE * torch.randn(shape, generator=noise, device="cpu").to(images)
    return [run_cut(model, images + offset, spec) for offset in offsets]
