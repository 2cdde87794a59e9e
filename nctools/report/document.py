"""The machine-readable part of a page: everything that it tells, as JSON that is safe inside HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final

from nctools import __version__
from nctools.collapse.catalogue import METRICS
from nctools.report.collect import RunRecord
from nctools.report.comparison import Comparison
from nctools.report.pictures import Picture

SCHEMA: Final = 1
# Characters that could end the script, begin a comment, or break lines in old readers of JavaScript.
_UNSAFE: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def report_document(
    records: Sequence[RunRecord],
    pictures: Sequence[Picture],
    comparison: Comparison | None,
    *,
    summary: Sequence[str],
    created: str,
) -> dict[str, object]:
    """Give everything that the page tells as one JSON-ready document.

    Args:
        records: What ``collect_runs`` returned.
        pictures: Figures, present or missing.
        comparison: Of several runs.
        summary: The sentences of the summary.
        created: When the page was made.

    Returns:
        Plain values; a number that does not exist is None.
    """
    metrics = dict.fromkeys(name for record in records if record.collapse for name in record.collapse.definitions)
    return {
        "schema": SCHEMA,
        "nctools": __version__,
        "created": created,
        "command": "report",
        "summary": list(summary),
        "runs": [_run(record) for record in records],
        "comparison": None
        if comparison is None
        else {"sentences": comparison.sentences, "differing": comparison.differing},
        "figures": [
            {"id": p.section.id, "title": p.section.title, "runs": p.runs, "missing": p.missing or None}
            for p in pictures
        ],
        "definitions": {name: METRICS[name].definition() for name in metrics if name in METRICS},
    }


def json_for_script(document: object) -> str:
    r"""Write JSON that may stand inside a ``<script>`` element.

    Args:
        document: JSON-ready values.

    Returns:
        Text that reads as the same document and holds neither ``<`` nor ``&``.

    Example:
        >>> json_for_script({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_UNSAFE)


def _run(record: RunRecord) -> dict[str, object]:
    facts = record.facts
    return {
        "name": record.name,
        "folder": str(facts.folder),
        "method": facts.method,
        "dataset": facts.dataset,
        "seed": facts.seed,
        "epochs": {"finished": facts.finished, "planned": facts.planned},
        "seconds": facts.seconds,
        "written": facts.written,
        "config": _plain(facts.config),
        "environment": _plain(facts.environment),
        "class_names": facts.class_names,
        "class_counts": facts.class_counts,
        "groups": facts.groups,
        "evaluation": None if record.evaluation is None else record.evaluation.to_document(),
        "scored": record.scored,
        "collapse": None if record.collapse is None else _collapse(record),
        "measured": record.measured,
        "notes": record.notes,
    }


def _plain(value: object) -> object:
    # Files that people edit hold more than JSON does: days, infinite numbers.
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, int | str) else str(value)


def _collapse(record: RunRecord) -> dict[str, object]:
    # Definitions stand once for all runs. Of classes the main space is enough, a list for each column: a thousand
    # classes would repeat the same keys a thousand times.
    assert record.collapse is not None
    document = record.collapse.to_document()
    main = record.collapse.spaces[0]
    rows = document["per_class"]
    assert isinstance(rows, list)
    own = [row for row in rows if row["space"] == main]
    columns = {key: [row[key] for row in own] for key in (own[0] if own else {}) if key != "space"}
    known = {key: values for key, values in columns.items() if any(value is not None for value in values)}
    kept = {key: document[key] for key in ("format", "format_version", "spaces", "table", "by_multiplicity")}
    return {**kept, "per_class": known}
