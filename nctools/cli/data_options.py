"""Options that the commands about data share, and reading labels with a progress bar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nctools._factories import parse_arguments
from nctools.data.settings import DataSettings
from nctools.errors import ConfigError, NctoolsError

if TYPE_CHECKING:
    from nctools.data.sources import Reading

_EXAMPLE = "difficult=exclude,val_fraction=0.1,groups=100,20"


def checked_rule(rule: str | None) -> str | None:
    """Refuse a rule of groups whose numbers are out of order, before anything is read.

    Args:
        rule: What ``--groups`` was given.

    Returns:
        The same.

    Raises:
        BadParameter: If they are.
    """
    from nctools.data.group_rules import check_rule

    try:
        check_rule(rule)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return rule


def _checked_settings(text: str | None) -> str | None:
    try:
        checked_rule(data_settings(text).groups)
    except (NctoolsError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    return text


DataSettingsText = Annotated[
    str | None,
    typer.Option(
        "--data-settings",
        callback=_checked_settings,
        metavar="KEY=VALUE,...",
        help="difficult=include|exclude|ignore (VOC), drop_unlabelled=true (test images without a label), "
        "val_fraction=0.1, drop_labels=0.4 (training labels), groups=RULE, seed=0.",
    ),
]
ClassGroups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        callback=checked_rule,
        metavar="RULE",
        help="Thresholds 100,20 (the default: head from 100 images, tail below 20), quantiles:0.33,0.67, or a JSON "
        'file {"name": [classes]}.',
    ),
]


def parse_data_settings(text: str | None) -> dict[str, object]:
    """Read ``key=value,key=value``; a value may hold commas, as ``groups=100,20`` does.

    Args:
        text: What ``--data-settings`` was given, if anything.

    Returns:
        Name -> value.

    Raises:
        ConfigError: If a piece is no ``key=value``, or a key is given twice.

    Example:
        >>> parse_data_settings("groups=100,20,val_fraction=0.1")
        {'groups': '100,20', 'val_fraction': 0.1}
    """
    pieces = re.split(r",(?=\s*\w+\s*=)", text or "")
    settings: dict[str, object] = {}
    for piece in filter(None, map(str.strip, pieces)):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals:
            raise ConfigError(f"the data setting {piece!r} is not of the form key=value; several: {_EXAMPLE}")
        if key in settings:
            raise ConfigError(f"the data setting {key} is given twice: leave one of them")
        settings[key] = value if key in {"groups", "difficult"} else parse_arguments(f"value={value}").get("value")
    return settings


def data_settings(text: str | None, **flags: object) -> DataSettings:
    """Read choices about data.

    Args:
        text: What ``--data-settings`` was given.
        **flags: Flags of their own that were given, by name of the setting; None where not.

    Returns:
        The settings.

    Raises:
        BadParameter: If a setting was given with a flag of its own, too.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    settings = parse_data_settings(text)
    for key in given.keys() & settings.keys():
        raise typer.BadParameter(f"{key} is given as --{key} and in --data-settings: leave one of them")
    return DataSettings.from_dict({**settings, **given})


@contextmanager
def reading_labels(*, quiet: bool = False, run: Path | None = None) -> Iterator[Reading]:
    """Show progress while labels are read.

    Args:
        quiet: Show none.
        run: Run directory beside which labels are kept whose reading took long; None: in ``runs``.

    Yields:
        What ``nctools.data.open_dataset`` takes as ``cache`` and ``progress``.
    """
    from nctools.data.sources import Reading
    from nctools.features.progress import progress_of_passes
    from nctools.run_directory import label_cache_beside

    with progress_of_passes(enabled=not quiet, doing="reading labels", what="") as tell:
        yield Reading(label_cache_beside(run), tell)
