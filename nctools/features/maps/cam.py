"""CAM: where a classifier that reads the mean over the places of a map finds its logit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nctools.features.hooks import tensor_at
from nctools.features.layers import LAST_CALL, LayerSpec, is_linear, is_pointwise, module_anchors
from nctools.features.maps.faults import needed_logits
from nctools.features.maps.layout import Grid, MapLayout, TokenFacts, find_layout
from nctools.features.probing import run_observed
from nctools.features.unwrapping import unwrapped
from nctools.models.output import Anchors

# Last outputs, among which the map is looked for; each is kept alive while the model runs.
_REMEMBERED = 4
# Multiples of the rounding error of one operation that two ways to compute the logits may differ by.
_ROUNDINGS = 64


@dataclass(frozen=True, eq=False)
class FoundMap:
    """A map whose mean over the places gives the logits.

    Args:
        feature_map: ``[B, ch, h, w]``.
        anchors: Weight ``[C, ch]`` and bias of the classifier.
        logits: ``[B, C]``.
        place: Of the map.
        layout: How it was laid out.
    """

    feature_map: Tensor
    anchors: Anchors
    logits: Tensor
    place: str
    layout: MapLayout

    def maps(self, classes: Tensor) -> Tensor:
        """Weigh the channels of the map.

        Args:
            classes: ``[K]``.

        Returns:
            ``[B, K, h, w]``: ``M_c = sum_k w_ck A_k``, without the bias.
        """
        rows = self.anchors.weight[classes.to(self.anchors.weight.device)].to(self.feature_map.dtype)
        return torch.einsum("kd,bdhw->bkhw", rows, self.feature_map)


def find_cam(model: nn.Module, images: Tensor, place: LayerSpec | None, facts: TokenFacts) -> FoundMap:
    """Run a model once and find the map and the classifier that its logits are linear in.

    The logits of these images tell: ``W mean(A) + b`` must be what the model returned, as far as floating-point numbers
    go. The classifier is the last ``nn.Linear`` or 1x1 convolution for which there is such a map, and the map the last
    output of a module that has more than one place.

    Args:
        model: Any module.
        images: ``[B, 3, H, W]``, on its device.
        place: The map; None: it is looked for.
        facts: What is known of the model's tokens.

    Returns:
        What was found.

    Raises:
        ValueError: If the logits are no linear function of the mean of a map.
    """
    watcher = _Watcher(model, place, (images.shape[2], images.shape[3]), facts)
    logits = needed_logits(run_observed(model, [images], after=watcher.see), len(images))
    classifiers = [module for module in watcher.classifiers if len(_anchors(module).weight) == logits.shape[1]]
    if not classifiers:
        raise ValueError(
            f"{type(unwrapped(model)).__name__} has no nn.Linear or 1x1 convolution with {logits.shape[1]} outputs, "
            'whose weights CAM needs: take method="gradcam", or "attention" where it has a class-wise head'
        )
    trained = [anchors for module in reversed(classifiers) if bool((anchors := _anchors(module)).weight.any())]
    if not trained:
        raise ValueError(
            f"the classifier {_names(model, classifiers)} holds only zeros, so that its maps would, too: train the "
            "model first"
        )
    nearest: tuple[float, str] | None = None
    for anchors in trained:
        for name, feature_map, layout in watcher.maps():
            if feature_map.shape[1] != anchors.weight.shape[1]:
                continue
            excess = _excess(feature_map, anchors, logits)
            if excess <= 1:
                return FoundMap(feature_map, anchors, logits, name, layout)
            nearest = min(nearest or (excess, name), (excess, name))
    raise ValueError(_refusal(model, classifiers, nearest, place))


class _Watcher:
    """Holds on to the classifiers and the last maps of a forward pass."""

    def __init__(self, model: nn.Module, place: LayerSpec | None, image_size: Grid, facts: TokenFacts) -> None:
        self._place, self._image_size, self._facts = place, image_size, facts
        modules = dict(unwrapped(model).named_modules(remove_duplicate=False))
        self._chosen = None if place is None else modules[place.module]
        self._calls = 0
        self.classifiers: list[nn.Module] = []
        self._maps: deque[tuple[str, Tensor, MapLayout]] = deque(maxlen=_REMEMBERED)

    def see(
        self, name: str, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object
    ) -> None:
        if is_linear(module) or is_pointwise(module):
            self.classifiers = [*(known for known in self.classifiers if known is not module), module]
        if self._place is None:
            self._look(LayerSpec(name, "output"), output if isinstance(output, Tensor) else None)
        elif module is self._chosen:
            self._calls += 1
            if self._place.call in {None, LAST_CALL, self._calls}:
                found = tensor_at(self._place, module, args, kwargs, output)
                if found is None:
                    raise ValueError(f"{self._place} holds no tensor: name another layer")
                self._look(self._place, found)

    def _look(self, spec: LayerSpec, found: Tensor | None) -> None:
        if found is None or not found.is_floating_point():
            return
        try:
            layout = find_layout(found.shape, self._image_size, self._facts, str(spec))
        except ValueError:
            if self._place is not None:
                raise
            return
        if layout.height * layout.width > 1:
            # A module that hands on what the last one in it returned gives it its name.
            if self._maps and self._maps[-1][1] is found:
                self._maps.pop()
            self._maps.append((str(spec), found, layout))

    def maps(self) -> list[tuple[str, Tensor, MapLayout]]:
        # The last first.
        return [(name, layout.lay_out(found), layout) for name, found, layout in reversed(self._maps)]


def _excess(feature_map: Tensor, anchors: Anchors, logits: Tensor) -> float:
    # How far the logits are from the linear function of the mean, in units of what rounding explains.
    wide = torch.float32 if feature_map.device.type == "mps" else torch.float64
    pooled, weight = feature_map.mean((2, 3), dtype=wide), anchors.weight.to(wide)
    bias = torch.zeros(len(weight), dtype=wide, device=weight.device) if anchors.bias is None else anchors.bias.to(wide)
    difference = (pooled @ weight.T + bias - logits.to(wide)).abs().max()
    size = (feature_map.abs().mean((2, 3), dtype=wide) @ weight.abs().T + bias.abs()).max()
    rounding = max(_rounding(tensor) for tensor in (feature_map, anchors.weight, logits))
    return float(difference / (_ROUNDINGS * rounding * size).clamp_min(torch.finfo(wide).tiny))


def _rounding(tensor: Tensor) -> float:
    # CUDA may multiply float32 with 10 bits (TF32), by default in convolutions.
    return 2.0**-10 if tensor.is_cuda and tensor.dtype == torch.float32 else torch.finfo(tensor.dtype).eps


def _refusal(
    model: nn.Module, classifiers: list[nn.Module], nearest: tuple[float, str] | None, place: LayerSpec | None
) -> str:
    heads = _names(model, classifiers)
    mend = 'take method="gradcam"'
    if nearest is None:
        where = "no module gives" if place is None else f"{place} is not"
        width = _anchors(classifiers[-1]).weight.shape[1]
        return (
            f"CAM needs a map of {width} channels, as the classifier {heads} reads, but {where} one "
            f"with more than one place: {mend}" + ("" if place is not None else ', or name the map by layer="MODULE"')
        )
    excess, name = nearest
    return (
        f"CAM needs logits that are W mean(A) + b of a map A, but with the classifier {heads} and the map {name} they "
        f"differ by {excess:.3g} times what rounding explains: something that is not linear lies between them (an "
        f"activation, a norm, max pooling); {mend}"
    )


def _names(model: nn.Module, classifiers: list[nn.Module]) -> str:
    names = {module: name for name, module in unwrapped(model).named_modules()}
    return ", ".join(repr(names[module]) for module in classifiers)


def _anchors(module: nn.Module) -> Anchors:
    found = module_anchors(module)
    assert found is not None  # only such modules are recorded
    return found
