"""The tables that a measurement writes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nctools import __version__
from nctools.cli.output import say, write_json

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult


def write_results(
    titles: Sequence[str],
    paths: Sequence[Path | None],
    results: Sequence[CollapseResult],
    *,
    json_file: str | None,
    csv_file: Path | None,
    per_class: Path | None,
) -> None:
    """Write what was measured, each file beside its target and then into place.

    Args:
        titles: Name of each input.
        paths: Its file; None for a model without one.
        results: Its values.
        json_file: Everything, as one JSON document; ``-`` is stdout.
        csv_file: The tidy table.
        per_class: Values of each class.
    """
    import pandas as pd

    from nctools.run_directory import replace_atomically

    if json_file is not None:
        document = {
            "schema": 1,
            "nctools": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": "measure",
            "inputs": [{"path": title, "sha256": _sha256(path)} for title, path in zip(titles, paths, strict=True)],
            "results": [
                {"input": title, **result.to_document()} for title, result in zip(titles, results, strict=True)
            ],
        }
        write_json(document, json_file)
    for target, attribute in ((csv_file, "table"), (per_class, "per_class")):
        if target is None:
            continue
        frames = [getattr(result, attribute).assign(input=title) for title, result in zip(titles, results, strict=True)]
        with replace_atomically(target) as temporary:
            pd.concat(frames).to_csv(temporary, index=False, na_rep="nan")
        say(f"wrote {target}")


def _sha256(path: Path | None) -> str | None:
    if path is None or not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
