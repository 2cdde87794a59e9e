"""Does neural collapse go with mAP? Rank correlations over runs and over epochs, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nctools.run_directory import RunDirectory
from nctools.studies.plan import StudyRun
from nctools.studies.run_values import STUDY_METRICS, collapse_rows, epoch_rows

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
_FEWEST: Final = 4


def epoch_values(runs: Sequence[StudyRun], metrics: Sequence[str] = STUDY_METRICS) -> pd.DataFrame:
    """Put NC on the training images and validation mAP of the same epochs side by side.

    Args:
        runs: Finished runs.
        metrics: NC metrics of the main feature space.

    Returns:
        A row for each run, measured epoch, metric and group: ``variant, seed, epoch, metric, group, value`` and ``val
        mAP`` in per cent; without rows where a run did not validate.
    """
    import pandas as pd

    parts = []
    for run in runs:
        directory = RunDirectory(run.path)
        epochs = epoch_rows(directory).drop_duplicates("epoch", keep="last").set_index("epoch")
        table = collapse_rows(directory, metrics)
        for group, rows in table.groupby("group", sort=False):
            column = "val/mAP" if group == "all" else f"val/mAP_{group}"
            if column in epochs.columns:
                part = rows.assign(variant=run.variant.name, seed=run.seed)
                part["val mAP"] = part["epoch"].map(100.0 * epochs[column])
                parts.append(part)
    columns = ["variant", "seed", "epoch", "metric", "group", "value", "val mAP"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns].dropna()


def over_epochs(values: pd.DataFrame, *, replicates: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Correlate NC with validation mAP over the epochs of each run, then average over runs.

    Both change as training goes on, whether or not one has to do with the other; so the changes from one measured epoch
    to the next are correlated as well, in which a common trend plays no part.

    Args:
        values: See ``epoch_values``.
        replicates: Bootstrap samples of the runs.
        seed: Of the bootstrap.

    Returns:
        A row for each metric, group and ``kind`` (``"levels"`` or ``"changes"``): ``rho`` (mean over runs of Spearman's
        coefficient), ``low, high`` (95 % interval, runs resampled), ``n`` (runs), ``below`` (runs with rho < 0).

    Example:
        >>> import pandas as pd
        >>> rows = {"variant": "a", "seed": 0, "metric": "m", "group": "all", "epoch": range(1, 7)}
        >>> frame = pd.DataFrame({**rows, "value": [9.0, 7, 6, 4, 3, 1], "val mAP": [1.0, 2, 4, 5, 7, 9]})
        >>> over_epochs(frame)[["kind", "rho", "n"]].values.tolist()[0]
        ['levels', -1.0, 1]
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for (metric, group), part in values.groupby(["metric", "group"], sort=False):
        runs = [run.sort_values("epoch") for _, run in part.groupby(["variant", "seed"], sort=False)]
        pairs = [(run["value"].to_numpy(float), run["val mAP"].to_numpy(float)) for run in runs]
        changes = [(np.diff(value), np.diff(score)) for value, score in pairs]
        for kind, chosen in (("levels", pairs), ("changes", changes)):
            found = np.array([spearman(value, score) for value, score in chosen])
            found = found[np.isfinite(found)]
            low, high = _interval(len(found), partial(_mean_of, found), replicates, seed)
            rows.append(
                {
                    "metric": metric,
                    "group": group,
                    "kind": kind,
                    "rho": float(found.mean()) if len(found) else np.nan,
                    "low": low,
                    "high": high,
                    "n": len(found),
                    "below": int((found < 0).sum()),
                }
            )
    return pd.DataFrame(rows)


def over_runs(
    runs: pd.DataFrame,
    metrics: Sequence[str] = STUDY_METRICS,
    groups: Sequence[str] | None = None,
    *,
    replicates: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlate NC at the end with test mAP over runs: over all, and inside the variants.

    Over all runs a correlation may only say that methods differ in both. Inside a variant (both numbers less the
    variant's mean) it tells whether the seed that collapses more is the one that scores higher.

    Args:
        runs: See ``run_table``.
        metrics: NC metrics.
        groups: Groups of classes; by default all that ``runs`` has.
        replicates: Bootstrap samples.
        seed: Of the bootstrap.

    Returns:
        A row for each metric, group and ``kind`` (``"all runs"``, in whose bootstrap whole variants are drawn, since
        the runs of one are alike, or ``"inside variants"``, in which runs are drawn): ``rho`` (Spearman), ``low, high``
        (95 %), ``n`` (runs).
    """
    import pandas as pd

    names = groups if groups is not None else _groups_of(runs)
    rows: list[dict[str, object]] = []
    for metric in metrics:
        for group in names:
            columns = [f"{metric} {group}", f"test mAP {group}"]
            if not set(columns) <= set(runs.columns):
                continue
            known = runs[["variant", *columns]].dropna()
            for kind, found in (("all runs", _pooled), ("inside variants", _inside)):
                rho, low, high = found(known, columns, replicates, seed)
                row = {"metric": metric, "group": group, "kind": kind, "rho": rho, "low": low, "high": high}
                rows.append({**row, "n": len(known)})
    return pd.DataFrame(rows)


def spearman(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation, ties at their mean rank.

    Args:
        first: ``[N]``.
        second: ``[N]``.

    Returns:
        -1 to 1; NaN of fewer than 4 pairs, or where one side is constant.

    Example:
        >>> spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 4, 9, 16]))
        1.0
    """
    from scipy.stats import rankdata

    if len(first) < _FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    ranks = np.stack([rankdata(first), rankdata(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    return round(float(ranks[0] @ ranks[1] / np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))), 12)


def _pooled(known: pd.DataFrame, columns: list[str], replicates: int, seed: int) -> tuple[float, float, float]:
    parts = [part[columns].to_numpy(float) for _, part in known.groupby("variant", sort=False)]

    def drawn(chosen: NDArray[np.intp]) -> float:
        return _rho(np.concatenate([parts[index] for index in chosen]))

    if not parts:
        return (np.nan, np.nan, np.nan)
    return (_rho(np.concatenate(parts)), *_interval(len(parts), drawn, replicates, seed))


def _inside(known: pd.DataFrame, columns: list[str], replicates: int, seed: int) -> tuple[float, float, float]:
    several = known.groupby("variant")["variant"].transform("size") > 1
    part = known[several]
    values = (part[columns] - part.groupby("variant")[columns].transform("mean")).to_numpy(float)
    return (_rho(values), *_interval(len(values), lambda drawn: _rho(values[drawn]), replicates, seed))


def _mean_of(values: Floats, drawn: NDArray[np.intp]) -> float:
    return float(values[drawn].mean())


def _rho(pairs: Floats) -> float:
    return spearman(pairs[:, 0], pairs[:, 1])


def _interval(
    number: int, statistic: Callable[[NDArray[np.intp]], float], replicates: int, seed: int
) -> tuple[float, float]:
    # Percentile bootstrap over ``number`` units; with fewer than three there is nothing to draw from.
    if number < 3:
        return (float("nan"), float("nan"))
    generator = np.random.default_rng(seed)
    found = np.array([statistic(generator.integers(0, number, number)) for _ in range(replicates)])
    found = found[np.isfinite(found)]
    if not len(found):
        return (float("nan"), float("nan"))
    low, high = np.quantile(found, [0.025, 0.975])
    return (float(low), float(high))


def _groups_of(runs: pd.DataFrame) -> list[str]:
    beginning = "test mAP "
    return [
        str(name).removeprefix(beginning)
        for name in runs.columns
        if str(name).startswith(beginning) and not str(name).endswith(" ema")
    ]
