"""CollapseResult: NC values by space, group and class, with definitions, settings and warnings; saved and loaded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from nctools.collapse.catalogue import METRICS
from nctools.collapse.depth import ACCURACY, EPS, depth_by_group
from nctools.collapse.space_result import (
    FORMAT,
    FORMAT_VERSION,
    LATER_COLUMNS,
    TABLE_COLUMNS,
    SpaceResult,
    document_of,
    parts_of,
    parts_of_table,
)
from nctools.errors import StoreError, UnknownNameError
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd


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
        """Tidy table: ``space, split, group, metric, value, num_classes, n_min, n_max, num_used, low, high``.

        ``num_classes``, ``n_min`` and ``n_max`` describe the present classes of the group; ``num_used`` of them have a
        number that enters the value. ``low`` and ``high`` are NaN unless bootstrap intervals were asked for.
        """
        import pandas as pd

        return pd.DataFrame([row for part in self.parts for row in part.rows], columns=list(TABLE_COLUMNS))

    @property
    def per_class(self) -> pd.DataFrame:
        """A row for each space and class: ``space, class_index, class_name, group, n`` and a column for each metric."""
        import pandas as pd

        return pd.DataFrame([row for part in self.parts for row in part.class_rows])

    @property
    def by_multiplicity(self) -> pd.DataFrame:
        """Multi-label metrics of shared features by number of labels; empty for other features.

        ``space, multiplicity, num_sets, num_images`` and a column for each metric.
        """
        import pandas as pd

        return pd.DataFrame([row for part in self.parts for row in part.multiplicity_rows])

    @property
    def blocks(self) -> dict[str, pd.DataFrame]:
        """Group x group means of the pair metrics in the main space, over pairs with one end in each group."""
        import pandas as pd

        blocks = self.parts[0].blocks
        return {metric: pd.DataFrame.from_dict(values, orient="index") for metric, values in blocks.items()}

    @property
    def references(self) -> dict[str, dict[str, dict[str, float]]]:
        """Reference -> group -> metric -> value in the main space: what random or collapsed features would give.

        Empty unless references were asked for.
        """
        return deepcopy(self.parts[0].references)

    @property
    def definitions(self) -> dict[str, dict[str, object]]:
        """Metric -> title, formula, source, limit, direction, rule for groups, and the settings that change it.

        ``nc2_etf_error`` also has its ``floor`` for the width of the (first) space.
        """
        found: dict[str, dict[str, object]] = {}
        for part in self.parts:
            for metric, definition in part.definitions.items():
                found.setdefault(metric, dict(definition))
        return found

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

    def by_layer(self, metric: str) -> pd.DataFrame:
        """Give one metric over the layers.

        Args:
            metric: Metric id.

        Returns:
            Layers x groups, the layers in their order; NaN where a layer or group has no value.

        Raises:
            UnknownNameError: If no layer has this metric.
        """
        import pandas as pd

        values = self._over_layers(metric)
        if not any(values.values()):
            raise UnknownNameError("metric", metric, list(self.definitions))
        groups = dict.fromkeys(str(row["group"]) for part in self.parts for row in part.rows)
        table = pd.DataFrame.from_dict(values, orient="index", dtype=float)
        return table.reindex(index=self.spaces, columns=list(groups)).rename_axis(index="layer", columns="group")

    def effective_depth(self, eps: float = EPS) -> dict[str, str | None]:
        """Name, for each group, the first layer from which on the nearest class mean classifies all but ``eps``.

        The spaces are taken as layers in the order of the forward pass: extract them in that order.

        Args:
            eps: Share of pairs, 0 to 1, whose nearest class mean may be a wrong one; see
                ``nctools.collapse.effective_depth``.

        Returns:
            Group -> name of the layer; None if not even the last layer reaches it.

        Raises:
            ValueError: If ``nc4_ncc_accuracy`` was not measured in every space, or the spaces are of different kinds.
        """
        kinds = {part.space: part.kind for part in self.parts}
        return depth_by_group(self._over_layers(ACCURACY), kinds, eps=eps)

    def _over_layers(self, metric: str) -> dict[str, dict[str, float]]:
        return {
            part.space: {str(row["group"]): float(row["value"]) for row in part.rows if row["metric"] == metric}
            for part in self.parts
        }

    def to_document(self) -> dict[str, object]:
        """Give everything as one JSON-ready document; NaN becomes None, infinity ``"inf"``.

        Returns:
            Table, per-class values, blocks, definitions, settings and warnings.
        """
        return document_of(self.parts)

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
                self.table.to_csv(temporary, index=False, na_rep="nan")
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
        values = self.to_dict()
        shown = ", ".join(f"{name}={value:.4g}" for name, value in list(values["all"].items())[:3])
        groups = ", ".join(name for name in values if name != "all") or "none"
        return (
            f"CollapseResult(spaces: {', '.join(self.spaces)}; groups: {groups}; "
            f"{len(values['all'])} metrics: {shown}{', ...' if len(values['all']) > 3 else ''})"
        )


def load_result(path: str | Path) -> CollapseResult:
    """Read what ``CollapseResult.save`` wrote.

    Args:
        path: A ``.json`` file (everything), or a ``.csv`` file (the tidy table alone).

    Returns:
        The same result; of a ``.csv`` file, one without values of classes, blocks, settings and warnings.

    Raises:
        StoreError: If the file is missing, damaged, or not a result.

    Example:
        >>> load_result("nowhere.json")
        Traceback (most recent call last):
        nctools.errors.StoreError: nowhere.json cannot be read as an NC result ([Errno 2] No such file or directory...
    """
    source = Path(path)
    is_table = source.suffix.lower() == ".csv"
    try:
        text = source.read_text(encoding="utf-8")
        document: object = None if is_table else json.loads(text)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as an NC result ({' '.join(str(error).split())})") from error
    try:
        parts = _table_parts(text, path) if is_table else _document_parts(document, path)
        return CollapseResult(parts)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is a damaged NC result ({type(error).__name__}: {error})") from error


def _document_parts(document: object, path: str | Path) -> list[SpaceResult]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoreError(f"{path} is not an NC result: save one with result.save('nc.json')")
    if document.get("format_version") != FORMAT_VERSION:
        found = document.get("format_version")
        raise StoreError(f"{path} has result format {found!r}, this nctools reads {FORMAT_VERSION}: update nctools")
    return parts_of(document)


def _table_parts(text: str, path: str | Path) -> list[SpaceResult]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in TABLE_COLUMNS if name not in (reader.fieldnames or []) and name not in LATER_COLUMNS]
    if missing:
        raise StoreError(f"{path} is not the table of an NC result: it has no column {missing[0]!r}")
    return parts_of_table(list(reader), {name: metric.definition() for name, metric in METRICS.items()})
