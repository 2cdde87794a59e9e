"""``nctools methods``, ``nctools metrics`` and ``nctools explain``: what there is and what it means. No torch."""

from __future__ import annotations

from typing import Annotated

import typer

from nctools.cli.options import JsonFile
from nctools.cli.output import print_wide, write_json
from nctools.collapse.catalogue import ALIASES, METRICS, OVER_LAYERS, SYMBOLS
from nctools.errors import UnknownNameError
from nctools.methods.catalogue import METHODS


def list_methods(json_file: JsonFile = None) -> None:
    """List the training methods, one line each, with source."""
    if json_file is not None:
        rows = [
            {"name": row.name, "title": row.title, "source": row.source, "summary": row.summary}
            for row in METHODS.values()
        ]
        write_json({"schema": 1, "methods": rows}, json_file)
        return
    print_wide(
        "methods (nctools train METHOD)",
        ["method", "what it is", "source"],
        [[row.name, row.summary, row.source] for row in METHODS.values()],
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


def explain(name: Annotated[str, typer.Argument(metavar="ID", help="Metric or method, for example nc1_pinv.")]) -> None:
    """Explain a metric or a method: formula, source, value at collapse, what it needs and costs, what changes it.

    Example: nctools explain nc1_pinv
    """
    key = name.replace("-", "_").lower()
    key = ALIASES.get(key, key)
    known = METRICS | OVER_LAYERS
    if key in known:
        metric = known[key]
        typer.echo(f"{metric.id}  {metric.title}  ({metric.symbol})")
        for label, text in (
            ("formula", metric.formula),
            ("at collapse", metric.limit if metric.direction == "-" else f"{metric.limit}  ({metric.direction})"),
            ("source", metric.source),
            ("group value", metric.aggregator),
            ("needs", ", ".join(metric.needs)),
            ("cost", metric.cost),
            ("settings", ", ".join(metric.settings)),
            ("features", ", ".join(metric.kinds)),
        ):
            typer.echo(f"  {label + ':':<13}{text}")
    elif key in METHODS:
        method = METHODS[key]
        typer.echo(f"{method.name}  {method.title}\n  parts:       {method.summary}\n  source:      {method.source}")
    else:
        raise UnknownNameError("metric or method", name, [*known, *METHODS])
