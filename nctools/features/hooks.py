"""Reads intermediate tensors of any model through forward hooks that are always taken off again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nctools.features.layers import LAST_CALL, LayerSpec, resolve_layers
from nctools.features.selection import chosen_tensor, first_tensor, input_parts, parts_of
from nctools.features.unwrapping import check_readable, eager_execution, unwrapped

# torch's signature of a forward hook with keyword arguments: module, arguments, keyword arguments, output.
_ForwardHook = Callable[[nn.Module, tuple[object, ...], dict[str, object], object], None]
# Most calls of a module that a message lists.
_LISTED = 10


class FeatureExtractor:
    """Runs a model and collects the tensors at named places, all in one forward pass.

    A context manager: the hooks are on the model inside the ``with`` block and are removed at its end, also after an
    exception. The features are detached copies (a later in-place operation of the model, such as
    ``nn.ReLU(inplace=True)``, does not change them) and the pass keeps no graph. The train or eval mode of the model
    is not touched.

    Args:
        model: Any module. Wrappers around it (data parallel, compiled, averaged) are taken off, and compiled modules
            inside it run as they were written, so that every module can be read.
        layers: Name -> place: ``"module:input"`` or ``"module:output"`` (``"module"`` alone is its output). A module
            that takes or returns several tensors gives the first, or the one named: ``"module:output[key]"``,
            ``"module:input[1]"``. Of a module called several times name the call: ``"module#2"``, ``"module#last"``.
            None: the input of the last ``nn.Linear``, named ``"penultimate"``.

    Attributes:
        layers: Name -> place, as resolved.
        output: What the model returned in the last call; None before.

    Raises:
        UnknownNameError: If the model has no such module; near misses are listed.
        ValueError: If a place is malformed, or if no ``nn.Linear`` is there to be the default.
        TypeError: If ``layers`` is not a mapping of strings, or a module is a TorchScript program.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> with FeatureExtractor(model, {"penultimate": "2:input", "first": "0"}) as extractor:
        ...     features = extractor(torch.zeros(5, 4))
        >>> {name: tuple(tensor.shape) for name, tensor in features.items()}
        {'penultimate': (5, 3), 'first': (5, 3)}
        >>> extractor.output.shape
        torch.Size([5, 2])
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, str] | None = None) -> None:
        self._model = unwrapped(model)
        self.layers: dict[str, LayerSpec] = resolve_layers(model, layers)
        modules = dict(self._model.named_modules(remove_duplicate=False))
        for spec in self.layers.values():
            check_readable(spec.module, modules[spec.module])
        self.output: object = None
        self._handles: list[RemovableHandle] = []
        self._entered = 0
        self._collected: dict[str, Tensor] = {}
        self._shapes: dict[str, list[list[int] | None]] = {}
        self._faults: dict[str, str] = {}

    def __enter__(self) -> FeatureExtractor:
        self._entered += 1
        if not self._handles:
            modules = dict(self._model.named_modules(remove_duplicate=False))
            try:
                for name, spec in self.layers.items():
                    hook = self._hook(name, spec)
                    self._handles.append(modules[spec.module].register_forward_hook(hook, with_kwargs=True))
            except BaseException:  # no __exit__ follows
                self.remove()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = max(0, self._entered - 1)
        if self._entered == 0:
            self.remove()

    def remove(self) -> None:
        """Take the hooks off the model. Doing it twice is harmless."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._entered = 0

    def __call__(self, *args: object, **kwargs: object) -> dict[str, Tensor]:
        """Run the model once.

        Args:
            *args: What the model takes, usually images ``[B, ...]``.
            **kwargs: Keyword arguments of the model.

        Returns:
            Name -> features as the module took or returned them, detached, on the model's device.

        Raises:
            RuntimeError: If used outside its ``with`` block.
            ValueError: If a module did not run, or several times and the place names no call, or its place holds no
                tensor.
        """
        if not self._handles:
            raise RuntimeError("the extractor has no hooks on the model: use it inside its `with` block")
        self._forget()
        try:
            with torch.no_grad(), eager_execution():
                self.output = self._model(*args, **kwargs)
            return {name: self._feature(name, spec) for name, spec in self.layers.items()}
        finally:
            self._forget()

    def _forget(self) -> None:
        self._collected.clear()
        self._shapes.clear()
        self._faults.clear()

    def _hook(self, name: str, spec: LayerSpec) -> _ForwardHook:
        def hook(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
            shapes = self._shapes.setdefault(name, [])
            found, fault = None, "holds no tensor: name another module"
            try:
                found = tensor_at(spec, module, args, kwargs, output)
            except LookupError as error:
                fault = str(error)
            shapes.append(None if found is None else list(found.shape))
            wanted = 1 if spec.call is None else len(shapes) if spec.call == LAST_CALL else spec.call
            if len(shapes) == wanted:
                self._collected.pop(name, None)  # before the copy, so that never two calls are held
                self._faults[name] = fault
                if found is not None:
                    self._collected[name] = found.detach().clone()

        return hook

    def _feature(self, name: str, spec: LayerSpec) -> Tensor:
        shapes = self._shapes.get(name, [])
        if not shapes:
            raise ValueError(
                f"layer {name!r}: module {spec.module!r} was not called in the forward pass (its weights may be used "
                "directly, or its branch is off): name another module"
            )
        if spec.call is None and len(shapes) > 1:
            raise ValueError(
                f"layer {name!r}: module {spec.module!r} was called {len(shapes)} times in one forward pass, so it is "
                f"not clear which call is meant: choose one of {_calls(spec, shapes)} (or #last), or name a module "
                "that is called once, such as one that encloses or follows it"
            )
        if spec.call is not None and spec.call > len(shapes):
            raise ValueError(
                f"layer {name!r}: module {spec.module!r} has no call #{spec.call} in one forward pass: "
                f"choose one of {_calls(spec, shapes)}"
            )
        if name not in self._collected:
            raise ValueError(f"layer {name!r}: the {spec.side} of module {spec.module!r} {self._faults[name]}")
        return self._collected[name]


def tensor_at(
    spec: LayerSpec, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object
) -> Tensor | None:
    """Find the tensor of a place in one call of its module.

    Args:
        spec: The place.
        module: Its module.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
        output: What the module returned.

    Returns:
        The tensor, or None if there is none.
    """
    if not spec.item:
        return first_tensor((args, kwargs) if spec.side == "input" else output)
    parts = input_parts(module, args, kwargs) if spec.side == "input" else parts_of(output)
    return chosen_tensor(parts, spec.item)


def _calls(spec: LayerSpec, shapes: list[list[int] | None]) -> str:
    shown = [
        f'"{replace(spec, call=call)}" {"no tensor" if shape is None else shape}'
        for call, shape in enumerate(shapes[:_LISTED], start=1)
    ]
    return ", ".join(shown) + (f", ... up to #{len(shapes)}" if len(shapes) > _LISTED else "")
