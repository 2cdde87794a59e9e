"""What the papers print, beside what was measured: only where the data set is the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nctools.evaluation import published_values
from nctools.studies.plan import StudyRun

if TYPE_CHECKING:
    import pandas as pd

PAPER = "mlc_nc"


def printed_values(
    runs: Sequence[StudyRun], measure: str = "mAP", *, paper: str = PAPER, table: str | None = None
) -> pd.DataFrame:
    """Look up what a paper prints for the variants of a study.

    Args:
        runs: Runs of one data set.
        measure: ``"mAP"``, or the id of an NC metric.
        paper: Whose numbers.
        table: The table or figure of the paper; None takes the first number in any of them.

    Returns:
        ``variant, group, value`` in the paper's unit; without rows where the data set is not the paper's.

    Example:
        >>> len(printed_values([]))
        0
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for variant, dataset, method in dict.fromkeys(
        (run.variant.name, run.config.dataset, run.config.method) for run in runs
    ):
        setting = next(run.variant.paper for run in runs if run.variant.name == variant)
        if setting is None:
            continue
        found = published_values(paper=paper, dataset=dataset, method=method, setting=setting, measure=measure)
        chosen = [value for value in found if table in {None, value.table}]
        groups = {value.group: value.value for value in reversed(chosen)}
        rows += [{"variant": variant, "group": group, "value": value} for group, value in reversed(groups.items())]
    return pd.DataFrame(rows, columns=["variant", "group", "value"])


def with_printed(summary: pd.DataFrame, printed: pd.DataFrame, column: str = "test mAP {group}") -> pd.DataFrame:
    """Put the paper's values beside a summary.

    Args:
        summary: A row for each variant, with ``variant``.
        printed: See ``printed_values``.
        column: Name of the column that a value belongs to; the new one is called ``paper: NAME``.

    Returns:
        ``summary``, with a column for each group that the paper has.

    Example:
        >>> import pandas as pd
        >>> printed = pd.DataFrame({"variant": ["a"], "group": ["all"], "value": [84.37]})
        >>> with_printed(pd.DataFrame({"variant": ["a", "b"]}), printed)["paper: test mAP all"].tolist()
        [84.37, nan]
    """
    table = summary.copy()
    for group in dict.fromkeys(printed["group"]):
        rows = printed[printed["group"] == group]
        values = dict(zip(rows["variant"], rows["value"], strict=True))
        table[f"paper: {column.format(group=group)}"] = table["variant"].map(values).astype(float)
    return table
