"""From a loss's name and the counts of the training labels to its module."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import get_type_hints

from torch import Tensor, nn

from nctools.errors import UnknownNameError
from nctools.losses.catalogue import LOSSES, Setting, loss_entry

_DERIVED = ("class_counts", "num_images", "cooccurrence")


def build(
    name: str,
    *,
    class_counts: Sequence[int] | Tensor | None = None,
    num_images: int | None = None,
    cooccurrence: Sequence[Sequence[int]] | Tensor | None = None,
    dataset: str | None = None,
    **settings: Setting,
) -> nn.Module:
    """Build a loss with the settings that it was published with for a data set.

    All settings, given or not, are in the module's ``__repr__``, with what they come to: margins, and weights from the
    smallest to the largest.

    Args:
        name: Public name, for example ``"db_focal"``; see ``nctools.losses.LOSSES``.
        class_counts: ``[C]`` training positives of each class, for losses that need them.
        num_images: Number of training images ``N``, for losses that need it.
        cooccurrence: ``[C, C]`` training images that hold both classes (pair counts), for losses that need them:
            ``labels.T @ labels`` of 0 / 1 ``labels [N, C]``, int64 or float.
        dataset: Data set whose published settings are taken where none are given and this loss has some: ``"voc_lt"``
            or ``"coco_lt"``. None for any other data.
        **settings: Arguments of the loss's class.

    Returns:
        The module; call it with ``logits [B, C]`` and ``targets [B, C]``. Only ``rlc`` must be told more, the index of
        the epoch: ``loss(logits, targets, epoch=epoch)``.

    Raises:
        UnknownNameError: If there is no such loss or setting, or no loss has settings published for the data set; near
            misses are listed.
        ValueError: If the loss needs counts that were not given, or a value does not fit.

    Example:
        >>> import torch
        >>> loss = build("focal", gamma=0.0)
        >>> loss(torch.zeros(2, 3), torch.eye(2, 3))
        tensor(1.3863)
    """
    entry = loss_entry(name)
    given = {"class_counts": class_counts, "num_images": num_images, "cooccurrence": cooccurrence}
    missing = [key for key in entry.needs if given[key] is None]
    if missing:
        raise ValueError(
            f"the loss {entry.name} is made from {' and '.join(missing)} of the training labels: "
            f"build({entry.name!r}, {', '.join(f'{key}=...' for key in entry.needs)})"
        )
    module, _, attribute = entry.builder.partition(":")
    chosen: type[nn.Module] = getattr(importlib.import_module(module), attribute)
    known = setting_names(name)
    for key in settings:
        if key not in known:
            raise UnknownNameError(f"setting of the loss {entry.name}", key, known)
    hints = get_type_hints(chosen.__init__)
    for key, value in settings.items():
        # Python would take any text for true; the classes check their numbers and words themselves.
        if hints[key] is bool and not isinstance(value, bool):
            raise ValueError(f"`{key}` is {value!r}: pass True or False")
    return chosen(**{key: given[key] for key in entry.needs}, **{**loss_settings(name, dataset), **settings})


def setting_names(name: str) -> list[str]:
    """List the settings of a loss beside what the training labels tell.

    Args:
        name: Public name of the loss.

    Returns:
        Names in the order of the signature.

    Raises:
        UnknownNameError: If there is no such loss; near misses are listed.
    """
    module, _, attribute = loss_entry(name).builder.partition(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    return [key for key in parameters if key not in _DERIVED]


def loss_settings(name: str, dataset: str | None = None) -> Mapping[str, Setting]:
    """Give the settings that make a class this loss, and those published for a data set.

    Args:
        name: Public name of the loss.
        dataset: Name of a data set that settings were published for; None, or where this loss has none: the first
            alone.

    Returns:
        Arguments of the loss's class.

    Raises:
        UnknownNameError: If there is no such loss, or no loss has settings for the data set; near misses are listed.

    Example:
        >>> loss_settings("db_focal", "COCO-LT")
        {'gamma': 2.0, 'scale': 2.0, 'mu': 0.2, 'lambd': 2.0}
    """
    entry = loss_entry(name)
    if dataset is None:
        return dict(entry.settings)
    key = str(dataset).replace("-", "_").lower()
    published = list(dict.fromkeys(known for other in LOSSES.values() for known in other.settings_for))
    if key not in published:
        raise UnknownNameError("data set with published settings (leave `dataset` out for others)", key, published)
    return {**entry.settings, **entry.settings_for.get(key, {})}
