"""``nctools measure --dry-run``: what a measurement would hold in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.cli.output import input_errors, print_wide, say
from nctools.errors import NctoolsError

if TYPE_CHECKING:
    from nctools.store_measurement import Settings

STORE_SUFFIXES = {".h5", ".hdf5"}


def print_plans(
    path: Path | None, metrics: str | Sequence[str], spaces: Sequence[str] | None, settings: Settings
) -> None:
    """Print the plan of each space of a feature file; a checkpoint has none before its features are known.

    Args:
        path: Feature file or checkpoint; None is a model without a file.
        metrics: As for ``nctools.measure``.
        spaces: Feature spaces; None takes all.
        settings: As for ``nctools.measure``.

    Raises:
        NctoolsError: If there is no such file.
    """
    from nctools.collapse.plan import memory_text
    from nctools.store_measurement import memory_plans

    if path is None or path.suffix not in STORE_SUFFIXES:
        if path is not None and not path.exists():
            raise NctoolsError(f"{path} does not exist: give a checkpoint (.pt) or a feature file (.h5)")
        say(
            f"{path or 'this model'}: the plan needs the shapes of the features. They are known once it has been run: "
            f"nctools extract {path or ''} --out features.h5, then nctools measure features.h5 --dry-run"
        )
        return
    with input_errors():
        plans = memory_plans(path, metrics, spaces=spaces, **settings)
    for space, plan in plans.items():
        rows = [
            [item.what, memory_text(item.bytes), item.how, ", ".join(item.metrics) or "every metric"]
            for item in sorted(plan.items, key=lambda item: -item.bytes)
        ]
        rows.append(["most at once", memory_text(plan.total), "", ""])
        caption = f"  passes over the data: {plan.passes}; nothing was measured"
        print_wide(f"{path}  space: {space}", ["what", "size", "how", "for"], rows, caption=caption)
        for note in plan.notes:
            say(f"note ({space}): {note}")
