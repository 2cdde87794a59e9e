"""From a row for each run to mean and spread over seeds, differences seed by seed, and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd

EMPTY = "no rows: nothing was validated, or measured\n"
_ONE_DIGIT = ("mAP", "minutes", "angle")


def summary_table(
    runs: pd.DataFrame, columns: Sequence[str] | None = None, *, by: Sequence[str] = ("variant",)
) -> pd.DataFrame:
    """Give mean and standard deviation over seeds.

    Args:
        runs: A row for each run, see ``run_table``.
        columns: Columns to summarise; by default all with numbers but the seed.
        by: Columns that tell the rows of the result apart.

    Returns:
        A row for each variant, in the order of ``runs``: ``by``, ``n`` (seeds), and for each column ``NAME mean``,
        ``NAME sd`` (of a sample: divided by n - 1; NaN of one seed) and ``NAME n`` (seeds that have a value).

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"variant": ["a", "a"], "seed": [0, 1], "mAP": [60.0, 62.0]})
        >>> print(markdown(summary_table(runs)), end="")
        | variant | n | mAP |
        | --- | --- | --- |
        | a | 2 | 61.0 ± 1.4 |
    """
    import pandas as pd

    chosen = _numbers(runs) if columns is None else list(columns)
    rows: list[dict[object, object]] = []
    for key, part in runs.groupby(list(by), sort=False):
        row: dict[object, object] = {**dict(zip(by, key, strict=True)), "n": len(part)}
        for name in chosen:
            row |= _moments(name, part[name])
        rows.append(row)
    return pd.DataFrame(rows)


def paired_difference(runs: pd.DataFrame, reference: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Compare variants with a reference seed by seed: what the seeds share drops out.

    Args:
        runs: A row for each run, see ``run_table``.
        reference: Name of the variant that the others are compared with.
        columns: Columns to compare; by default all with numbers but the seed.

    Returns:
        A row for each other variant: ``variant``, ``n`` (seeds that both have), and for each column ``NAME mean`` and
        ``NAME sd`` of the difference (variant - reference), ``NAME n``, the number of seeds in which both have a value,
        and ``NAME above``, the number of those in which the variant is greater.

    Raises:
        ValueError: If the reference is not among the variants.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"variant": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "mAP": [60.0, 62, 61, 65]})
        >>> print(markdown(paired_difference(runs, "a")), end="")
        | variant | n | mAP |
        | --- | --- | --- |
        | b | 2 | +2.0 ± 1.4 (2/2) |
    """
    import pandas as pd

    names = list(dict.fromkeys(runs["variant"]))
    if reference not in names:
        raise ValueError(f"reference is {reference!r}; the variants are: {', '.join(map(str, names))}")
    chosen = _numbers(runs) if columns is None else list(columns)
    by_seed = {name: part.set_index("seed")[chosen] for name, part in runs.groupby("variant", sort=False)}
    rows: list[dict[object, object]] = []
    for name in names:
        if name == reference:
            continue
        difference = (by_seed[name] - by_seed[reference]).dropna(how="all")
        row: dict[object, object] = {"variant": name, "n": len(difference)}
        for column in chosen:
            values = difference[column]
            row |= _moments(column, values)
            row[f"{column} above"] = int((values > 0).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Write a table in Markdown; mean and standard deviation in one cell.

    Args:
        table: Any table; ``NAME mean`` and ``NAME sd`` become ``NAME``, of differences with the number of seeds above.
            Where fewer seeds than the row's ``n`` have a value, their number stands beside.

    Returns:
        Lines; one digit after the point for mAP, minutes and angles, two for other numbers, "-" without a value. One
        line that says so for a table without rows.
    """
    if table.empty:
        return EMPTY
    names = [str(name) for name in table.columns]
    heads = [name.removesuffix(" mean") for name in names if not _is_joined(name, names)]
    lines = [heads, ["---"] * len(heads)]
    lines += [[_cell(row, head) for head in heads] for row in table.to_dict("records")]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write_tables(tables: Mapping[str, pd.DataFrame], folder: str | Path) -> list[Path]:
    """Write tables as CSV (all digits; of a table without rows its header) and Markdown (to be read).

    Args:
        tables: Name -> table.
        folder: Target; it is made when missing.

    Returns:
        The files.
    """
    made = []
    for name, table in tables.items():
        # A file without a header cannot be read again.
        whole = table if len(table.columns) else table.reindex(columns=["variant"])
        for suffix, text in ((".csv", whole.to_csv(index=False)), (".md", markdown(table))):
            path = Path(folder) / f"{name}{suffix}"
            with replace_atomically(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            made.append(path)
    return made


def _moments(name: str, values: pd.Series) -> dict[object, object]:
    return {f"{name} mean": values.mean(), f"{name} sd": values.std(), f"{name} n": int(values.count())}


def _numbers(runs: pd.DataFrame) -> list[str]:
    return [str(name) for name in runs.select_dtypes("number").columns if name != "seed"]


def _is_joined(name: str, names: Sequence[str]) -> bool:
    stem, _, ending = name.rpartition(" ")
    return ending in {"sd", "n", "above"} and f"{stem} mean" in names


def _cell(row: Mapping[object, object], head: str) -> str:
    digits = 1 if any(word in head for word in _ONE_DIGIT) else 2
    if f"{head} mean" not in row:
        value = row[head]
        return _number(value, digits) if isinstance(value, float) else str(value)
    above, spread, number = row.get(f"{head} above"), _number(row.get(f"{head} sd"), digits), row.get(f"{head} n")
    number = row.get("n") if number is None else number
    mean = _number(row[f"{head} mean"], digits, signed=above is not None)
    count = f" ({above}/{number})" if above is not None else f" (n = {number})" if number != row.get("n") else ""
    if mean == "-":
        return mean
    return mean + (f" ± {spread}" if spread != "-" else "") + count


def _number(value: object, digits: int, *, signed: bool = False) -> str:
    # NaN is the one number that differs from itself.
    if not isinstance(value, float | int) or value != value:
        return "-"
    return f"{value:{'+' if signed else ''}.{digits}f}"
