"""``nctools methods``, ``losses`` and ``metrics``: what there is, one line each. No torch."""

from __future__ import annotations

from dataclasses import asdict

from nctools.cli.options import JsonFile
from nctools.cli.output import print_wide, write_json
from nctools.collapse.catalogue import METRICS, OVER_LAYERS, SYMBOLS
from nctools.losses.catalogue import LOSSES, LossEntry
from nctools.methods.catalogue import METHODS

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
        [[row.name, row.summary, needs_of(row), words(row.sampler), row.source] for row in LOSSES.values()],
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


def needs_of(loss: LossEntry) -> str:
    """Say what a loss is made from.

    Args:
        loss: Its row.

    Returns:
        Words with commas between them, or a dash.
    """
    return ", ".join(_COUNTS[need] for need in loss.needs) or "-"


def words(name: str) -> str:
    """Write a sampling as people say it.

    Args:
        name: ``class_aware``.

    Returns:
        ``class-aware``.
    """
    return name.replace("_", "-")
