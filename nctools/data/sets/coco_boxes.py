"""The boxes of a COCO-style file, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nctools.data.boxes import Boxes, boxes_from
from nctools.data.published.facts import COCO_CLASSES
from nctools.data.sets.json_parts import read_in_parts
from nctools.data.text_files import read_text

_Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class CocoBoxes:
    """Reads the boxes of images from the file that their labels come from; a ``BoxReader``.

    The whole file is read again: 20 MB for the 5,000 images of val2017, 450 MB for train2017.

    Args:
        path: The .json file, whose labels were found to be sound.
        class_names: Names of the C classes; annotations of others have no box.
    """

    path: Path
    class_names: tuple[str, ...]

    def __call__(self, ids: Sequence[str]) -> Boxes:
        """Read the boxes of some images.

        Args:
            ids: The images.

        Returns:
            A box for each annotation that counts as a label and has one, crowds too.

        Raises:
            DatasetError: If the file cannot be read any more.
        """
        place = {name: index for index, name in enumerate(ids)}
        found: list[tuple[int, int, _Corners]] = []
        names: dict[int, str] = {}

        def take(entries: list[object], _start: int) -> None:
            found.extend((place[image], category, box) for image, category, box in _rows(entries) if image in place)

        def take_names(entries: list[object], _start: int) -> None:
            names.update({entry["id"]: usual_name(entry["name"]) for entry in entries if isinstance(entry, dict)})

        read_in_parts(read_text(self.path), self.path, {"annotations": take, "categories": take_names})
        column = {name: index for index, name in enumerate(self.class_names)}
        known = {category: column[name] for category, name in names.items() if name in column}
        return boxes_from((image, known[category], box) for image, category, box in found if category in known)


@dataclass(frozen=True)
class CocoFolderBoxes:
    """Reads the boxes of images that lie in several files, each read only where it is needed; a ``BoxReader``.

    Args:
        files: A reader for each file.
        places: Of each id the number of its file, and the id that it has there.
    """

    files: tuple[CocoBoxes, ...]
    places: Mapping[str, tuple[int, str]]

    def __call__(self, ids: Sequence[str]) -> Boxes:
        """Read the boxes of some images.

        Args:
            ids: The images.

        Returns:
            As ``CocoBoxes``, one file after the other.

        Raises:
            DatasetError: If a file cannot be read any more.
        """
        found = boxes_from([])
        for number, file in enumerate(self.files):
            rows = [row for row, name in enumerate(ids) if self.places[name][0] == number]
            if rows:
                part = file([self.places[ids[row]][1] for row in rows])
                found = Boxes(
                    np.concatenate([found.images, np.array(rows, dtype=np.int64)[part.images]]),
                    np.concatenate([found.classes, part.classes]),
                    np.concatenate([found.corners, part.corners]),
                )
        return found


def usual_name(name: str) -> str:
    """Return the name of a category as COCO has it; released code writes ``traffic_light``.

    Args:
        name: A name; those of other sets are left as they are.

    Returns:
        The name.
    """
    spaced = name.replace("_", " ")
    return spaced if spaced in COCO_CLASSES else name


def _rows(entries: list[object]) -> Iterator[tuple[str, int, _Corners]]:
    # What counts as a label, see `read_instances`.
    for entry in entries:
        if not isinstance(entry, dict) or not entry.get("bbox") or entry.get("ignore"):
            continue
        left, upper, width, height = entry["bbox"]
        area = entry.get("area")
        if width >= 1 and height >= 1 and (not isinstance(area, int | float) or area > 0):
            yield str(entry["image_id"]), entry["category_id"], (left, upper, left + width, upper + height)
