"""What ``localise`` found: tables by pair, class and group, and their files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nctools.evaluation.by_group import mean_by_group
from nctools.evaluation.localisation import mean_by_class
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd

MEASURES: Final = {"energy": "energy_chance", "pointing": "pointing_chance"}
"""Columns of a measure and of what chance gives."""
_VALUES: Final = ("energy", "energy_chance", "pointing", "pointing_chance")


@dataclass(frozen=True, eq=False)
class Localisation:
    """Where the maps of the true labels lie, measured against their boxes.

    Args:
        pairs: A row for each pair of an image and one of its labels that has a box: ``image`` (its id), ``class`` (its
            index), ``energy`` (share of the map in the box), ``energy_chance`` (share of the area), ``pointing`` (1
            where the maximum lies in the box), ``pointing_chance``, ``empty`` (the map has nothing positive, and gets
            the level of chance).
        class_names: Names of the C classes.
        groups: Named lists of class indices.
        facts: What was run, and how it was measured.
    """

    pairs: pd.DataFrame
    class_names: list[str]
    groups: dict[str, list[int]]
    facts: dict[str, object]

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """A row for each class: ``class, group, num_images`` and the four values, NaN for classes without a box."""
        import pandas as pd

        classes = self.pairs["class"].to_numpy(np.int64)
        group_of = {index: name for name, members in reversed(self.groups.items()) for index in members}
        num_classes = len(self.class_names)
        return pd.DataFrame(
            {
                "class": self.class_names,
                "group": [group_of.get(index, "") for index in range(num_classes)],
                "num_images": np.bincount(classes, minlength=num_classes),
                **{name: mean_by_class(self.pairs[name].to_numpy(float), classes, num_classes) for name in _VALUES},
            }
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each group and measure: ``group, measure, value, chance, num_classes, num_pairs``.

        Means over the classes of the group that have a box, each class counted once.
        """
        import pandas as pd

        classes = self.per_class
        means = {name: mean_by_group(classes[name].to_numpy(float), self.groups) for name in _VALUES}
        members = {"all": list(range(len(classes))), **self.groups}
        images = classes["num_images"].to_numpy()
        return pd.DataFrame(
            [
                {
                    "group": group,
                    "measure": measure,
                    "value": means[measure][group],
                    "chance": means[chance][group],
                    "num_classes": int((images[indices] > 0).sum()),
                    "num_pairs": int(images[indices].sum()),
                }
                for group, indices in members.items()
                for measure, chance in MEASURES.items()
            ]
        )

    def to_document(self) -> dict[str, object]:
        """Return facts, groups and classes as dicts, lists and numbers, ready for JSON; NaN becomes None."""
        return {**self.facts, "groups": _records(self.table), "classes": _records(self.per_class)}

    def save(self, path: str | Path) -> None:
        """Write the table by group as ``.csv``, or everything but the single pairs as ``.json``.

        Args:
            path: The file.

        Raises:
            ValueError: If it ends in neither.
        """
        suffix = Path(path).suffix
        if suffix not in {".csv", ".json"}:
            raise ValueError(f"cannot save a localisation as {path}: the suffix is {suffix!r}; use .csv or .json")
        with replace_atomically(path) as temporary:
            if suffix == ".csv":
                self.table.to_csv(temporary, index=False)
            else:
                text = json.dumps(self.to_document(), indent=2, ensure_ascii=False, allow_nan=False)
                temporary.write_text(text + "\n", encoding="utf-8")


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    records: list[dict[str, object]] = json.loads(table.to_json(orient="records", double_precision=15))
    return records
