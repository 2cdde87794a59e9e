"""CollapseResult: NC values by space, group and class, with definitions, settings and warnings; saved and loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.errors import StoreError, UnknownNameError
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "nctools-result"
FORMAT_VERSION = 1
Cell = str | int | float
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class SpaceResult:
    """The values of one feature space.

    Args:
        space: Name of the space.
        kind: ``"single"``, ``"classwise"`` or ``"shared"`` features.
        rows: ``space, split, group, metric, value, num_classes, n_min, n_max``.
        class_rows: ``space, class_index, class_name, group, n`` and a key for each metric.
        blocks: Metric -> group -> group -> value.
        definitions: Metric -> definition.
        settings: What changes the numbers.
        warnings: Sentences.
    """

    space: str
    kind: str
    rows: list[dict[str, Cell]]
    class_rows: list[dict[str, Cell]]
    blocks: dict[str, dict[str, dict[str, float]]]
    definitions: dict[str, dict[str, object]]
    settings: dict[str, object]
    warnings: list[str] = field(default_factory=list)


class CollapseResult:
    """What ``nctools.measure`` returns: one part for each feature space, the first being the main one.

    Args:
        parts: Results of the spaces, in order.

    Raises:
        ValueError: If there is no part, or two have the same space.

    Example:
        >>> import torch, nctools
        >>> result = nctools.measure(torch.eye(3).repeat(4, 1), torch.arange(12) % 3)
        >>> result.spaces, round(result.to_dict()["all"]["nc2_angle_deviation"], 6)
        (['features'], 0.0)
    """

    def __init__(self, parts: Sequence[SpaceResult]) -> None:
        names = [part.space for part in parts]
        if not parts or len(set(names)) != len(names):
            raise ValueError(f"a result needs at least one space and each once, got {names}")
        self.parts = list(parts)

    @property
    def spaces(self) -> list[str]:
        """Names of the feature spaces; the first is the main one."""
        return [part.space for part in self.parts]

    @property
    def table(self) -> pd.DataFrame:
        """Tidy table: ``space, split, group, metric, value, num_classes, n_min, n_max``."""
        import pandas as pd

        return pd.DataFrame([row for part in self.parts for row in part.rows])

    @property
    def per_class(self) -> pd.DataFrame:
        """A row for each space and class: ``space, class_index, class_name, group, n`` and a column for each metric."""
        import pandas as pd

        return pd.DataFrame([row for part in self.parts for row in part.class_rows])

    @property
    def blocks(self) -> dict[str, pd.DataFrame]:
        """Group x group means of the pair metrics, of the main space."""
        import pandas as pd

        return {metric: pd.DataFrame(values).T for metric, values in self.parts[0].blocks.items()}

    @property
    def definitions(self) -> dict[str, dict[str, object]]:
        """Metric -> title, formula, source, limit, direction, rule for groups."""
        return {metric: value for part in self.parts for metric, value in part.definitions.items()}

    @property
    def settings(self) -> dict[str, object]:
        """What changes the numbers: centre, weighting, ddof, scope, pairs (of the main space)."""
        return dict(self.parts[0].settings)

    @property
    def warnings(self) -> list[str]:
        """Sentences about degenerate input, with the space in front where there are several."""
        several = len(self.parts) > 1
        return [(f"{part.space}: " if several else "") + text for part in self.parts for text in part.warnings]

    def space(self, name: str) -> CollapseResult:
        """Give the result of one space alone.

        Args:
            name: Name of the space.

        Returns:
            A result with one part.

        Raises:
            UnknownNameError: If there is no such space.
        """
        for part in self.parts:
            if part.space == name:
                return CollapseResult([part])
        raise UnknownNameError("feature space", name, self.spaces)

    def to_dict(self, space: str | None = None) -> dict[str, dict[str, float]]:
        """Give the values as group -> metric -> value.

        Args:
            space: Feature space; None takes the main one.

        Returns:
            ``{"all": {"nc1_pinv": 0.03, ...}, "head": {...}, ...}``.

        Raises:
            UnknownNameError: If there is no such space.
        """
        part = self.parts[0] if space is None else self.space(space).parts[0]
        values: dict[str, dict[str, float]] = {}
        for row in part.rows:
            values.setdefault(str(row["group"]), {})[str(row["metric"])] = float(row["value"])
        return values

    def to_document(self) -> dict[str, object]:
        """Give everything as one JSON-ready document; NaN becomes None, infinity ``"inf"``.

        Returns:
            Table, per-class values, blocks, definitions, settings and warnings.
        """
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "spaces": {
                part.space: {
                    "kind": part.kind, "settings": part.settings, "warnings": part.warnings, "blocks": part.blocks,
                    "metrics": list(part.definitions),
                }
                for part in self.parts
            },
            "table": [row for part in self.parts for row in part.rows],
            "per_class": [row for part in self.parts for row in part.class_rows],
            "definitions": self.definitions,
        }  # fmt: skip
        plain = _to_json(document)
        assert isinstance(plain, dict)  # a dict stays one
        return plain

    def save(self, path: str | Path) -> None:
        """Write the result, whole or not at all.

        Args:
            path: ``.json`` (everything) or ``.csv`` (the tidy table).

        Raises:
            ValueError: If the suffix is another one.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in {".json", ".csv"}:
            raise ValueError(f"cannot save a result to {path}: its suffix is {suffix!r}; use .json or .csv")
        with replace_atomically(path) as temporary:
            if suffix == ".csv":
                self.table.to_csv(temporary, index=False)
            else:
                text = json.dumps(self.to_document(), indent=1, ensure_ascii=False, allow_nan=False)
                temporary.write_text(text, encoding="utf-8")

    @staticmethod
    def concat(results: Sequence[CollapseResult]) -> CollapseResult:
        """Join results of different spaces into one.

        Args:
            results: Results, the main one first.

        Returns:
            One result with all parts.

        Raises:
            ValueError: If there is none, or a space stands twice.
        """
        return CollapseResult([part for result in results for part in result.parts])

    def __repr__(self) -> str:
        values = self.to_dict()["all"]
        shown = ", ".join(f"{name}={value:.4g}" for name, value in list(values.items())[:3])
        groups = [name for name in self.to_dict() if name != "all"]
        return f"CollapseResult(spaces={self.spaces}, groups={groups}, {shown}, ...)"


