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


def with_other_sets(
    summary: pd.DataFrame,
    runs: Sequence[StudyRun],
    datasets: Sequence[str],
    *,
    only_printed: Sequence[str] = (),
    paper: str = PAPER,
) -> pd.DataFrame:
    """Put what papers print for other data sets beside a summary: totals, in columns that name the data set.

    Args:
        summary: A row for each variant, with ``variant``.
        runs: Its runs, which tell the methods.
        datasets: Names of the data sets; that of the runs is left out.
        only_printed: Methods that have printed values and no runs; each gets a row of its own, with n = 0. What is not
            in the paper is looked up in all others.
        paper: Whose numbers.

    Returns:
        ``summary`` with a text ``paper NAME`` for each data set: a total mAP, with ``(recalled)`` behind a number that
        was not read off the print, and the measure's name where only another one is printed; NaN without a number.

    Example:
        >>> import pandas as pd
        >>> beside = with_other_sets(pd.DataFrame({"variant": ["a"]}), [], ["voc_lt"], only_printed=["pg"])
        >>> beside.to_dict("records")[1]
        {'variant': 'pg (printed only)', 'paper VOC-LT': '80.37 (recalled)'}
    """
    import pandas as pd

    variants = {run.variant.name: run.config.method for run in runs if run.variant.paper == ""}
    own = {run.config.dataset for run in runs}
    others = [name for name in datasets if name not in own]
    added = pd.DataFrame({"variant": [f"{method} (printed only)" for method in only_printed] if others else []})
    counts = [str(name) for name in summary.columns if name == "n" or str(name).endswith(" n")]
    table = pd.concat([summary, added], ignore_index=True)
    table[counts] = table[counts].fillna(0).astype(int)
    for dataset in others:
        texts = {variant: _total(dataset, method, paper) for variant, method in variants.items()}
        texts |= {f"{method} (printed only)": _total(dataset, method, None) for method in only_printed}
        table[f"paper {dataset.upper().replace('_', '-')}"] = table["variant"].map(texts)
    return table


def _total(dataset: str, method: str, paper: str | None) -> str | float:
    found = published_values(paper=paper, dataset=dataset, method=method, setting="", group="all")
    if not found:
        return float("nan")
    first = next((value for value in found if value.measure == "mAP"), found[0])
    measure = "" if first.measure == "mAP" else f" {first.measure}"
    return f"{first.value:g}{measure}{' (recalled)' if 'recalled' in first.table else ''}"


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
