"""``nctools train --seeds``: one configuration with several seeds, and mean and spread over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nctools.cli.output import another_place, print_table, say
from nctools.errors import ConfigError, NctoolsError

if TYPE_CHECKING:
    import pandas as pd

    from nctools.training import TrainConfig

_LAST = "last val mAP "


def train_several(config: TrainConfig, seeds: str, out: Path | None, *, force: bool, progress: bool) -> None:
    """Train with each seed and print the table over them.

    Args:
        config: What to train.
        seeds: Numbers with commas between them.
        out: Folder of the runs; None is ``runs/DATASET-METHOD``.
        force: Replace runs that are there.
        progress: Show on stderr how far training is.

    Raises:
        BadParameter: If the seeds are not numbers.
    """
    try:
        numbers = [int(part) for part in seeds.split(",")]
    except ValueError:
        raise typer.BadParameter(f"seeds are {seeds!r}: write numbers with commas between them, as 0,1,2") from None
    from nctools.studies import train_seeds

    target = out or Path("runs") / f"{Path(config.dataset).stem}-{config.method.replace(':', '.')}"
    _train(lambda: train_seeds(config, numbers, target, force=force, progress=progress), target)


def resumed_several(out: Path, *, alone: bool, progress: bool) -> bool:
    """Go on with what ``--seeds`` began, and print the table.

    Args:
        out: Folder of the runs.
        alone: Whether nothing else was given that would change them.
        progress: Show on stderr how far training is.

    Returns:
        False, and nothing is done, where the folder is none of ``--seeds``.

    Raises:
        BadParameter: If something else was given.
    """
    from nctools.studies import holds_seeds, resume_seeds

    if not holds_seeds(out):
        return False
    if not alone:
        raise typer.BadParameter(f"--resume {out} goes on with the runs of its seeds as they are: leave the rest out")
    _train(lambda: resume_seeds(out, progress=progress), out)
    return True


def _train(run: Callable[[], pd.DataFrame], target: Path) -> None:
    try:
        with another_place(target):
            table = run()
    except KeyboardInterrupt:
        say(f"interrupted; go on with: nctools train --resume {target}")
        raise typer.Exit(130) from None
    except NctoolsError:
        raise
    except ValueError as error:
        raise ConfigError(f"the configuration does not fit: {' '.join(str(error).split())}") from error
    _print(table)
    say(f"a row for each seed: {target / 'seeds.csv'}")


def _print(table: pd.DataFrame) -> None:
    # A row for each number, a column for each group that it is known of.
    cells: dict[str, dict[str, str]] = {}
    for name in [str(column) for column in table.columns if column not in {"seed", "epochs"}]:
        group = next((group for group in _groups(table) if f" {group} " in f"{name} "), "all")
        measure = name.replace(f" {group}", "", 1)
        cells.setdefault(measure, {})[group] = _mean_and_spread(table[name], 1 if "mAP" in name else 2)
    rows = [[measure, *(found.get(group, "") for group in _groups(table))] for measure, found in cells.items()]
    title = f"mean ± standard deviation over {len(table)} seeds; mAP in %, NC on the training images, last epoch"
    print_table(title, ["", *_groups(table)], rows)


def _groups(table: pd.DataFrame) -> list[str]:
    # "untrained" is none: it says when, and of all classes.
    named = [str(name).removeprefix(_LAST) for name in table.columns if str(name).startswith(_LAST)]
    return [name for name in named if not name.endswith(" ema")] or ["all"]


def _mean_and_spread(values: pd.Series, digits: int) -> str:
    mean, spread = float(values.mean()), float(values.std())
    return f"{mean:.{digits}f}" + ("" if math.isnan(spread) else f" ± {spread:.{digits}f}")
