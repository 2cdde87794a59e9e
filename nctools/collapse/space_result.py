"""The values of one feature space as plain Python, and how they are written to and read from documents and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Cell = str | int | float
Row = Mapping[str, Cell]

FORMAT: Final = "nctools-result"
FORMAT_VERSION: Final = 1
TABLE_COLUMNS: Final = {
    "space": str,
    "split": str,
    "group": str,
    "metric": str,
    "value": float,
    "num_classes": int,
    "n_min": int,
    "n_max": int,
    "num_used": int,
    "low": float,
    "high": float,
}
# Columns that older files lack: NaN.
LATER_COLUMNS: Final = frozenset({"low", "high"})
_CLASS_COLUMNS: Final = {"space": str, "class_index": int, "class_name": str, "group": str, "n": int}
_MULTIPLICITY_COLUMNS: Final = {"space": str, "multiplicity": int, "num_sets": int, "num_images": int}


@dataclass(frozen=True)
class SpaceResult:
    """The values of one feature space.

    Args:
        space: Name of the space.
        split: Name of the split.
        kind: ``"single"``, ``"classwise"`` or ``"shared"`` features.
        rows: ``space, split, group, metric, value, num_classes, n_min, n_max, num_used, low, high``.
        class_rows: ``space, class_index, class_name, group, n`` and a key for each metric.
        blocks: Metric -> group -> group -> value.
        definitions: Metric -> definition.
        settings: What changes the numbers.
        multiplicity_rows: ``space, multiplicity, num_sets, num_images`` and a key for each multi-label metric.
        warnings: Sentences.
        references: Name of a reference -> group -> metric -> value.
    """

    space: str
    split: str
    kind: str
    rows: list[dict[str, Cell]]
    class_rows: list[dict[str, Cell]]
    blocks: dict[str, dict[str, dict[str, float]]]
    definitions: dict[str, dict[str, object]]
    settings: dict[str, object]
    multiplicity_rows: list[dict[str, Cell]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    references: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


def document_of(parts: Sequence[SpaceResult]) -> dict[str, object]:
    """Write results as one JSON-ready document; NaN becomes None, infinity ``"inf"``.

    Args:
        parts: Results of the spaces.

    Returns:
        Format, facts by space, table, per-class values and definitions.
    """
    definitions: dict[str, object] = {}
    for part in parts:
        for metric, definition in part.definitions.items():
            # The floor belongs to one width; it stands with the space.
            definitions.setdefault(metric, {key: value for key, value in definition.items() if key != "floor"})
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "spaces": {part.space: _facts(part) for part in parts},
        "table": [_encoded(row) for part in parts for row in part.rows],
        "per_class": [_encoded(row) for part in parts for row in part.class_rows],
        "by_multiplicity": [_encoded(row) for part in parts for row in part.multiplicity_rows],
        "definitions": definitions,
    }


def parts_of(document: Mapping[str, object]) -> list[SpaceResult]:
    """Read what ``document_of`` wrote.

    Args:
        document: The document.

    Returns:
        Results of the spaces, in order.

    Raises:
        KeyError: If something is missing.
        TypeError: If something is of the wrong kind.
        ValueError: If a number cannot be read.
    """
    tables = {
        name: [_decoded(row, columns) for row in _listed(document[name])]
        for name, columns in (
            ("table", TABLE_COLUMNS),
            ("per_class", _CLASS_COLUMNS),
            ("by_multiplicity", _MULTIPLICITY_COLUMNS),
        )
    }
    definitions = _mapping(document["definitions"])
    parts = []
    for space, entry in _mapping(document["spaces"]).items():
        facts = _mapping(entry)
        floors = _mapping(facts["floors"])
        own = {name: [row for row in rows if row["space"] == space] for name, rows in tables.items()}
        parts.append(
            SpaceResult(
                space=space,
                split=str(facts["split"]),
                kind=str(facts["kind"]),
                rows=own["table"],
                class_rows=own["per_class"],
                blocks=_read_blocks(facts["blocks"]),
                definitions={
                    str(metric): dict(_mapping(definitions[str(metric)]))
                    | ({"floor": floors[str(metric)]} if metric in floors else {})
                    for metric in _listed(facts["metrics"])
                },
                settings=dict(_mapping(facts["settings"])),
                multiplicity_rows=own["by_multiplicity"],
                warnings=[str(text) for text in _listed(facts["warnings"])],
                references=_read_blocks(facts.get("references", {})),
            )
        )
    return parts


def parts_of_table(
    rows: Sequence[Mapping[str, str]], definitions: Mapping[str, dict[str, object]]
) -> list[SpaceResult]:
    """Make results of a tidy table alone: no values of classes, no blocks, no settings.

    Args:
        rows: Cells as text.
        definitions: Metric -> definition.

    Returns:
        Results of the spaces, in order.

    Raises:
        KeyError: If a column is missing.
        ValueError: If a number cannot be read.
    """
    columns = list(TABLE_COLUMNS.items())
    decoded = [
        {name: math.nan if name in LATER_COLUMNS and name not in row else kind(row[name]) for name, kind in columns}
        for row in rows
    ]
    parts = []
    for space in dict.fromkeys(str(row["space"]) for row in decoded):
        own = [row for row in decoded if row["space"] == space]
        metrics = dict.fromkeys(str(row["metric"]) for row in own)
        parts.append(
            SpaceResult(
                space=space,
                split=str(own[0]["split"]),
                kind="",
                rows=own,
                class_rows=[],
                blocks={},
                definitions={metric: dict(definitions[metric]) for metric in metrics if metric in definitions},
                settings={},
                warnings=[
                    "read from a table: values of classes, blocks, settings and warnings are only in the JSON file"
                ],
            )
        )
    return parts


def _facts(part: SpaceResult) -> dict[str, object]:
    return {
        "split": part.split,
        "kind": part.kind,
        "settings": dict(part.settings),
        "warnings": list(part.warnings),
        "metrics": list(part.definitions),
        "floors": {metric: row["floor"] for metric, row in part.definitions.items() if "floor" in row},
        "blocks": _encoded_blocks(part.blocks),
        "references": _encoded_blocks(part.references),
    }


def _encoded_blocks(blocks: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, object]:
    return {name: {first: _encoded(values) for first, values in rows.items()} for name, rows in blocks.items()}


def _encoded(row: Row) -> dict[str, Cell | None]:
    return {key: _encoded_number(value) if isinstance(value, float) else value for key, value in row.items()}


def _encoded_number(value: float) -> Cell | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)  # "inf" or "-inf"


def _decoded(row: object, columns: Mapping[str, type[str] | type[int] | type[float]]) -> dict[str, Cell]:
    decoded: dict[str, Cell] = {}
    for name, value in _mapping(row).items():
        kind = columns.get(name, float)
        if kind is float:
            decoded[name] = _number(value)
        elif isinstance(value, str | int) and isinstance(value, kind):
            decoded[name] = value
        else:
            raise TypeError(f"{name} is {value!r}, not {kind.__name__}")
    missing = [name for name in columns if name not in decoded and name not in LATER_COLUMNS]
    if missing:
        raise KeyError(missing[0])
    return {**dict.fromkeys(LATER_COLUMNS & columns.keys(), math.nan), **decoded}


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{value!r} is no number")


def _read_blocks(value: object) -> dict[str, dict[str, dict[str, float]]]:
    return {
        metric: {
            first: {second: _number(number) for second, number in _mapping(columns).items()}
            for first, columns in _mapping(rows).items()
        }
        for metric, rows in _mapping(value).items()
    }


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:40]!r} is no mapping")
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:40]!r} is no list")
    return value
