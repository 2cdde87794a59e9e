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
from nctools.errors import ConfigError

if TYPE_CHECKING:
    from nctools.data.sources import Reading

_EXAMPLE = "difficult=exclude,val_fraction=0.1,groups=100,20"

DataSettingsText = Annotated[
    str | None,
    typer.Option(
        "--data-settings",
        metavar="KEY=VALUE,...",
        help="difficult=include|exclude|ignore (VOC), drop_unlabelled=true (test images without a label), "
        "val_fraction=0.1, drop_labels=0.4 (training labels), groups=RULE, seed=0.",
    ),
]
ClassGroups = Annotated[
    str | None,
    typer.Option(
        "--groups",
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
        settings[key] = value if key in {"groups", "difficult"} else parse_arguments(f"value={value}").get("value")
    return settings


def data_settings(text: str | None, **flags: object) -> DataSettings:
    """Read choices about data.

    Args:
        text: What ``--data-settings`` was given.
        **flags: Flags of their own that were given, by name of the setting; None where not.

    Returns:
        The settings.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    return DataSettings.from_dict({**parse_data_settings(text), **given})


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