def load_result(path: str | Path) -> CollapseResult:
    """Read what ``CollapseResult.save`` wrote as JSON.

    Args:
        path: A ``.json`` file.

    Returns:
        The same result.

    Raises:
        StoreError: If the file is missing, damaged, or not a result.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(f"{path} cannot be read as an NC result ({' '.join(str(error).split())})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoreError(f"{path} is not an NC result: save one with result.save('nc.json')")
    if document.get("format_version") != FORMAT_VERSION:
        found = document.get("format_version")
        raise StoreError(f"{path} has result format {found!r}, this nctools reads {FORMAT_VERSION}: update nctools")
    try:
        parts = [_part(name, facts, document) for name, facts in document["spaces"].items()]
        return CollapseResult(parts)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StoreError(f"{path} is an incomplete NC result ({type(error).__name__}: {error})") from error


def _part(name: str, facts: Mapping[str, object], document: Mapping[str, object]) -> SpaceResult:
    restored = _from_json({"table": document["table"], "per_class": document["per_class"], "blocks": facts["blocks"]})
    definitions, metrics = document["definitions"], facts["metrics"]
    if not isinstance(restored, dict) or not isinstance(definitions, dict) or not isinstance(metrics, list):
        raise TypeError("tables are not of the expected form")
    settings, warnings = facts["settings"], facts["warnings"]
    if not isinstance(settings, dict) or not isinstance(warnings, list):
        raise TypeError("settings are not of the expected form")
    return SpaceResult(
        space=name,
        kind=str(facts["kind"]),
        rows=[row for row in restored["table"] if row["space"] == name],
        class_rows=[row for row in restored["per_class"] if row["space"] == name],
        blocks=restored["blocks"],
        definitions={metric: definitions[metric] for metric in metrics},
        settings=settings,
        warnings=[str(text) for text in warnings],
    )


def _to_json(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def _from_json(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _from_json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_from_json(entry) for entry in value]
    return math.nan if value is None else math.inf if value == "inf" else -math.inf if value == "-inf" else value
