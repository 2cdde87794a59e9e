"""NC values over the epochs of a training: the rows of ``nc.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nctools.collapse.result import CollapseResult
from nctools.collapse.space_result import TABLE_COLUMNS
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, str | int | float]
CURVE_COLUMNS: Final = ("epoch", "weights", *TABLE_COLUMNS)


class CollapseCurve:
    """Results of several epochs as one tidy table: ``epoch, weights, space, split, group, metric, value, ...``.

    Args:
        rows: Rows that are there already: those of a training that is resumed.

    Example:
        >>> import torch, nctools
        >>> result = nctools.measure(torch.eye(3).repeat(4, 1), torch.arange(12) % 3, metrics=["nc1_cdnv"])
        >>> curve = CollapseCurve()
        >>> curve.add(result, epoch=1)
        >>> curve.table[["epoch", "weights", "group", "metric"]].to_dict("records")[0]
        {'epoch': 1, 'weights': 'raw', 'group': 'all', 'metric': 'nc1_cdnv'}
    """

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows: list[Row] = [dict(row) for row in rows]

    def add(self, result: CollapseResult, *, epoch: int, weights: str = "raw") -> None:
        """Add the values of an epoch; they replace those of the same epoch, weights and split.

        Args:
            result: The values.
            epoch: Number of finished epochs.
            weights: Which weights were measured: ``"raw"``, ``"ema"``, or a name of one's own.
        """
        # Plain Python numbers, so that the rows can go into a checkpoint.
        new: list[Row] = [
            {"epoch": int(epoch), "weights": weights, **{name: kind(row[name]) for name, kind in TABLE_COLUMNS.items()}}
            for row in result.table.to_dict("records")
        ]
        replaced = {_place(row) for row in new}
        self.rows = [row for row in self.rows if _place(row) not in replaced] + new

    def has(self, epoch: int) -> bool:
        """Tell whether an epoch was measured.

        Args:
            epoch: Number of finished epochs.

        Returns:
            True if there is a row of it.
        """
        return any(row["epoch"] == epoch for row in self.rows)

    @property
    def table(self) -> pd.DataFrame:
        """All rows as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(CURVE_COLUMNS))

    def save(self, path: str | Path) -> None:
        """Write the table as CSV, whole or not at all.

        Args:
            path: Target.
        """
        with replace_atomically(path) as temporary:
            self.table.to_csv(temporary, index=False)


def _place(row: Row) -> tuple[object, ...]:
    return row["epoch"], row["weights"], row["split"]
