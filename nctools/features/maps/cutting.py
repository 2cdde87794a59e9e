"""Runs a model so that only what follows one layer keeps a graph: its logits as a function of that layer's output."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from nctools.features.hooks import tensor_at
from nctools.features.layers import LAST_CALL, LayerSpec
from nctools.features.maps.faults import needed_logits
from nctools.features.unwrapping import check_readable, eager_execution


@dataclass(frozen=True, eq=False)
class CutPass:
    """A forward pass whose graph begins at one layer.

    Args:
        activation: What the layer gave, with its shape; a leaf that requires gradients.
        logits: ``[B, C]``, with a graph that leads to the activation and no further.
        spec: The layer.
    """

    activation: Tensor
    logits: Tensor
    spec: LayerSpec

    def gradient(self, class_index: int) -> Tensor:
        """Differentiate the logits of one class; the graph is kept for the next.

        Args:
            class_index: The class.

        Returns:
            Of the shape of the activation. Images do not mix in eval mode, so each has its own gradient.
        """
        (found,) = torch.autograd.grad(self.logits[:, class_index].sum(), self.activation, retain_graph=True)
        return found


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """Set a model to eval mode with frozen parameters and let gradients be computed; not in inference mode.

    Modes and ``requires_grad`` are put back at the end, also after an error.

    Args:
        model: Any module.

    Yields:
        Nothing.

    Raises:
        ValueError: If the model was made in inference mode.
    """
    if any(tensor.is_inference() for tensor in chain(model.parameters(), model.buffers())):
        raise ValueError(
            "the model was made inside torch.inference_mode(), which forbids gradients for good: make it outside"
        )
    modes = {module: module.training for module in model.modules()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in trained:
            parameter.requires_grad_(False)
        with torch.enable_grad(), eager_execution():
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for module, training in modes.items():
            module.training = training


def run_cut(model: nn.Module, images: Tensor, spec: LayerSpec) -> CutPass:
    """Run a model once; inside ``differentiable``.

    Args:
        model: Any module, unwrapped.
        images: ``[B, 3, H, W]``, on its device.
        spec: The layer; the model goes on with a copy of its output.

    Returns:
        Activation and logits.

    Raises:
        ValueError: If the layer did not run, ran several times, holds no numbers, or the logits do not follow from it.
    """
    module = dict(model.named_modules(remove_duplicate=False))[spec.module]
    check_readable(spec.module, module)
    knife = _Knife(spec)
    with ExitStack() as hooks:
        if spec.side == "input":
            hooks.callback(module.register_forward_pre_hook(knife.before, with_kwargs=True).remove)
        else:
            hooks.callback(module.register_forward_hook(knife.after, with_kwargs=True).remove)
        output: object = model(images)
    activation = knife.taken()
    logits = needed_logits(output, len(images))
    if not logits.requires_grad:
        raise ValueError(
            f"the logits do not depend on {spec}, or the model forbids gradients behind it (detach, no_grad): name an "
            "earlier layer"
        )
    return CutPass(activation, logits, spec)


class _Knife:
    """Puts a leaf in the place of what a layer gave."""

    def __init__(self, spec: LayerSpec) -> None:
        self._spec = spec
        self._calls = 0
        self._leaf: Tensor | None = None
        self._fault = "holds no tensor: name another module"

    def before(
        self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]] | None:
        changed = self._cut(module, args, kwargs, None, (args, kwargs))
        assert changed is None or isinstance(changed, tuple)
        return changed

    def after(self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> object:
        return self._cut(module, args, kwargs, output, output)

    def taken(self) -> Tensor:
        spec = self._spec
        if not self._calls:
            raise ValueError(f"module {spec.module!r} was not called in the forward pass: name another layer")
        if spec.call is None and self._calls > 1:
            raise ValueError(
                f"module {spec.module!r} was called {self._calls} times in one forward pass: choose one of "
                f'"{spec}#1" to "{spec}#{self._calls}", or "{spec}#last"'
            )
        if spec.call is not None and spec.call > self._calls:
            raise ValueError(f"{spec} names call #{spec.call}, but the module was called {self._calls} times")
        if self._leaf is None:
            raise ValueError(f"the {spec.side} of module {spec.module!r} {self._fault}")
        return self._leaf

    def _cut(
        self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object, whole: object
    ) -> object:
        self._calls += 1
        if self._spec.call not in {None, LAST_CALL, self._calls}:
            return None
        try:
            found = tensor_at(self._spec, module, args, kwargs, output)
        except LookupError as error:
            self._fault = str(error)
            return None
        if found is None or not found.is_floating_point():
            return None
        self._leaf = found.detach().clone().requires_grad_()
        # Copied: the model may write into it, and a leaf must not be written to.
        return _exchanged(whole, found, self._leaf.clone())


def _exchanged(value: object, old: Tensor, new: Tensor) -> object:
    # The same structure with another tensor in it.
    if value is old:
        return new
    if isinstance(value, (tuple, list)):
        make: Callable[[Iterable[object]], object] = getattr(value, "_make", type(value))  # of a named tuple
        return make(_exchanged(part, old, new) for part in value)
    if isinstance(value, Mapping):
        changed = copy.copy(value)
        for key, part in value.items():
            changed[key] = _exchanged(part, old, new)  # type: ignore[index]
        return changed
    if is_dataclass(value) and not isinstance(value, type):
        made = copy.copy(value)
        for field in fields(value):
            object.__setattr__(made, field.name, _exchanged(getattr(value, field.name), old, new))
        return made
    return value
