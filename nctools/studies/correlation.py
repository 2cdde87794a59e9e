"""Does neural collapse go with mAP? Rank correlations over runs and over epochs, with 95 % intervals.

Runs of one variant are alike, so an interval that took them for independent would be far too narrow. What is averaged
over epochs counts variants, what is pooled over runs draws whole variants, and inside variants the degrees of freedom
that their means took are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
# With fewer degrees of freedom the interval inside variants would hold its 95 % no longer.
_FEWEST_FREE: Final = 3
# Variance of Spearman's coefficient, in Fisher's scale, against that of Pearson's (Fieller, Hartley and Pearson, 1957).
_OF_RANKS: Final = 1.06
_NORMAL: Final = 1.959964


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


def over_epochs(values: pd.DataFrame) -> pd.DataFrame:
    """Correlate NC with validation mAP over the epochs of each run, then average over variants.

    Both change as training goes on, whether or not one has to do with the other; so the changes from one measured epoch
    to the next are correlated as well, in which a common trend plays no part.

    Args:
        values: See ``epoch_values``.

    Returns:
        A row for each metric, group and ``kind`` (``"levels"`` or ``"changes"``): ``rho`` (mean over variants of the
        mean over their runs of Spearman's coefficient), ``low, high`` (95 %, Student's t), ``n`` (runs), ``below``
        (runs with rho < 0), and ``interval``: what was counted as independent, ``"5 variants"``; of a single variant
        its runs, and then it holds for this variant alone; or why there is none.

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
        levels: dict[str, list[float]] = {}
        changes: dict[str, list[float]] = {}
        for (variant, _), run in part.sort_values("epoch").groupby(["variant", "seed"], sort=False):
            value, score = run["value"].to_numpy(float), run["val mAP"].to_numpy(float)
            levels.setdefault(str(variant), []).append(spearman(value, score))
            changes.setdefault(str(variant), []).append(spearman(np.diff(value), np.diff(score)))
        for kind, found in (("levels", levels), ("changes", changes)):
            rows.append({"metric": metric, "group": group, "kind": kind, **_mean_over_variants(found)})
    return pd.DataFrame(rows, columns=["metric", "group", "kind", "rho", "low", "high", "n", "below", "interval"])


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
        runs: See ``run_table``; with ``scored="last"`` both numbers are of the same network.
        metrics: NC metrics.
        groups: Groups of classes; by default all that ``runs`` has.
        replicates: Bootstrap samples.
        seed: Of the bootstrap.

    Returns:
        A row for each metric, group and ``kind``: ``rho`` (Spearman), ``low, high`` (95 %), ``n`` (runs that count:
        inside variants those of several seeds), ``interval`` (what it counts, or why there is none). Of ``"all runs"``
        whole variants are drawn, since the runs of one are alike; of few variants that is somewhat too narrow (of six,
        89 of 100 hold a correlation of zero). Of ``"inside variants"`` it is Fisher's, with the degrees of freedom that
        are left after a mean for each variant.
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
            pooled, inside = _pooled(known, columns, replicates, seed), _inside(known, columns)
            for kind, found in (("all runs", pooled), ("inside variants", inside)):
                rows.append({"metric": metric, "group": group, "kind": kind, **found})
    return pd.DataFrame(rows, columns=["metric", "group", "kind", "rho", "low", "high", "n", "interval"])


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


def _row(rho: float, interval: tuple[float, float], number: int, words: str) -> dict[str, object]:
    return {"rho": rho, "low": interval[0], "high": interval[1], "n": number, "interval": words}


def _mean_over_variants(found: Mapping[str, Sequence[float]]) -> dict[str, object]:
    known = {variant: [rho for rho in runs if np.isfinite(rho)] for variant, runs in found.items()}
    known = {variant: runs for variant, runs in known.items() if runs}
    runs = [rho for part in known.values() for rho in part]
    units = np.array([np.mean(part) for part in known.values()] if len(known) > 1 else runs)
    kind = "variants" if len(known) > 1 else "runs of one variant"
    interval, words = _of_mean(units), f"{len(units)} {kind}"
    if np.isnan(interval[0]):
        words = f"none: {words}, fewer than 3"
    rho = float(units.mean()) if len(units) else np.nan
    return _row(rho, interval, len(runs), words) | {"below": sum(value < 0 for value in runs)}


def _pooled(known: pd.DataFrame, columns: list[str], replicates: int, seed: int) -> dict[str, object]:
    parts = [part[columns].to_numpy(float) for _, part in known.groupby("variant", sort=False)]

    def drawn(chosen: NDArray[np.intp]) -> float:
        return _rho(np.concatenate([parts[index] for index in chosen]))

    rho = _rho(np.concatenate(parts)) if parts else np.nan
    interval = _interval(len(parts), drawn, replicates, seed)
    words = f"{len(parts)} variants"
    return _row(rho, interval, len(known), f"none: {words}, fewer than 3" if len(parts) < 3 else words)


def _inside(known: pd.DataFrame, columns: list[str]) -> dict[str, object]:
    several = known.groupby("variant")["variant"].transform("size") > 1
    part = known[several]
    values = (part[columns] - part.groupby("variant")[columns].transform("mean")).to_numpy(float)
    rho, free = _rho(values), len(part) - part["variant"].nunique() - 2
    # Residuals of a variant sum to zero, two seeds mirror each other: they are not as many as they look.
    if free < _FEWEST_FREE or np.isnan(rho):
        words = f"none: {max(free, 0)} degrees of freedom, fewer than {_FEWEST_FREE}: more seeds are needed"
        return _row(rho, (np.nan, np.nan), len(part), words)
    middle, width = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9)), _NORMAL * np.sqrt(_OF_RANKS / free)
    interval = (float(np.tanh(middle - width)), float(np.tanh(middle + width)))
    return _row(rho, interval, len(part), f"{free} degrees of freedom")


def _of_mean(values: Floats) -> tuple[float, float]:
    # Student's t: a bootstrap of six numbers is too narrow. No correlation lies beyond 1.
    from scipy.stats import t

    if len(values) < 3:
        return (float("nan"), float("nan"))
    width = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return (max(-1.0, float(values.mean()) - width), min(1.0, float(values.mean()) + width))


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
