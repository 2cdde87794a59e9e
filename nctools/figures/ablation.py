"""A score of the variants of a study, group by group, from the table of its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.figures.sources import read_table

if TYPE_CHECKING:
    import pandas as pd

_NEEDED: Final = ("variant", "seed")
_EMA: Final = " ema"
_OTHER: Final = (_EMA, " untrained", " mean", " sd", " n")
_PAPER: Final = "paper: "


def ablation_of(path: str | Path, *, measure: str = "test mAP", weights: Literal["raw", "ema"] = "raw") -> Drawing:
    """Draw a score of each variant: a dot for each seed, mean and standard deviation, a panel for each group.

    The values of the paper are drawn too where the study found some: they stand in ``NAME_map.csv`` beside
    ``NAME_runs.csv``.

    Args:
        path: The table that a study wrote, a row for each run (``NAME_runs.csv``).
        measure: What the columns begin with; the rest of their names is the group: ``"test mAP"``, ``"nc1_pinv"``.
        weights: Raw or averaged weights.

    Returns:
        The figure and the drawn data.

    Raises:
        ConfigError: If the table is missing, a folder or damaged, or has no such column.
    """
    from nctools.plots import variant_scores

    path = Path(path)
    if path.is_dir():
        tables = sorted(path.glob("**/*_runs.csv"))
        raise ConfigError(
            f"{path} is a folder: give the table of a study that has a row for each run, "
            + (f"such as {tables[0]}" if tables else "NAME_runs.csv")
        )
    table = read_table(path)
    scores = _by_group(table, measure, weights, path)
    printed = _printed(path, measure, weights)
    label = f"{measure} (%)" if measure.endswith("mAP") else measure
    data = scores if printed is None else scores.merge(printed.rename(columns={"value": "paper"}), "left")
    return Drawing(variant_scores(scores, printed, label=label), data)


def _by_group(table: pd.DataFrame, measure: str, weights: str, path: Path) -> pd.DataFrame:
    import pandas as pd

    ending = _EMA if weights == "ema" else ""
    groups = {}
    for column in map(str, table.columns):
        stem = column.removesuffix(ending)
        named = column.startswith(f"{measure} ") and column.endswith(ending) and not stem.endswith(_OTHER)
        if named and pd.api.types.is_numeric_dtype(table[column]):
            groups[column] = stem.removeprefix(f"{measure} ")
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing or not groups or table.empty:
        lacking = ", ".join(missing) or f"'{measure} GROUP{ending}'"
        raise ConfigError(
            f"{path} has {len(table)} rows and no column {lacking}: give the table of a study that has a row for each "
            "run, NAME_runs.csv"
        )
    long = table.melt(id_vars=list(_NEEDED), value_vars=list(groups), var_name="group", value_name="value")
    return long.assign(group=long["group"].map(groups), variant=long["variant"].astype(str))


def _printed(path: Path, measure: str, weights: str) -> pd.DataFrame | None:
    # What the paper prints: the study found it and put it into its table of mAP.
    import pandas as pd

    beside = path.with_name(path.name.replace("_runs", "_map" if weights == "raw" else "_map_ema"))
    if beside == path or not beside.is_file():
        return None
    table = read_table(beside)
    beginning = f"{_PAPER}{measure} "
    columns = [str(column) for column in table.columns if str(column).startswith(beginning)]
    if not columns or "variant" not in table.columns:
        return None
    long = pd.DataFrame(table.melt(id_vars=["variant"], value_vars=columns, var_name="group", value_name="value"))
    return long.assign(group=long["group"].str.removeprefix(beginning), variant=long["variant"].astype(str)).dropna()
