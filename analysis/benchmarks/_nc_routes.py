"""The ways to the same six values that ``nc_metrics.py`` compares."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _nc_cases import METRICS, Case, Data, etf_error
from torch import Tensor
from torch.nn import functional

import nctools

Route = Callable[[Data], dict[str, float]]

TOOLKIT = "neural-collapse toolkit"
TOOLKIT_BATCH, TOOLKIT_TILE = 128, 64
_NAIVE_ROWS, _NAIVE_TILE = 1024, 64
_FLOOR_ROWS = 1024


def routes(case: Case) -> dict[str, Route]:
    """Give the ways that a case compares; nctools is the first, the floor gives no values."""
    found: dict[str, Route] = {"nctools": with_nctools, "two-pass D x D": lambda data: two_pass(data, torch.float32)}
    toolkit = with_toolkit if toolkit_found() else None
    if toolkit is not None:
        found[TOOLKIT] = lambda data: toolkit(data, torch.float32)
    if case.double:
        found["two-pass D x D, float64"] = lambda data: two_pass(data, torch.float64)
        if toolkit is not None:
            found[f"{TOOLKIT}, float64"] = lambda data: toolkit(data, torch.float64)
    return found | {"floor": floor}


def with_nctools(data: Data) -> dict[str, float]:
    """The public API."""
    result = nctools.measure(
        data.features,
        data.labels,
        classifier=data.classifier,
        metrics=list(METRICS),
        groups={},
        convention="rhubarbwu",
    )
    return result.to_dict()["all"]


def two_pass(data: Data, dtype: torch.dtype) -> dict[str, float]:
    """The formulas as they stand: D x D covariances, a pseudo-inverse, differences of all pairs of means."""
    num_classes, width = data.classifier.shape
    classifier = data.classifier.to(dtype)
    counts, sums = torch.zeros(num_classes, dtype=dtype), torch.zeros(num_classes, width, dtype=dtype)
    for rows, names in data.batches(_NAIVE_ROWS):
        members = functional.one_hot(names, num_classes).to(dtype)
        counts += members.sum(dim=0)
        sums += members.T @ rows.to(dtype)
    means = sums / counts[:, None]
    scatter, squares, agreeing = torch.zeros(width, width, dtype=dtype), torch.zeros(num_classes, dtype=dtype), 0
    for rows, names in data.batches(_NAIVE_ROWS):
        wide = rows.to(dtype)
        residuals = wide - means[names]
        scatter += residuals.T @ residuals
        squares += functional.one_hot(names, num_classes).to(dtype).T @ residuals.square().sum(dim=1)
        nearest = (-torch.cdist(wide, means)).argmax(dim=1)
        agreeing += int((nearest == (wide @ classifier.T).argmax(dim=1)).sum())
    samples = len(data.labels)
    within, centred = scatter / samples, means - means.mean(dim=0)
    between = centred.T @ centred / num_classes
    return {
        "nc1_pinv": float(torch.trace(within @ torch.linalg.pinv(between))) / num_classes,
        "nc1_quotient": float(torch.trace(within) / torch.trace(between)),
        "nc1_cdnv": _tiled_cdnv(means, squares / counts),
        "nc2_etf_error": etf_error(centred @ centred.T),
        "nc3_etf_error": etf_error(classifier @ centred.T),
        "nc4_agreement": agreeing / samples,
    }


def _tiled_cdnv(means: Tensor, variances: Tensor) -> float:
    grid = torch.empty(len(means), len(means), dtype=means.dtype)
    starts = range(0, len(means), _NAIVE_TILE)
    for i, j in itertools.product(starts, starts):
        first, second = slice(i, i + _NAIVE_TILE), slice(j, j + _NAIVE_TILE)
        distances = (means[first, None] - means[second]).square().sum(dim=2)
        grid[first, second] = (variances[first, None] + variances[second]) / (2 * distances)
    return float(grid.fill_diagonal_(0).sum()) / (len(means) * (len(means) - 1))


def toolkit_found() -> bool:
    """Look for the public package ``neural_collapse``: on ``sys.path``, or in or under the folder PEERS names."""
    named = os.environ.get("PEERS")
    if named:
        for folder in (Path(named), *sorted(Path(named).glob("*"))):
            if (folder / "neural_collapse" / "__init__.py").is_file():
                sys.path.insert(0, str(folder.resolve()))
                break
    try:
        importlib.import_module("neural_collapse.accumulate")
        importlib.import_module("neural_collapse.measure")
    except ImportError:
        return False
    return True


def with_toolkit(data: Data, dtype: torch.dtype) -> dict[str, float]:
    """The accumulators of the ``neural_collapse`` package, fed in batches."""
    accumulate = importlib.import_module("neural_collapse.accumulate")
    measure = importlib.import_module("neural_collapse.measure")
    shape = data.classifier.shape
    classifier = data.classifier.to(dtype)
    sums = accumulate.MeanAccumulator(*shape, dtype=dtype)
    for rows, names in data.batches(TOOLKIT_BATCH):
        sums.accumulate(rows, names)
    means, centre = sums.compute()
    norms = accumulate.VarNormAccumulator(*shape, dtype=dtype, M=means)
    covariance = accumulate.CovarAccumulator(*shape, dtype=dtype, M=means)
    decisions = accumulate.DecAccumulator(*shape, dtype=dtype, M=means, W=classifier)
    for rows, names in data.batches(TOOLKIT_BATCH):
        norms.accumulate(rows, names, means)
        covariance.accumulate(rows, names, means)
        decisions.accumulate(rows, names, classifier, means)
    within = covariance.compute()
    return {
        "nc1_pinv": measure.covariance_ratio(within, means, centre),
        "nc1_quotient": measure.covariance_ratio(within, means, centre, "quotient"),
        "nc1_cdnv": measure.variability_cdnv(norms.compute()[0], means, tile_size=TOOLKIT_TILE),
        "nc2_etf_error": measure.simplex_etf_error(means, centre),
        "nc3_etf_error": measure.self_duality_error(classifier, means, centre),
        "nc4_agreement": measure.clf_ncc_agreement(decisions),
    }


def floor(data: Data) -> dict[str, float]:
    """What no way can do without: read the features twice, one product of them with ``[D, 2C]``."""
    num_classes, width = data.classifier.shape
    columns, scores = torch.ones(width, 2 * num_classes), torch.empty(_FLOOR_ROWS, 2 * num_classes)
    for _ in range(2):
        data.features.sum()
    for rows, _ in data.batches(_FLOOR_ROWS):
        torch.mm(rows, columns, out=scores[: len(rows)])
    return {}
