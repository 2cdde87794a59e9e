"""Methods of the user's own: a class in a notebook or a module, trained and measured as those of the package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from nctools._factories import import_object, is_factory
from nctools.errors import ConfigError
from nctools.methods.catalogue import METHODS
from nctools.methods.method import Method

_OWN: dict[str, type[Method]] = {}
# What the training loop calls a method with: the two functions, their arguments by place and by name.
_CALLED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "forward": (("images",), ()),
    "loss": (("output", "targets"), ("epoch",)),
}


def add_method(method: type[Method]) -> str:
    """Make a method of your own known, so that it can be configured, trained, measured and compared by its name.

    The name is ``"module:Class"``. A class of a module is found by that name without this call, also on the command
    line and in other processes: ``nctools train my_module:MyMethod``. One of a notebook is known after it, in this
    process alone. Adding a class again replaces it, as a cell does that is run twice.

    Args:
        method: The class, with ``forward``, ``loss`` and ``feature_layers``.

    Returns:
        Its name, for ``make_config`` and ``build``.

    Raises:
        TypeError: If it is no class that inherits from ``Method``, lacks what every method has, or its ``forward`` or
            ``loss`` cannot be called as the training loop does.

    Example:
        >>> from nctools.methods import ERM, build
        >>> class Doubled(ERM):
        ...     def loss(self, output, targets, *, epoch):
        ...         return {"loss": 2 * super().loss(output, targets, epoch=epoch)["loss"]}
        >>> name = add_method(Doubled)
        >>> type(build(name, num_classes=5, backbone="small")).__name__
        'Doubled'
    """
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise TypeError(f"{method!r} is no class that inherits from nctools.methods.Method: derive it from that one")
    missing = [*sorted(method.__abstractmethods__), *([] if method.feature_layers else ["feature_layers"])]
    if missing:
        raise TypeError(f"{method.__name__} lacks {', '.join(missing)}: every method of nctools has them")
    for function, (by_place, by_name) in _CALLED.items():
        _check_call(method, function, by_place, by_name)
    name = f"{method.__module__}:{method.__name__}"
    _OWN[name] = method
    return name


def own_method(name: str) -> type[Method] | None:
    """Look a method of the user's own up.

    Args:
        name: ``"module:Class"``.

    Returns:
        The class, or None if nobody added it.
    """
    return _OWN.get(name)


def import_method(name: str) -> None:
    """Import a method that the user named as ``module:Class``; names of other forms and known ones are left alone.

    Only names that a person typed may come here, or those of that person's own configuration: importing runs code.

    Args:
        name: Name of a method.

    Raises:
        ConfigError: If the module cannot be imported, or what it holds is no method.
    """
    if name in METHODS or name in _OWN or not is_factory(name):
        return
    found = import_object(name)
    try:
        if add_method(found) != name:  # type: ignore[arg-type]
            # Under the name that was typed too, where the class was only imported into that module.
            _OWN[name] = found  # type: ignore[assignment]
    except TypeError as error:
        raise ConfigError(f"{name} cannot be trained: {error}") from error


def _check_call(method: type[Method], function: str, by_place: tuple[str, ...], by_name: tuple[str, ...]) -> None:
    # Before hours of training, not after the first batch.
    found: Callable[..., object] = getattr(method, function)
    try:
        signature = inspect.signature(found)
    except ValueError:  # of a compiled function, which tells no signature
        return
    # Static functions are called without the method.
    own = () if isinstance(inspect.getattr_static(method, function), staticmethod) else ("self",)
    try:
        signature.bind(*own, *by_place, **dict.fromkeys(by_name))
    except TypeError as error:
        wanted = ", ".join(["self", *by_place, *(["*", *by_name] if by_name else [])])
        raise TypeError(
            f"{method.__name__}.{function}{signature} does not fit the training loop ({error}): "
            f"write it as {function}({wanted})"
        ) from error
