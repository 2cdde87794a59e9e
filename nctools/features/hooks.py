"""Reads intermediate tensors of any model through forward hooks that are always taken off again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nctools.features.layers import LayerSpec, resolve_layers
from nctools.models.output import Output

# torch's signature of a forward hook with keyword arguments: module, arguments, keyword arguments, output.
_ForwardHook = Callable[[nn.Module, tuple[object, ...], dict[str, object], object], None]


def first_tensor(value: object) -> Tensor | None:
    """Find the first tensor in what a module takes or returns.

    Args:
        value: A tensor, an ``Output`` (its logits), or tuples, lists and mappings of such.

    Returns:
        The tensor, or None if there is none.

    Example:
        >>> first_tensor((None, {"x": torch.tensor(7)}))
        tensor(7)
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Output):
        return value.logits
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((found for found in map(first_tensor, value) if found is not None), None)
    return None


class FeatureExtractor:
    """Runs a model and collects the tensors at named places, all in one forward pass.

    A context manager: the hooks are on the model inside the ``with`` block and are removed at its end, also after an
    exception. The features are detached copies (a later in-place operation of the model, such as
    ``nn.ReLU(inplace=True)``, does not change them) and the pass keeps no graph. The train or eval mode of the model
    is not touched.

    Args:
        model: Any module.
        layers: Name -> ``"module:input"`` or ``"module:output"`` (``"module"`` alone is its output). A module that
            takes or returns several tensors gives the first. None: the input of the last ``nn.Linear``, named
            ``"penultimate"``.

    Attributes:
        layers: Name -> place, as resolved.
        output: What the model returned in the last call; None before.

    Raises:
        UnknownNameError: If the model has no such module; near misses are listed.
        ValueError: If a place is malformed, or if no ``nn.Linear`` is there to be the default.
        TypeError: If ``layers`` is not a mapping of strings.

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
        self._model = model
        self.layers: dict[str, LayerSpec] = resolve_layers(model, layers)
        self.output: object = None
        self._handles: list[RemovableHandle] = []
        self._entered = 0
        self._collected: dict[str, Tensor | None] = {}
        self._calls: Counter[str] = Counter()

    def __enter__(self) -> FeatureExtractor:
        self._entered += 1
        if not self._handles:
            modules = dict(self._model.named_modules(remove_duplicate=False))
            for name, spec in self.layers.items():
                hook = self._hook(name, spec)
                self._handles.append(modules[spec.module].register_forward_hook(hook, with_kwargs=True))
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
            ValueError: If a module ran not exactly once in the pass, or its place holds no tensor.
        """
        if not self._handles:
            raise RuntimeError("the extractor has no hooks on the model: use it inside its `with` block")
        self._collected.clear()
        self._calls.clear()
        try:
            with torch.no_grad():
                self.output = self._model(*args, **kwargs)
            return {name: self._feature(name, spec) for name, spec in self.layers.items()}
        finally:
            self._collected.clear()

    def _hook(self, name: str, spec: LayerSpec) -> _ForwardHook:
        def hook(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
            self._calls[name] += 1
            value = (args, kwargs) if spec.side == "input" else output
            found = first_tensor(value)
            self._collected[name] = None if found is None else found.detach().clone()

        return hook

    def _feature(self, name: str, spec: LayerSpec) -> Tensor:
        calls = self._calls[name]
        if calls == 0:
            raise ValueError(
                f"layer {name!r}: module {spec.module!r} was not called in the forward pass "
                "(its weights may be used directly, or its branch is off): name another module"
            )
        if calls > 1:
            raise ValueError(
                f"layer {name!r}: module {spec.module!r} was called {calls} times in one forward pass, so it is not "
                "clear which call is meant: name a module that is called once, such as one that encloses or follows it"
            )
        found = self._collected[name]
        if found is None:
            raise ValueError(
                f"layer {name!r}: the {spec.side} of module {spec.module!r} holds no tensor: name another module"
            )
        return found
