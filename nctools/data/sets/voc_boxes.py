"""The boxes of annotation files in the form of PASCAL VOC, read when they are asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from nctools.data.boxes import Boxes, boxes_from
from nctools.data.sets.voc_xml import DocumentReader, read_with
from nctools.data.text_files import shortened

_SIDES = ("xmin", "ymin", "xmax", "ymax")
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class VocBoxes:
    """Reads the boxes of images from their annotation files; a ``BoxReader``.

    Args:
        folder: Folder of the files ``<id>.xml``.
        class_names: Names of the C classes; objects of others have no box.
    """

    folder: Path
    class_names: tuple[str, ...]

    def __call__(self, ids: Sequence[str]) -> Boxes:
        """Read the boxes of some images.

        Args:
            ids: The images.

        Returns:
            A box for each object that has one, difficult objects too.

        Raises:
            VocXmlError: If a file is missing, no annotation, or has a box that is none.
        """
        columns = {name: column for column, name in enumerate(self.class_names)}
        return boxes_from(
            (image, columns[name], corners)
            for image, name_of_image in enumerate(ids)
            for name, corners in read_voc_boxes(self.folder / f"{name_of_image}.xml")
            if name in columns
        )


def read_voc_boxes(path: str | os.PathLike[str]) -> list[tuple[str, Corners]]:
    """Read the boxes of one annotation file.

    VOC counts pixels from 1 and its box contains both its ends: ``xmin`` 1 and ``xmax`` 8 reach from 0 to 8.

    Args:
        path: The file.

    Returns:
        Class name and (x0, y0, x1, y1) of each object with a ``bndbox``, in the order of the file. Parts of a person
        have boxes too, which are left out.

    Raises:
        VocXmlError: As ``read_voc_document``, or if a box lacks a side, a side is no number, or the box is empty.
    """
    return read_with(_BoxReader, path).boxes


class _BoxReader(DocumentReader):
    """Keeps the boxes beside what its base keeps."""

    __slots__ = ("_in_box", "_sides", "boxes")

    def __init__(self, parser: expat.XMLParserType) -> None:
        super().__init__(parser)
        self.boxes: list[tuple[str, Corners]] = []
        self._in_box = False
        self._sides: dict[str, float] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        super().start(tag, attributes)
        if self._depth == 2:
            self._sides = None
        elif self._depth == 3 and self._in_object and tag == "bndbox":
            self._in_box, self._sides = True, {}
        elif self._depth == 4 and self._in_box and tag in _SIDES:
            self._listen()

    def end(self, tag: str) -> None:
        depth, inside = self._depth, self._in_object
        super().end(tag)
        if depth == 4 and self._in_box and tag in _SIDES and self._sides is not None:
            self._sides[tag] = self._number(tag)
        elif depth == 3:
            self._in_box = False
        elif depth == 2 and inside and self._sides is not None:
            self.boxes.append((self.objects[-1].name, self._corners(self._sides)))

    def _number(self, side: str) -> float:
        text = "".join(self._text).strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self._refuse(f"object {len(self.objects) + 1} has the {side} {shortened(text)}: write a number of pixels")
        return value

    def _corners(self, sides: dict[str, float]) -> Corners:
        missing = [side for side in _SIDES if side not in sides]
        if missing:
            self._refuse(f"the box of object {len(self.objects)} has no {' and no '.join(missing)}: add it")
        left, upper, right, lower = (sides[side] for side in _SIDES)
        if right < left or lower < upper:
            self._refuse(
                f"the box of object {len(self.objects)} reaches from ({left:g}, {upper:g}) to ({right:g}, {lower:g}): "
                "xmax and ymax must not be smaller than xmin and ymin"
            )
        return left - 1, upper - 1, right, lower
