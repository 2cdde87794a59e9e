"""Finds a model's classifier by running it: the matrix whose outputs are the logits, and what feeds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from nctools.errors import UnknownNameError
from nctools.features.batches import logits_of
from nctools.features.layers import (
    PENULTIMATE,
    is_linear,
    is_pointwise,
    layer_names,
    module_anchors,
    no_classifier_message,
)
from nctools.features.probing import run_observed
from nctools.features.selection import first_tensor
from nctools.features.unwrapping import unwrapped
from nctools.models.output import Anchors

ClassifierKind = Literal["linear", "conv1x1"]

# In eval mode these return what they were given, perhaps in another shape, or what the last module inside them did.
_PASSING = (
    *(nn.Identity, nn.Sequential, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)
# Outputs that are kept alive, so that their memory is not given to another tensor while it is compared.
_REMEMBERED = 32
# Multiples of the rounding error of one operation that two ways to compute the logits may differ by.
_ROUNDINGS = 64


@dataclass(frozen=True)
class FoundClassifier:
    """The classifier of a model and the features that it reads.

    Args:
        module: Its dotted name.
        kind: ``"linear"`` or, for a 1x1 convolution, ``"conv1x1"``.
        num_outputs: Rows of its weight, usually ``C``.
        num_features: Width ``D`` of what it reads.
        source: The module whose output it reads; None if no module returned it.
        exact: The logits are ``W h + b`` of these features, as far as floating-point numbers tell.
        maps: How to read the features: ``"mean"`` over the places of a map for a convolution, else ``"refuse"``.
        calls: How often it ran in one forward pass; if several times, its last call counts.
        returned: Its outputs are what the model returns.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> print(find_classifier(model, [torch.randn(2, 4)]))
        features: 1 (3); classifier: 2 (2 x 3)
    """

    module: str
    kind: ClassifierKind
    num_outputs: int
    num_features: int
    source: str | None
    exact: bool
    maps: Literal["refuse", "mean"]
    calls: int = 1
    returned: bool = True

    @property
    def layers(self) -> dict[str, str]:
        """The place of the features, for ``FeatureExtractor`` and ``extract``."""
        return {PENULTIMATE: f"{self.module}:input" + ("#last" if self.calls > 1 else "")}

    def anchors(self, model: nn.Module) -> Anchors:
        """Take the rows of the classifier.

        Args:
            model: The model that it was found in.

        Returns:
            Weight ``[num_outputs, D]`` and bias.

        Raises:
            UnknownNameError: If the model has no such module, or it is no classifier there.
        """
        module = dict(unwrapped(model).named_modules()).get(self.module)
        anchors = None if module is None else module_anchors(module)
        if anchors is None:
            raise UnknownNameError("classifier", self.module, layer_names(model))
        return anchors

    def __str__(self) -> str:
        own = self.module or "the model itself"
        source = f"input of {own}" if self.source is None else self.source
        if self.kind == "conv1x1":
            source = "mean over the places of " + (source if self.source is not None else f"the {source}")
        size = f"{self.num_outputs} x {self.num_features}"
        text = f"features: {source} ({self.num_features}); classifier: {own} "
        text += f"({size})" if self.kind == "linear" else f"(1x1 convolution, {size})"
        if self.exact:
            return text
        if self.returned:
            return f"{text}; the model returns its outputs, but they are not W h + b of the features"
        return f"{text}; its outputs are not what the model returns: a layer follows it"


def find_classifier(model: nn.Module, inputs: Sequence[object], *, num_classes: int | None = None) -> FoundClassifier:
    """Find the classifier in one forward pass, in eval mode and without gradients.

    It is the last ``nn.Linear`` or 1x1 convolution whose outputs are the logits that the model returns (of a
    convolution: whose outputs' mean over the places they are); else the last ``nn.Linear`` with ``num_classes``
    outputs; else the last 1x1 convolution of that many channels; else the last ``nn.Linear``, which then is no
    classifier but has the features as its input.

    Args:
        model: Any module.
        inputs: What it takes, on its device: a small batch of images (two or more tell best), and more if its
            ``forward`` needs more. Random numbers do.
        num_classes: ``C``; None: the columns of the logits.

    Returns:
        What was found. The modes of the model are as before and no hook is left.

    Raises:
        ValueError: If no ``nn.Linear`` and no 1x1 convolution fits, or the one found reads tokens ``[B, T, D]``.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        >>> found = find_classifier(model, [torch.randn(2, 3, 9, 9)])
        >>> found.layers, found.num_outputs, found.num_features, found.source, found.exact
        ({'penultimate': '3:input'}, 5, 8, '1', True)
    """
    reader = _CallReader()
    logits = logits_of(run_observed(model, inputs, after=reader.see))
    num_logits = None if logits is None or logits.ndim < 2 else logits.shape[-1 if logits.ndim == 3 else 1]
    wanted = num_logits if num_classes is None else num_classes
    chosen = _choose(list(reader.calls.values()), logits, wanted)
    if chosen is None:
        message = no_classifier_message(model, "nn.Linear or 1x1 convolution that could be its classifier")
        shape = None if logits is None else list(logits.shape)
        raise ValueError(message + ("" if shape is None else f'; what it returns, {shape}, is at ":output"'))
    if chosen.features is None:
        _check_shape(chosen, logits, wanted)
    anchors = module_anchors(chosen.module)
    assert anchors is not None  # only such modules are recorded
    returned = _same(chosen.outputs, logits, chosen.rounding)
    return FoundClassifier(
        module=chosen.name,
        kind=chosen.kind,
        num_outputs=anchors.weight.shape[0],
        num_features=anchors.weight.shape[1],
        source=chosen.source,
        exact=returned and _is_linear_map(chosen, anchors, logits),
        maps="mean" if chosen.kind == "conv1x1" else "refuse",
        calls=chosen.calls,
        returned=returned,
    )


@dataclass(frozen=True, eq=False)
class _Call:
    """The last call of a module that may be the classifier; of other shapes than one row per image only the shape."""

    name: str
    module: nn.Module
    kind: ClassifierKind
    calls: int
    shape: list[int]
    features: Tensor | None
    outputs: Tensor | None
    rounding: float
    source: str | None


class _CallReader:
    """Records the calls of linear layers and 1x1 convolutions, in the order of their last calls."""

    def __init__(self) -> None:
        self.calls: dict[str, _Call] = {}
        self._returned: deque[tuple[str, bool, Tensor, int]] = deque(maxlen=_REMEMBERED)

    def see(
        self, name: str, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object
    ) -> None:
        given, result = first_tensor((args, kwargs)), first_tensor(output)
        if result is None:
            return
        if given is not None and (is_linear(module) or is_pointwise(module)):
            before = self.calls.pop(name, None)
            self.calls[name] = _Call(
                name=name,
                module=module,
                kind="linear" if is_linear(module) else "conv1x1",
                calls=1 if before is None else before.calls + 1,
                shape=list(given.shape),
                features=_rows(given, module),
                outputs=_rows(result, module),
                rounding=max(_rounding(given), _rounding(result)),
                source=self._source(given),
            )
        self._returned.append((name, isinstance(module, _PASSING), result, _version(result)))

    def _source(self, given: Tensor) -> str | None:
        # The same memory and not written to since: in-place operations count in the version.
        memory = (given.untyped_storage().data_ptr(), given.storage_offset(), given.numel(), _version(given))
        found = None
        for name, passing, result, version in reversed(self._returned):
            if (result.untyped_storage().data_ptr(), result.storage_offset(), result.numel(), version) == memory:
                if not passing:
                    return name
                found = found or name
        return found


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _rows(tensor: Tensor, module: nn.Module) -> Tensor | None:
    # One row per image in wide numbers; None if there are several.
    wide = torch.float32 if tensor.device.type == "mps" else torch.float64
    if not is_linear(module) and tensor.ndim > 2:
        # The channels are the first of the dimensions of a place, also where there is no batch.
        return tensor.flatten(2).mean(dim=2, dtype=wide).cpu()
    return tensor.to(wide).cpu() if tensor.ndim == 2 else None


def _rounding(tensor: Tensor) -> float:
    if not tensor.is_floating_point():
        return 0.0
    # CUDA may multiply float32 with 10 bits (TF32), by default in convolutions.
    return 2.0**-10 if tensor.is_cuda and tensor.dtype == torch.float32 else torch.finfo(tensor.dtype).eps


def _same(outputs: Tensor | None, logits: Tensor | None, rounding: float) -> bool:
    if outputs is None or logits is None or outputs.numel() != logits.numel() or not outputs.numel():
        return False
    tolerance = _ROUNDINGS * max(rounding, _rounding(logits)) * float(outputs.abs().max())
    return bool((outputs - logits.cpu().to(outputs.dtype).reshape_as(outputs)).abs().max() <= tolerance)


def _is_linear_map(chosen: _Call, anchors: Anchors, logits: Tensor | None) -> bool:
    if chosen.features is None or logits is None:
        return False
    features, weight = chosen.features, anchors.weight.cpu().to(chosen.features.dtype)
    bias = torch.zeros(len(weight)) if anchors.bias is None else anchors.bias.cpu()
    expected = features @ weight.T + bias
    size = float((features.abs() @ weight.abs().T + bias.abs()).max())
    tolerance = _ROUNDINGS * max(chosen.rounding, _rounding(logits), _rounding(anchors.weight)) * size
    return bool((expected - logits.cpu().to(expected.dtype).reshape_as(expected)).abs().max() <= tolerance)


def _choose(calls: list[_Call], logits: Tensor | None, num_classes: int | None) -> _Call | None:
    linear = [call for call in calls if call.kind == "linear"]
    rows = {call.name: anchors.weight.shape[0] for call in calls if (anchors := module_anchors(call.module))}
    for fitting in (
        [call for call in calls if _same(call.outputs, logits, call.rounding)],
        # A head that reads one row per image goes before an auxiliary one for each token.
        [call for call in linear if rows[call.name] == num_classes and call.features is not None],
        [call for call in linear if rows[call.name] == num_classes],
        [call for call in calls if call.kind == "conv1x1" and rows[call.name] == num_classes],
        linear,
    ):
        if fitting:
            return fitting[-1]
    return None


def _check_shape(chosen: _Call, logits: Tensor | None, num_classes: int | None) -> None:
    # Features [B, C, D] belong to images and classes, and are kept as such.
    if chosen.kind == "linear" and len(chosen.shape) == 3 and chosen.shape[1] == num_classes:
        return
    place = f'"{chosen.name}:input"'
    text = f"the last linear layer {chosen.name!r} of the model reads features of shape {chosen.shape}, "
    text += "one for each token or place and not one for each image: "
    if logits is not None and logits.ndim == 2:
        text += f'take what the model returns, {list(logits.shape)}, by layers={{"{PENULTIMATE}": ":output"}}, or '
    raise ValueError(
        f'{text}name a place after pooling, or layers={{"{PENULTIMATE}": {place}}} with tokens="class", "patches" or '
        '"mean" (--tokens) for tokens [B, T, D]'
    )
