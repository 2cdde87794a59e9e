"""Finds the last map of a model that its logits depend on, by a look at one image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nctools.features.batches import logits_of
from nctools.features.layers import LAST_CALL, LayerSpec, is_pointwise, layer_names
from nctools.features.maps.cutting import differentiable
from nctools.features.maps.layout import Grid, MapLayout, TokenFacts, find_layout, patch_ratio
from nctools.features.selection import first_tensor, parts_of
from nctools.features.unwrapping import unwrapped

# Last outputs, among which the map is looked for.
_REMEMBERED = 64
# A map whose parts of the image are longer than this is the heads by positions of an attention, or the like.
_MOST_RATIO = 2.0


@dataclass(frozen=True, eq=False)
class _Candidate:
    spec: LayerSpec
    found: Tensor
    layout: MapLayout
    pointwise: bool

    @property
    def width(self) -> int:
        return self.found.shape[self.layout.channel_dim]


def last_map(model: nn.Module, images: Tensor, facts: TokenFacts) -> LayerSpec:
    """Find the place that gradients of the logits are taken at where none is named.

    It is the last output of a module that is a map ``[B, ch, h, w]``, or tokens ``[B, T, ch]``, with more than one
    place, and on whose places the logits depend. So of a transformer that classifies by its class token it is the
    input of the last attention: behind it the patches count no more. Maps with one channel for each class (those of a
    1x1 convolution) are left out, and tokens are where the model has a class-wise head, whose inside looks like them.

    Args:
        model: Any module.
        images: ``[B, 3, H, W]``; the first is used.
        facts: What is known of the model's tokens.

    Returns:
        The place.

    Raises:
        ValueError: If there is none.
    """
    inner = unwrapped(model)
    watcher = _Watcher((images.shape[2], images.shape[3]), facts)
    with differentiable(inner):
        handles = []
        try:
            for name, module in inner.named_modules():
                if not isinstance(module, torch.jit.ScriptModule):  # has no hooks
                    handles.append(module.register_forward_hook(partial(watcher.see, name)))
            output: object = inner(images[:1].detach().clone().requires_grad_())
        finally:
            for handle in handles:
                handle.remove()
        logits = logits_of(output)
        if logits is not None and logits.ndim == 2 and logits.requires_grad:
            has_maps = first_tensor(parts_of(output).get("maps")) is not None
            found = _last(watcher.candidates, logits, has_maps=has_maps)
            if found is not None:
                return found.spec
    shown = ", ".join(layer_names(model)[-10:])
    raise ValueError(
        f"{type(inner).__name__} has no map: no module returns [B, ch, h, w] or tokens [B, T, ch] with more than one "
        "place that its logits depend on (on which a classifier of zeros does not): train it, take larger images, or "
        f'name layer="MODULE"; its last modules are: {shown}'
    )


class _Watcher:
    """Holds on to the last maps of a forward pass."""

    def __init__(self, image_size: Grid, facts: TokenFacts) -> None:
        self._image_size, self._facts = image_size, facts
        self._calls: Counter[str] = Counter()
        self._found: dict[str, _Candidate] = {}

    @property
    def candidates(self) -> list[_Candidate]:
        """In the order of their last calls."""
        return list(self._found.values())[-_REMEMBERED:]

    def see(self, name: str, module: nn.Module, args: tuple[object, ...], output: object) -> None:
        self._calls[name] += 1
        self._found.pop(name, None)
        if not isinstance(output, Tensor) or output.ndim not in (3, 4) or not output.requires_grad:
            return
        # Queries, keys and values of an attention are no maps, and what is pooled to a fixed size is stretched.
        if isinstance(module, (nn.Linear, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
            return
        try:
            layout = find_layout(output.shape, self._image_size, self._facts, name)
        except ValueError:
            return
        # One image was given: windows of an attention lie in the first dimension, too.
        if (
            len(output) == 1
            and layout.height * layout.width > 1
            and patch_ratio(layout, self._image_size) <= _MOST_RATIO
        ):
            spec = LayerSpec(name, "output", call=LAST_CALL if self._calls[name] > 1 else None)
            self._found[name] = _Candidate(spec, output, layout, is_pointwise(module))


def _last(candidates: list[_Candidate], logits: Tensor, *, has_maps: bool) -> _Candidate | None:
    chosen = _plausible(candidates, logits.shape[1], has_maps=has_maps)
    if not chosen:
        return None
    # Not the plain sum: rows of a simplex add up to nothing.
    score = (logits * torch.linspace(1, 2, logits.shape[1], device=logits.device)).sum()
    gradients = torch.autograd.grad(score, [candidate.found for candidate in chosen], allow_unused=True)
    reached = [(candidate, got) for candidate, got in zip(chosen, gradients, strict=True) if got is not None]
    for candidate, gradient in reversed(reached):
        if bool(candidate.layout.lay_out(gradient).any()):
            return candidate
    return None


def _plausible(candidates: list[_Candidate], num_classes: int, *, has_maps: bool) -> list[_Candidate]:
    of_classes = any(candidate.pointwise and candidate.width == num_classes for candidate in candidates)
    found = [candidate for candidate in candidates if not (of_classes and candidate.width == num_classes)]
    tokens = [place for place, candidate in enumerate(found) if candidate.layout.kind == "tokens"]
    if has_maps or not tokens:
        return [candidate for candidate in found if candidate.layout.kind != "tokens"]
    # Inside a transformer there are other widths: queries and keys by heads, the wide layer.
    width = found[tokens[-1]].width
    return found[: tokens[0]] + [candidate for candidate in found[tokens[0] :] if candidate.width == width]
