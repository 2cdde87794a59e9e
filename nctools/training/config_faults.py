"""What is wrong with a configuration, in words: unknown keys with near misses, ill-typed values with what they are."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from nctools.collapse.catalogue import ALIASES, METRICS, OVER_LAYERS, PRESETS
from nctools.data.loading import usual_preprocessing
from nctools.data.preprocessing import preprocessing_changed
from nctools.data.text_files import shortened
from nctools.errors import NctoolsError, UnknownNameError
from nctools.methods.value_checks import misfits

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

# Every image becomes RGB.
_CHANNELS = 3


def described_faults(error: ValidationError, known: Sequence[str]) -> str:
    """Describe what the schema found.

    Args:
        error: What checking a document against the schema raised.
        known: All keys, dotted.

    Returns:
        One line.
    """
    return "; ".join(_described(fault, known) for fault in error.errors())


def argument_faults(arguments: Mapping[str, object], types: Mapping[str, object]) -> list[str]:
    """Check arguments of a method against the types of its signature.

    Args:
        arguments: Values by name.
        types: Annotations by name.

    Returns:
        A line for each value that does not fit.

    Example:
        >>> argument_faults({"scale": "ten", "seed": 3}, {"scale": float, "seed": int})
        ["arguments.scale: Input should be a valid number (it is 'ten')"]
    """
    return [
        f"arguments.{name}: {wanted} (it is {shortened(arguments[name])})"
        for name, wanted in misfits(arguments, types).items()
    ]


def preprocessing_faults(given: Mapping[str, object], dataset: str) -> list[str]:
    """Check by making it whether a preprocessing can be made.

    Args:
        given: What shall not be as it is usual for the data set; None is as usual.
        dataset: Name or path of the data set.

    Returns:
        A line if it cannot.

    Example:
        >>> preprocessing_faults({"mean": [0.5, 0.5]}, "digits_lt")
        ['preprocessing: `mean` has 2 values but `std` has 3: give one of each per image channel.']
    """
    if all(value is None for value in given.values()):
        return []  # the usual one is known to be right, and a split file need not be read
    usual = usual_preprocessing(dataset)
    try:
        made = preprocessing_changed(usual, **cast("dict[str, str]", dict(given)))  # type: ignore[arg-type]
    except (NctoolsError, ValueError) as error:
        return [f"preprocessing: {error}"]
    if len(made.mean) not in {1, _CHANNELS}:
        return [
            f"preprocessing: mean and std have {len(made.mean)} values, but images have {_CHANNELS} channels: give one "
            "for each, or one for all"
        ]
    return []


def known_metric(name: str) -> str:
    """See that an NC metric can be measured while a method trains.

    Args:
        name: Id of the metric.

    Returns:
        The same.

    Raises:
        UnknownNameError: If there is none; near misses are listed.
        ValueError: If it is a preset, which stands alone, or needs more than one layer or other images.

    Example:
        >>> known_metric("nc1_pinv")
        'nc1_pinv'
    """
    if name in PRESETS:
        raise ValueError(f"the preset {name!r} stands alone: leave the other names out, or list ids")
    if name in METRICS and "OOD mean" in METRICS[name].needs:
        raise ValueError(f"{name} needs images of another kind, which a training has not: leave it out")
    if name in OVER_LAYERS:
        raise ValueError(f"{name} is not measured in one layer: measure nc4_ncc_accuracy")
    if name not in METRICS and name not in ALIASES:
        raise UnknownNameError("metric", name, [*METRICS, *PRESETS])
    return name


def _described(fault: ErrorDetails, known: Sequence[str]) -> str:
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return _unknown(key, known)
    value = fault["input"]
    shown = "" if fault["type"] == "missing" or isinstance(value, Mapping) else f" (it is {shortened(value)})"
    return f"{key}: {_message(fault)}{shown}"


def _message(fault: ErrorDetails) -> str:
    # What a check of ours says needs no heading.
    return fault["msg"].removeprefix("Value error, ")


def _unknown(key: str, known: Sequence[str]) -> str:
    section, _, field = key.rpartition(".")
    elsewhere = [name for name in known if name.rpartition(".")[2] == field]
    siblings = [name for name in known if name.rpartition(".")[0] == section]
    # "recipe.epoch" is nearer to "recipe.epochs" than to anything that is called so elsewhere.
    near = difflib.get_close_matches(field, [name.rpartition(".")[2] for name in siblings], n=3, cutoff=0.6)
    meant = [*(f"{section}.{name}" if section else name for name in near), *elsewhere]
    if meant:
        return f"unknown key {key!r}; did you mean {' or '.join(meant)}?"
    return f"unknown key {key!r}. Known: {', '.join(siblings or known)}"
