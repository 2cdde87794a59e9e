"""From what a user says about the classification loss of a method to the loss: a name, and settings as text."""

from __future__ import annotations

import difflib
import importlib
import inspect
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nctools.errors import UnknownNameError
from nctools.losses.building import build, setting_names
from nctools.losses.catalogue import LOSSES, Setting, loss_entry
from nctools.losses.rebalancing import median_rebalancing
from nctools.methods.signature import types_of
from nctools.methods.value_checks import misfits

# Changes the labels before a loss sees them: no loss of logits and targets alone.
_NO_CLASSIFICATION = "rlc"
TWO_WAY_TEMPERATURE = 4.0
# Of no data: enough to build any loss, which then checks its settings itself.
_COUNTS = (4, 3, 2)
_WORDS: Mapping[str, Setting] = {"true": True, "false": False, "none": None, "null": None}


def checked_loss(loss: str) -> str:
    """See that a choice of a classification loss is one.

    Args:
        loss: A name of ``nctools.losses.LOSSES``.

    Returns:
        The same.

    Raises:
        UnknownNameError: If there is no such loss; near misses are listed.
        ValueError: If it corrects labels.

    Example:
        >>> checked_loss("db-focal")
        'db-focal'
    """
    if loss_entry(loss).name == _NO_CLASSIFICATION:
        others = ", ".join(name for name in LOSSES if name != _NO_CLASSIFICATION)
        raise ValueError(f"loss is {loss!r}, which corrects labels epoch by epoch: choose one of {others}")
    return loss


def read_settings(text: str | None) -> tuple[str | None, dict[str, Setting]]:
    """Read the settings of a loss out of one line, which is what a configuration can hold.

    Args:
        text: ``"gamma=1,scale=2"``; the name of a data set in it (``"voc_lt"``, ``"voc_lt,lambd=3"``) stands for the
            settings that were published for it. None, or nothing: no settings.

    Returns:
        The data set, or None; and the settings by name.

    Raises:
        ValueError: If there are two data sets, a name is given twice, or one lacks its value.

    Example:
        >>> read_settings("voc_lt,lambd=3,rebalance=true")
        ('voc_lt', {'lambd': 3, 'rebalance': True})
    """
    dataset: str | None = None
    settings: dict[str, Setting] = {}
    for part in (text or "").split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name or equals):
            continue
        if (equals and not (name and value)) or name in settings or (not equals and dataset):
            raise ValueError(
                f"loss_settings is {text!r}, where {part.strip()!r} does not fit: write key=value,key=value, and at "
                "most one data set, each name once"
            )
        if equals:
            settings[name] = _value(value)
        else:
            dataset = name.replace("-", "_").lower()
    return dataset, settings


def checked_settings(text: str) -> str:
    """See that settings of a loss can be read; whether the loss has them ``check_chosen`` sees.

    Args:
        text: As for ``read_settings``.

    Returns:
        The same.
    """
    read_settings(text)
    return text


def settings_in_full(loss: str, text: str | None) -> str | None:
    """Write out what a line of settings means: the published ones of the data set, changed by those that were given.

    Args:
        loss: Name of the loss.
        text: As for ``read_settings``.

    Returns:
        ``"key=value,key=value"``, or None where there are no settings.

    Raises:
        ValueError: If nothing was published for the data set.

    Example:
        >>> settings_in_full("db", "voc-lt,lambd=3")
        'mu=0.3,lambd=3'
    """
    dataset, settings = read_settings(text)
    published = loss_entry(loss).settings_for
    if dataset is not None and dataset not in published:
        raise ValueError(f"loss_settings is {text!r}, {_no_data_set(loss, dataset, list(published))}")
    whole = {**published.get(dataset or "", {}), **settings}
    return ",".join(f"{name}={_text(value)}" for name, value in whole.items()) or None


def default_settings(loss: str) -> dict[str, object]:
    """Give the value that each setting of a loss has where none is given.

    Args:
        loss: Name of the loss.

    Returns:
        Defaults by name: those that make the class this loss, else those of the class.

    Example:
        >>> default_settings("focal")
        {'gamma': 2.0, 'scale': 2.0, 'alpha': None, 'reduction': 'mean'}
    """
    parameters = inspect.signature(_class_of(loss)).parameters
    return {name: parameters[name].default for name in setting_names(loss)} | dict(loss_entry(loss).settings)


def has_published_settings(loss: str, dataset: str) -> bool:
    """Tell whether a loss has settings that were published for a data set.

    Args:
        loss: Name of the loss.
        dataset: Name of the data set.

    Returns:
        Whether ``loss_settings`` may be that name.

    Example:
        >>> has_published_settings("db_focal", "voc_lt"), has_published_settings("asl", "voc_lt")
        (True, False)
    """
    return dataset in loss_entry(loss).settings_for


