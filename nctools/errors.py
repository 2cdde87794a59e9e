"""The errors that nctools raises about files, data and names; arguments get ``ValueError`` or ``TypeError``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

# Most names that a message lists when none is near.
_LISTED = 60


class NctoolsError(Exception):
    """Something the user brought is missing, unreadable or does not fit. The message names value, place and mend."""


class DatasetError(NctoolsError):
    """A data set is missing, unreadable or not the one that was expected."""


class CheckpointError(NctoolsError):
    """A checkpoint is missing, corrupt, unsafe to read or does not fit its use."""


class StoreError(NctoolsError):
    """A feature file is missing, corrupt or lacks what was asked for."""


class ConfigError(NctoolsError):
    """A configuration holds an unknown key or an ill-typed value."""


class ProcessError(NctoolsError):
    """Another process of the same work failed, so that this one ends, too."""


class MissingExtraError(NctoolsError, ModuleNotFoundError):
    """A library is not installed that one of nctools' extras brings; the message has the line that installs it.

    Args:
        what: What needs it, for example ``"the logger wandb"``.
        library: The library, as it is imported.
        extra: The extra.

    Example:
        >>> raise MissingExtraError("the logger wandb", "wandb", "wandb")
        Traceback (most recent call last):
        nctools.errors.MissingExtraError: the logger wandb needs the library wandb, which is not installed: pip install
        "nctools[wandb]"
    """

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(
            f'{what} needs the library {library}, which is not installed: pip install "nctools[{extra}]"', name=library
        )
        self._arguments = (what, library, extra)

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        return type(self), self._arguments


class UnknownNameError(NctoolsError, ValueError):
    """A name (method, metric, layer, data set, ...) is not known; near misses are listed.

    Args:
        kind: What the name should have named, for example ``"metric"``.
        name: The name that was given.
        known: All names that exist; one that is given twice is listed once.
        near: The near misses, where the caller knows them better; None finds those that are spelt alike.

    Example:
        >>> raise UnknownNameError("metric", "nc1_pinf", ["nc1_pinv", "nc4_share"])
        Traceback (most recent call last):
        nctools.errors.UnknownNameError: unknown metric 'nc1_pinf'; did you mean nc1_pinv? Known: nc1_pinv, nc4_share
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], near: Sequence[str] | None = None) -> None:
        names = list(dict.fromkeys(known))
        if near is None:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        # A long list (timm has 1,300 backbones) would hide the hint.
        longest = _LISTED if not near else _LISTED // 3
        shown = ", ".join(names[:longest]) + (f", ... ({len(names)} in all)" if len(names) > longest else "")
        super().__init__(f"unknown {kind} {name!r}{hint} Known: {shown}")
        self._arguments = (kind, name, names, near)

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str], Sequence[str]]]:
        # Exceptions rebuild themselves from their message alone; worker processes send them to their parent.
        return type(self), self._arguments
