"""Imports what a user names as ``package.module:attribute`` and reads the arguments to call it with."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from nctools.errors import ConfigError, UnknownNameError


def is_factory(spec: str) -> bool:
    """Tell whether a text has the form ``package.module:attribute``.

    Args:
        spec: What the user gave.

    Returns:
        True for dotted Python names on both sides of one colon.

    Example:
        >>> is_factory("my_models.resnet:build"), is_factory("C:/photos"), is_factory("timm/resnet")
        (True, False, False)
    """
    module, colon, attribute = spec.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def import_object(spec: str) -> object:
    """Import ``package.module:attribute``; modules of the working folder are found as with ``python -m``.

    Args:
        spec: For example ``"my_models:resnet"`` for ``resnet`` in ``my_models.py``.

    Returns:
        The object of that name.

    Raises:
        ConfigError: If the text is malformed, or the module does not exist or fails when it is imported.
        UnknownNameError: If the module has no such attribute; near misses are listed.

    Example:
        >>> import_object("math:sqrt")
        <built-in function sqrt>
    """
    if not is_factory(spec):
        raise ConfigError(f"{spec!r} is not of the form package.module:name, such as my_models:build_resnet")
    module_name, _, attribute = spec.partition(":")
    if module_name.partition(".")[0] in {"torchvision", "timm"}:
        from nctools._torchvision_guard import import_torchvision

        import_torchvision()
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        what = "no module of that name" if module_name.startswith(missing) else f"it imports {missing!r}, which is not"
        raise ConfigError(
            f"{spec!r} cannot be imported: {what} in {here} or among the installed packages: "
            "run nctools in the folder of the module, or set PYTHONPATH"
        ) from error
    except Exception as error:  # the user's own code ran, and anything can go wrong in it
        raise ConfigError(
            f"{spec!r} cannot be imported: module {module_name!r} fails with {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            raise UnknownNameError(f"name in {module_name}", part, public)
        found = getattr(found, part)
    return found


def parse_arguments(text: str) -> dict[str, object]:
    """Read keyword arguments from one text.

    Args:
        text: A JSON object, or ``key=value,key=value``; values are JSON where they can be, else strings.

    Returns:
        Name -> value.

    Raises:
        ConfigError: If a part has no ``=``, its name is no Python name, or the JSON is no object.

    Example:
        >>> parse_arguments("num_classes=10,name=small,flag=true")
        {'num_classes': 10, 'name': 'small', 'flag': True}
        >>> parse_arguments('{"widths": [1, 2]}')
        {'widths': [1, 2]}
    """
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"the arguments {text!r} are not valid JSON ({error})") from error
        return dict(document)
    arguments: dict[str, object] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier():
            raise ConfigError(
                f'the argument {part!r} is not of the form name=value; several: "a=1,b=small", '
                'or one JSON object: {"a": [1, 2]}'
            )
        arguments[name] = _value(value)
    return arguments


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)
    return value
