"""Takes the features of the forward passes that a loop of the user makes anyway."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nctools.features.hooks import tensor_at
from nctools.features.layers import LAST_CALL, LayerSpec


class Tap:
    """A forward hook that holds what its module took or returned in its last call, in passes that others make.

    Args:
        module: The module.
        spec: The place; of several calls the last one counts.

    Raises:
        ValueError: If the place names another call than the last.

    Attributes:
        paused: Calls are not looked at.
    """

    def __init__(self, module: nn.Module, spec: LayerSpec) -> None:
        if spec.call not in {None, LAST_CALL}:
            raise ValueError(f"{spec} names one of several calls, but a watch takes the last: leave #{spec.call} out")
        self.module, self._spec = module, spec
        self.paused = False
        self._handle: RemovableHandle | None = None
        self._called = False
        self._features: Tensor | None = None

    def __call__(self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
        """Take note of a call; torch calls this.

        Args:
            module: The module.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            output: What it returned.
        """
        if self.paused:
            return
        found = tensor_at(self._spec, module, args, kwargs, output)
        self._called = True
        # Copied: a later in-place operation of the model shall not change it.
        self._features = None if found is None else found.detach().clone()

    def __reduce__(self) -> tuple[Callable[[], _IgnoredHook], tuple[()]]:
        # A copied or pickled model carries its hooks along; the copy's must do nothing.
        return _no_hook, ()

    def attach(self) -> None:
        """Put the hook on the module; doing it twice is harmless."""
        if self._handle is None:
            self._handle = self.module.register_forward_hook(self, with_kwargs=True)

    def remove(self) -> None:
        """Take the hook off and forget what it holds; doing it twice is harmless."""
        if self._handle is not None:
            self._handle.remove()
        self._handle, self._called, self._features = None, False, None

    def take(self, name: str) -> Tensor:
        """Give the features of the last call, once.

        Args:
            name: The layer, for messages.

        Returns:
            The features, detached.

        Raises:
            RuntimeError: If the hook is off, or there was no call since the last time.
            ValueError: If the place held no tensor.
        """
        if self._handle is None:
            raise RuntimeError("the watch has no hooks on the model: use update() inside its `with` block")
        if not self._called:
            raise RuntimeError(
                f"layer {name!r}: module {self._spec.module!r} was not called since the last update(): call update() "
                "once after each forward pass of the watched model"
            )
        if self._features is None:
            raise ValueError(f"layer {name!r}: {self._spec} holds no tensor: name another module")
        features, self._features, self._called = self._features, None, False
        return features


_IgnoredHook = Callable[[nn.Module, tuple[object, ...], dict[str, object], object], None]


def _no_hook() -> _IgnoredHook:
    return _ignore


def _ignore(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
    return None
