"""What the documents of a run say: how far it came, how far it was to go, and its settings by dotted keys."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nctools.errors import UnknownNameError
from nctools.methods.assembly import last_recipe, usual_arguments
from nctools.methods.recipe import Recipe
from nctools.run_directory import SETTINGS_OF_PLACE

# Of a checkpoint: what it learned or counted, not what was asked for.
_OUTCOMES: Final = frozenset({"epoch", "validation", "num_images"})


def finished_epochs(table: Path) -> int | None:
    """Read how far a training came.

    Args:
        table: Its ``metrics.csv``.

    Returns:
        The last epoch with a row; None without one.
    """
    if not table.is_file():
        return None
    with table.open(encoding="utf-8", newline="") as file:
        epochs = [row.get("epoch") or "" for row in csv.DictReader(file)]
    return max((int(float(epoch)) for epoch in epochs if epoch.replace(".", "").isdigit()), default=None)


def planned_epochs(document: Mapping[str, object]) -> int | None:
    """Tell how many epochs a run was to have: those of its last stage.

    Args:
        document: What ``config.yaml`` holds.

    Returns:
        Their number; None where nothing tells it.

    Example:
        >>> planned_epochs({"method": "erm", "recipe": {"epochs": 60}})
        60
        >>> planned_epochs({"method": "lws", "recipe": {"epochs": 60}, "arguments": {"rescaling_epochs": 8}})
        8
    """
    recipe, given = document.get("recipe"), document.get("arguments")
    epochs = recipe.get("epochs") if isinstance(recipe, dict) else None
    if not isinstance(recipe, dict) or not isinstance(epochs, int):
        return None
    try:
        arguments = dict(given) if isinstance(given, Mapping) else {}
        return last_recipe(str(document.get("method")), Recipe(**recipe), arguments).epochs
    except (UnknownNameError, TypeError):
        # A method of the user's own that nobody imported, or keys of another version.
        return epochs


def settings_of_checkpoint(described: Mapping[str, object]) -> dict[str, object]:
    """Give what a checkpoint tells of the settings of its run, for a run without ``config.yaml``.

    Args:
        described: What ``describe_checkpoint`` returned.

    Returns:
        The same without what was learned.
    """
    return {key: value for key, value in described.items() if key not in _OUTCOMES}


def settings_that_count(document: Mapping[str, object]) -> dict[str, object]:
    """Give the settings that make a run another one, by dotted keys such as ``recipe.epochs``.

    Args:
        document: What ``config.yaml`` holds.

    Returns:
        Key -> value, without those of the place where it was computed, arguments at their default filled in.
    """
    # As in ``TrainConfig``: the place does not count, and an argument at its default is the same as none.
    given = document.get("arguments")
    try:
        usual = usual_arguments(str(document.get("method")))
    except UnknownNameError:
        usual = {}
    whole = {**document, "arguments": {**usual, **(given if isinstance(given, Mapping) else {})}}
    return {key: value for key, value in _flat(whole).items() if key not in SETTINGS_OF_PLACE}


def _flat(document: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    settings: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            settings |= _flat(value, f"{prefix}{key}.")
        else:
            settings[f"{prefix}{key}"] = value
    return settings
