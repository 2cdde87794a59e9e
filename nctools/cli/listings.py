"""``nctools methods``, ``losses``, ``metrics`` and ``explain``: what there is and what it means. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from nctools.cli.options import JsonFile
from nctools.cli.output import print_wide, write_json
from nctools.collapse.catalogue import ALIASES, METRICS, OVER_LAYERS, SYMBOLS, Metric
from nctools.errors import UnknownNameError
from nctools.losses.catalogue import LOSSES, LossEntry, Setting
from nctools.methods.catalogue import METHODS, MethodEntry

_NOTATION = "z logit, y target, p = sigmoid(z), n_c positives of class c, N images, sp(x) = log(1 + e^x)"
_COUNTS = {"class_counts": "class counts", "num_images": "number of images", "cooccurrence": "pair counts"}


def list_methods(json_file: JsonFile = None) -> None:
    """List the training methods, one line each, with source."""
    if json_file is not None:
        fields = ("name", "kind", "title", "source", "summary")
        rows = [{field: getattr(row, field) for field in fields} for row in METHODS.values()]
        write_json({"schema": 1, "methods": rows}, json_file)
        return
    print_wide(
        "methods (nctools train METHOD)",
        ["method", "kind", "what it is", "source"],
        [[row.name, row.kind, row.summary, row.source] for row in METHODS.values()],
        caption="kind: in what it differs from the baseline; those of kind loss are named as in: nctools losses",
    )


def list_losses(json_file: JsonFile = None) -> None:
    """List the losses, one line each, with what they are made from and the sampling that belongs to them."""
    if json_file is not None:
        rows = [{**asdict(row), "method": row.name if row.name in METHODS else None} for row in LOSSES.values()]
        write_json({"schema": 1, "losses": rows}, json_file)
        return
    print_wide(
        "losses (nctools explain NAME; nctools.losses.build in Python; nctools train mlc_nc --loss NAME)",
        ["loss", "what it does", "made from", "sampling", "source"],
        [[row.name, row.summary, _needs(row), _words(row.sampler), row.source] for row in LOSSES.values()],
    )


def list_metrics(json_file: JsonFile = None) -> None:
    """List the NC metrics by symbol (NC0 to NC5, ML-NC, ...), one line each, with source and value at collapse."""
    if json_file is not None:
        rows, layers = ([row.definition() for row in table.values()] for table in (METRICS, OVER_LAYERS))
        write_json({"schema": 1, "metrics": rows, "over_layers": layers}, json_file)
        return
    everything = [*METRICS.values(), *OVER_LAYERS.values()]
    for symbol, meaning in SYMBOLS.items():
        print_wide(
            f"{symbol}: {meaning} (nctools explain ID)",
            ["id", "what it is", "at collapse", "source"],
            [[row.id, row.title, row.limit, row.source] for row in everything if row.symbol == symbol],
        )


def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Metric, loss or method: nc1_pinv, db_focal, mlc_nc.")],
) -> None:
    """Explain a metric (formula, source, value at collapse, needs, cost), a loss (formula, settings) or a method.

    Example: nctools explain nc1_pinv
    """
    key = name.replace("-", "_").lower()
    key = ALIASES.get(key, key)
    known = METRICS | OVER_LAYERS
    if not any(key in table for table in (known, LOSSES, METHODS)):
        raise UnknownNameError("metric, loss or method", name, [*known, *LOSSES, *METHODS])
    if key in known:
        _explain_metric(known[key])
    # Some names are both: a loss, and the method that trains a plain network with it.
    if key in LOSSES:
        _explain_loss(LOSSES[key])
    if key in LOSSES and key in METHODS:
        typer.echo("")
    if key in METHODS:
        _explain_method(METHODS[key])


def _explain_metric(metric: Metric) -> None:
    _write(
        f"{metric.id}  {metric.title}  ({metric.symbol})",
        {
            "formula": metric.formula,
            "at collapse": metric.limit if metric.direction == "-" else f"{metric.limit}  ({metric.direction})",
            "source": metric.source,
            "group value": metric.aggregator,
            "needs": ", ".join(metric.needs),
            "cost": metric.cost,
            "settings": ", ".join(metric.settings),
            "features": ", ".join(metric.kinds),
        },
    )


def _explain_loss(loss: LossEntry) -> None:
    published = {f"on {dataset}": _settings(given) for dataset, given in loss.settings_for.items()}
    _write(
        f"{loss.name}  {loss.title}  (loss)",
        {
            "what it does": loss.summary,
            "formula": loss.formula,
            "where": _NOTATION,
            "source": loss.source,
            "made from": _needs(loss),
            "sampling": _words(loss.sampler),
            "reduction": loss.reduction,
            "settings": _settings(loss.settings) or "those of the class",
            **published,
            "in Python": f"nctools.losses.{loss.function}, nctools.losses.build({loss.name!r}, ...)",
        },
    )


def _explain_method(method: MethodEntry) -> None:
    _write(
        f"{method.name}  {method.title}  (method)",
        {
            "parts": method.summary,
            "source": method.source,
            "kind": method.kind,
            "train": f"nctools train {method.name} --dataset NAME (--dry-run shows the recipe)",
        },
    )


def _write(title: str, lines: Mapping[str, str]) -> None:
    typer.echo(title)
    for label, text in lines.items():
        typer.echo(f"  {label + ':':<14}{text}")


def _needs(loss: LossEntry) -> str:
    return ", ".join(_COUNTS[need] for need in loss.needs) or "-"


def _settings(given: Mapping[str, Setting]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in given.items())


def _words(name: str) -> str:
    return name.replace("_", "-")