def derived_settings(loss: str, text: str | None, targets: Tensor) -> str | None:
    """Choose by the training labels what the settings of a loss leave open: mu of the re-balanced weights.

    Args:
        loss: Name of the loss.
        text: Its settings, as for ``read_settings``.
        targets: ``[N, C]`` training labels.

    Returns:
        All settings with ``mu`` as for ``nctools.losses.median_rebalancing``, or None where nothing is open.
    """
    rebalanced = any("mu" in settings for settings in loss_entry(loss).settings_for.values())
    whole = settings_in_full(loss, text)
    if not rebalanced or "mu" in read_settings(whole)[1]:
        return None
    chosen = f"mu={round(median_rebalancing(targets), 4)}"
    return chosen if whole is None else f"{whole},{chosen}"


def build_chosen(
    loss: str,
    text: str | None,
    *,
    class_counts: Sequence[int] | None,
    num_images: int | None,
    cooccurrence: Tensor | None,
    two_way_temperature: float = TWO_WAY_TEMPERATURE,
) -> nn.Module:
    """Build a classification loss whose value is a mean over images, as of the methods that are a loss.

    Args:
        loss: A name of ``nctools.losses.LOSSES``.
        text: Its settings, as for ``read_settings``.
        class_counts: Training positives of each class.
        num_images: Number of training images.
        cooccurrence: ``[C, C]`` training images that hold both classes.
        two_way_temperature: T of the two-way loss, an argument of MLC-NC that is older than its choice of a loss.

    Returns:
        The module; call it with logits and targets.

    Raises:
        ValueError: If a temperature is given to another loss.
    """
    name = loss_entry(checked_loss(loss)).name
    _check_temperature(name, two_way_temperature)
    given = read_settings(settings_in_full(name, text))[1]
    usual: dict[str, Setting] = {"reduction": "batchmean"} if "reduction" in setting_names(name) else {}
    if name == "two_way":
        usual["temperature"] = two_way_temperature
    return build(
        name,
        class_counts=class_counts,
        num_images=num_images,
        cooccurrence=cooccurrence,
        **{**usual, **given},  # type: ignore[arg-type]
    )


def check_chosen(loss: str, text: str | None, *, two_way_temperature: float = TWO_WAY_TEMPERATURE) -> None:
    """See before a training that a loss has the settings that were chosen, and that they are of its types and ranges.

    Args:
        loss: A name of ``nctools.losses.LOSSES``.
        text: Its settings, as for ``read_settings``.
        two_way_temperature: As for ``build_chosen``.

    Raises:
        UnknownNameError: If the loss has no such setting; near misses are listed.
        ValueError: If a value does not fit.

    Example:
        >>> check_chosen("asl", "clip=x")
        Traceback (most recent call last):
        ValueError: loss_settings is 'clip=x', which does not fit the loss asl: clip: Input should be a valid number (it
        is 'x')
    """
    entry = loss_entry(checked_loss(loss))
    _check_temperature(entry.name, two_way_temperature)
    given = read_settings(settings_in_full(entry.name, text))[1]
    known = setting_names(entry.name)
    for key in given:
        if key not in known:
            raise UnknownNameError(f"setting of the loss {entry.name}", key, known)
    if "reduction" in given and given["reduction"] is None:
        raise ValueError(f"loss_settings is {text!r}, but reduction=none leaves no number to minimise: leave it out")
    wrong = misfits(given, types_of(_class_of(entry.name)))
    if wrong:
        told = "; ".join(f"{key}: {wanted} (it is {given[key]!r})" for key, wanted in wrong.items())
        raise ValueError(f"loss_settings is {text!r}, which does not fit the loss {entry.name}: {told}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training warns
            build_chosen(
                entry.name,
                text,
                class_counts=_COUNTS,
                num_images=sum(_COUNTS),
                cooccurrence=torch.tensor(_COUNTS).diag(),
                two_way_temperature=two_way_temperature,
            )
    except ValueError as error:
        raise ValueError(f"loss_settings is {text!r}, which does not fit the loss {entry.name}: {error}") from error


def _class_of(loss: str) -> type[nn.Module]:
    module, _, attribute = loss_entry(loss).builder.partition(":")
    found: type[nn.Module] = getattr(importlib.import_module(module), attribute)
    return found


def _check_temperature(loss: str, two_way_temperature: float) -> None:
    if loss != "two_way" and two_way_temperature != TWO_WAY_TEMPERATURE:
        raise ValueError(
            f"two_way_temperature is {two_way_temperature}, but loss is {loss!r}: leave it out, and write the settings "
            "of that loss as loss_settings"
        )


def _no_data_set(loss: str, word: str, published: Sequence[str]) -> str:
    # A word alone may be a setting that lacks its value, or a data set that is spelt otherwise.
    if word in setting_names(loss):
        return f"where {word} lacks its value: write {word}=VALUE"
    listed = f"only for {' and '.join(published)}" if published else "for no data set"
    near = difflib.get_close_matches(word, published, n=1)
    hint = f"did you mean {near[0]}? Else " if near else ""
    return f"but settings of the loss {loss} were published {listed}: {hint}write them out, key=value,key=value"


def _value(text: str) -> Setting:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _text(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
