"""``nctools methods``, ``nctools metrics`` and ``nctools explain``: what there is and what it means. No torch."""

from __future__ import annotations

from typing import Annotated

import typer

from nctools.cli.options import JsonFile
from nctools.cli.output import print_wide, write_json
from nctools.collapse.catalogue import METRICS
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
    """List the NC metrics, one line each, with source and direction of collapse."""
    if json_file is not None:
        rows = [
            {"id": row.id, "title": row.title, "formula": row.formula, "source": row.source, "limit": row.limit}
            for row in METRICS.values()
        ]
        write_json({"schema": 1, "metrics": rows}, json_file)
        return
    print_wide(
        "metrics (nctools explain ID)",
        ["id", "what it is", "at collapse", "source"],
        [[row.id, row.title, row.limit, row.source] for row in METRICS.values()],
    )


def explain(name: Annotated[str, typer.Argument(metavar="ID", help="Metric or method, for example nc1_pinv.")]) -> None:
    """Explain a metric or a method: formula, source, value at collapse, what it needs.

    Example: nctools explain nc1_pinv
    """
    key = name.replace("-", "_").lower()
    if key in METRICS:
        metric = METRICS[key]
        typer.echo(f"{metric.id}  {metric.title}  ({metric.symbol})")
        for label, text in (
            ("formula", metric.formula),
            ("at collapse", f"{metric.limit}  ({metric.direction})"),
            ("source", metric.source),
            ("group value", metric.aggregator),
            ("needs", ", ".join(metric.needs)),
        ):
            typer.echo(f"  {label + ':':<13}{text}")
    elif key in METHODS:
        method = METHODS[key]
        typer.echo(f"{method.name}  {method.title}\n  parts:       {method.summary}\n  source:      {method.source}")
    else:
        raise UnknownNameError("metric or method", name, [*METRICS, *METHODS])
