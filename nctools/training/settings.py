"""Settings of a run as people write them: ``key=value``, keys without their section, paths from here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from nctools.data.catalogue import DATASETS
from nctools.errors import ConfigError, UnknownNameError

_POWER_OF_TEN = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def parse_settings(pairs: Sequence[str]) -> dict[str, object]:
    """Read ``key=value`` settings of a command line; values are YAML (``3``, ``1e-3``, ``true``, ``null``, words).

    Args:
        pairs: Settings such as ``"recipe.epochs=5"``.

    Returns:
        Key -> value.

    Raises:
        ConfigError: If a setting has no ``=``, or its value is not YAML.

    Example:
        >>> parse_settings(["epochs=5", "max_lr=1e-3", "ema_decay=null"])
        {'epochs': 5, 'max_lr': 0.001, 'ema_decay': None}
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"setting {pair!r} is not of the form key=value")
        try:
            settings[key.strip()] = _yaml_value(text)
        except yaml.YAMLError as error:
            raise ConfigError(
                f"the value of setting {pair!r} cannot be read: {' '.join(str(error).split())}"
            ) from error
    return settings


def _yaml_value(text: str) -> object:
    value: object = yaml.safe_load(text)
    # YAML 1.1 reads 1e-3 as a word; people mean the number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def put_settings(
    document: dict[str, object], settings: Mapping[str, object], known: Sequence[str]
) -> dict[str, object]:
    """Put settings into a document; paths are kept whole, for the run may be repeated from another folder.

    Args:
        document: Plain values of a configuration; changed in place.
        settings: Values by key. A name that only one section knows may stand alone.
        known: All keys, dotted.

    Returns:
        The document.

    Raises:
        UnknownNameError: If a key does not exist; near misses are listed.
    """
    given = {_full_key(key, known): value for key, value in settings.items()}
    for key, value in given.items():
        section, _, field = key.rpartition(".")
        target = document[section] if section else document
        if isinstance(target, dict):
            target[field] = _whole_value(key, value)
    arguments = document["arguments"]
    chosen_small = given.get("arguments.backbone") == "small" and "arguments.pretrained" not in given
    if chosen_small and isinstance(arguments, dict) and arguments.get("pretrained") is True:
        del arguments["pretrained"]  # the weights that the recipe starts from are another backbone's
    return document


def whole_path(name: str, given: str) -> str:
    """Make the path of a data set whole.

    Args:
        name: Canonical name of what was given.
        given: A name, or a path.

    Returns:
        The name of a set of the catalogue, else the absolute path where there is such a file.
    """
    if name in DATASETS:
        return name
    return str(Path(given).absolute()) if Path(given).exists() else given


def as_meant(document: dict[str, object]) -> dict[str, object]:
    """Read ``1e-4`` in a configuration that was written by hand as the number it means; YAML 1.1 reads a word.

    Args:
        document: What YAML read.

    Returns:
        The same with numbers, in its sections too.

    Example:
        >>> as_meant({"recipe": {"max_lr": "1e-4", "sampler": "uniform"}})
        {'recipe': {'max_lr': 0.0001, 'sampler': 'uniform'}}
    """
    return {key: _meant(value) for key, value in document.items()}


def _meant(value: object) -> object:
    if isinstance(value, dict):
        return as_meant(value)
    return float(value) if isinstance(value, str) and _POWER_OF_TEN.fullmatch(value) else value


def _whole_value(key: str, value: object) -> object:
    # Other values that are paths.
    if not isinstance(value, str):
        return value
    if key == "arguments.label_embedding" and value.startswith("text:") and value != "text:":
        return f"text:{Path(value.removeprefix('text:')).expanduser().absolute()}"
    if key in {"data.groups", "arguments.pretrained"} and Path(value).expanduser().is_file():
        return str(Path(value).expanduser().absolute())
    return value


def _full_key(key: str, known: Sequence[str]) -> str:
    matches = [name for name in known if name == key] or [name for name in known if name.rpartition(".")[2] == key]
    if len(matches) != 1:
        raise UnknownNameError("setting", key, known, near=matches or _near_keys(key, known))
    return matches[0]


def _near_keys(key: str, known: Sequence[str]) -> list[str]:
    # Names are mostly typed without their section: "gamma" is near to "arguments.gamma_neg".
    own_names = {name: name.rpartition(".")[2] for name in known}
    similar = difflib.get_close_matches(key.rpartition(".")[2], list(dict.fromkeys(own_names.values())), n=3)
    found = [name for own in similar for name in known if own_names[name] == own]
    return found or difflib.get_close_matches(key, known, n=3, cutoff=0.5)
