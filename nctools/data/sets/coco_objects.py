"""The annotations of a COCO-style file as columns of numbers: a million of them make the labels in one step."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Problem
from nctools.data.text_files import shortened

_WHOLE = [0, 0, 1, 1]
_NUMBERS = {int, float}
# No picture is so large; infinity and what is not a number are not below it either.
_LARGEST = 1e15
# Numbers of images and categories that are not in the file, and of those that are, but were left out.
_UNKNOWN, _LEFT_OUT = -2, -1


class ObjectColumns:
    """Collects image and category of each annotation.

    Whole pieces are checked by the types in their columns. Where these do not fit, each annotation of the piece is
    looked at by itself, to say which one is wrong.

    Args:
        path: The file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        # Each id gets a number when it comes first: images may stand behind the annotations.
        self._image_numbers: defaultdict[int | str, int] = defaultdict(itertools.count().__next__)
        self._category_numbers: defaultdict[int, int] = defaultdict(itertools.count().__next__)
        self._images: list[NDArray[np.int32]] = []
        self._categories: list[NDArray[np.int32]] = []
        self._counted: list[NDArray[np.bool_]] = []
        self._places: list[NDArray[np.int32]] = []
        self._ids: list[object] = []

    def take(self, entries: list[object], start: int) -> None:
        """Take the next annotations.

        Args:
            entries: As JSON has them.
            start: Place of the first one, counted from 0.
        """
        places = range(start, start + len(entries))
        try:
            self._take(entries, places)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            wrong = [_what_is_wrong(entry) for entry in entries]
            self.problems += [
                Problem(self._place(place, entry.get("id") if isinstance(entry, dict) else None), what)
                for place, entry, what in zip(places, entries, wrong, strict=True)
                if what
            ]
            good = [row for row, what in enumerate(wrong) if not what]
            self._take([_without_blanks(entries[row]) for row in good], [places[row] for row in good])

    def labels(
        self, image_rows: Mapping[str, int], category_columns: Mapping[int, int], shape: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], list[Problem]]:
        """Make the labels of what was taken.

        Args:
            image_rows: Row of each image by its id, -1 for one that was left out.
            category_columns: Column of each category by its id, -1 for one that was left out.
            shape: Images and classes.

        Returns:
            uint8 of that shape, and what is wrong with the annotations.
        """
        labels = np.zeros(shape, dtype=np.uint8)
        if not self._images:
            return labels, self.problems
        images, categories = np.concatenate(self._images), np.concatenate(self._categories)
        rows = np.array([image_rows.get(str(name), _UNKNOWN) for name in self._image_numbers] or [0])[images]
        columns = np.array([category_columns.get(name, _UNKNOWN) for name in self._category_numbers] or [0])[categories]
        counted = np.concatenate(self._counted)
        present = counted & (rows >= 0) & (columns >= 0)
        labels[rows[present], columns[present]] = 1
        problems = [
            *self.problems,
            *self._unknown("image", "images", images, rows == _UNKNOWN, list(self._image_numbers)),
            *self._unknown("category", "categories", categories, columns == _UNKNOWN, list(self._category_numbers)),
        ]
        if len(counted) and not counted.any():
            what = f"none of {len(counted):,} counts: each has area 0, a box less than 1 wide or high, or ignore"
            problems.append(Problem(f"{self.path}, annotations", what))
        return labels, problems

    def _take(self, entries: Sequence[object], places: Sequence[int]) -> None:
        # All columns before the first is kept: a piece that does not fit must leave nothing behind.
        images = [entry["image_id"] for entry in entries]  # type: ignore[index]
        categories = [entry["category_id"] for entry in entries]  # type: ignore[index]
        areas = [entry.get("area", 1) for entry in entries]  # type: ignore[attr-defined]
        boxes = [entry.get("bbox", _WHOLE) for entry in entries]  # type: ignore[attr-defined]
        ignored = [entry.get("ignore", 0) for entry in entries]  # type: ignore[attr-defined]
        _, _, widths, heights = zip(*boxes, strict=True) if boxes else ((), (), (), ())
        _check_types(images, {int, str})
        _check_types(categories, {int})
        _check_types(boxes, {list})
        _check_types(ignored, {int, bool})
        for column in (areas, widths, heights):
            _check_types(column, _NUMBERS)
        sizes = np.array([areas, widths, heights], dtype=np.float64)
        if not (np.abs(sizes) < _LARGEST).all():
            raise ValueError("a size that is no number")
        self._counted.append((sizes[0] > 0) & (sizes[1] >= 1) & (sizes[2] >= 1) & ~np.array(ignored, dtype=np.bool_))
        self._images.append(_numbered(self._image_numbers, images))
        self._categories.append(_numbered(self._category_numbers, categories))
        self._places.append(np.array(places, dtype=np.int32))
        self._ids += [entry.get("id") for entry in entries]  # type: ignore[attr-defined]

    def _unknown(
        self,
        kind: str,
        all_of_kind: str,
        numbers: NDArray[np.int32],
        unknown: NDArray[np.bool_],
        names: Sequence[object],
    ) -> list[Problem]:
        # One problem for each image or category, however many annotations name it.
        found = np.flatnonzero(unknown)
        each, first, times = np.unique(numbers[found], return_index=True, return_counts=True)
        places = np.concatenate(self._places)
        problems = []
        for index in np.argsort(first):
            row = int(found[first[index]])
            others = int(times[index]) - 1
            more = f" ({others:,} more annotations name it)" if others else ""
            what = f"{kind}_id {names[each[index]]!r} is not the id of one of the {all_of_kind}{more}"
            place = self._place(int(places[row]), self._ids[row])
            problems.append(Problem(place, what, "unknown_class" if kind == "category" else "unknown_id"))
        return problems

    def _place(self, place: int, identity: object) -> str:
        known = f" (id {identity})" if type(identity) in {int, str} else ""
        return f"{self.path}, annotation {place + 1}{known}"


def _numbered(numbers: defaultdict[int | str, int] | defaultdict[int, int], names: list[int]) -> NDArray[np.int32]:
    return np.array([numbers[name] for name in names], dtype=np.int32)


def _check_types(column: Sequence[object], allowed: set[type]) -> None:
    if not set(map(type, column)) <= allowed:
        raise TypeError("a value of another type")


def _without_blanks(entry: object) -> object:
    # Exports of labels alone write null or [] where there is no area and no box.
    return (
        {key: value for key, value in entry.items() if value is not None and value != []}
        if isinstance(entry, dict)
        else entry
    )


def _what_is_wrong(entry: object) -> str:
    if not isinstance(entry, dict):
        return f"is {shortened(entry)}: it must be an object with image_id and category_id"
    for key, kinds, what in (("image_id", {int, str}, "a whole number"), ("category_id", {int}, "a whole number")):
        if key not in entry:
            return f'has no "{key}": add it'
        if type(entry[key]) not in kinds:
            return f'"{key}" is {shortened(entry[key])}: it must be {what}'
    area, box, ignore = entry.get("area"), entry.get("bbox"), entry.get("ignore")
    if not (area is None or area == [] or _is_size(area)):
        return f'"area" is {shortened(area)}: it must be a number'
    # Only width and height are looked at.
    if not (box is None or box == []) and not (isinstance(box, list) and len(box) == 4 and all(map(_is_size, box[2:]))):
        return f'"bbox" is {shortened(box)}: it must be four numbers: x, y, width, height'
    if not (ignore is None or ignore == [] or type(ignore) in {int, bool}):
        return f'"ignore" is {shortened(ignore)}: it must be 0 or 1'
    return ""


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and abs(value) < _LARGEST
