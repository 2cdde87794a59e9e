"""Reads labels from JSON: a list of images with labels, or image -> 0, 1, -1 (unknown), or image -> names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from nctools.data.own.label_rows import NO_BIT, LabelRows
from nctools.data.text_files import shortened
from nctools.errors import DatasetError

_FORMS = (
    '{"classes": ["cat", "dog"], "images": [{"file": "a.jpg", "labels": ["cat", 1]}]}, '
    '{"a.jpg": [0, 1]} or {"a.jpg": ["cat", "dog"]}'
)


def read_json(text: str, path: Path) -> LabelRows:
    """Read one of the three forms.

    Args:
        text: Content of the file.
        path: The file, for messages.

    Returns:
        Its images; problems of single images are collected in it.

    Raises:
        DatasetError: If it is no JSON, or of no form that is known.

    Example:
        >>> rows = read_json('{"a.jpg": ["dog"], "b.jpg": ["cat", "dog"]}', Path("labels.json"))
        >>> rows.class_names, rows.labels
        (['cat', 'dog'], [[1], [0, 1]])
    """
    rows = LabelRows()
    document, twice = _document(text, path)
    for key in twice:
        rows.refuse("an object", f"the key {key!r} occurs twice in it", "duplicate_id")
    classes = _classes(document.pop("classes", None), path)
    images = document.get("images")
    # An image file could be called "images", but its value would be a list of numbers or names.
    if isinstance(images, list) and all(isinstance(image, dict) for image in images):
        _add_names(rows, _listed(rows, images), classes)
    elif any(isinstance(label, str) for labels in document.values() if isinstance(labels, list) for label in labels):
        _add_names(rows, [(f"image {file!r}", file, "", labels) for file, labels in document.items()], classes)
    else:
        _add_multi_hot(rows, document, classes)
    if not rows.files and not rows.problems:
        raise DatasetError(f"{path} names no image: it must be {_FORMS}")
    if not rows.class_names and not rows.problems:
        raise DatasetError(f'{path} names no class: add "classes": [...] with the names of all classes')
    return rows


def _document(text: str, path: Path) -> tuple[dict[str, object], list[str]]:
    # The object in the text, and keys that occur twice in it or below.
    twice: list[str] = []

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        document = dict(pairs)
        if len(document) < len(pairs):
            twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return document

    try:
        document = json.loads(text, object_pairs_hook=members)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
        raise DatasetError(f"{path} is not valid JSON ({error}): it must be {_FORMS}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path} holds a JSON {type(document).__name__}: it must be {_FORMS}")
    if "annotations" in document:
        raise DatasetError(
            f"{path} looks like annotations of COCO, not like a table: load_own reads them; a table is {_FORMS}"
        )
    return document, twice


def _classes(value: object, path: Path) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise DatasetError(f'{path}: "classes" must be a list of names, such as ["cat", "dog"]')
    names = [str(name) for name in value]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DatasetError(f'{path}: "classes" holds {twice!r} more than once')
    return names


def _listed(rows: LabelRows, images: list[dict[str, object]]) -> Iterable[tuple[str, str, str, object]]:
    """Yield place, file, split and labels of each image of the first form."""
    for number, image in enumerate(images, start=1):
        file, split = image.get("file"), image.get("split", "")
        unknown = sorted(set(image) - {"file", "labels", "split"})
        if unknown:
            rows.refuse(f"image {number}", f'unknown key {unknown[0]!r}; there are "file", "labels" and "split"')
        elif not isinstance(file, str) or not isinstance(split, str):
            rows.refuse(f"image {number}", '"file" and "split" must be texts')
        else:
            yield f"image {number}", file, split, image.get("labels")


def _add_names(rows: LabelRows, images: Iterable[tuple[str, str, str, object]], classes: list[str] | None) -> None:
    found = list(images)
    if classes is None:
        named = (label for *_, labels in found if isinstance(labels, list) for label in labels)
        rows.class_names = sorted({label for label in named if isinstance(label, str)})
    else:
        rows.class_names = classes
    indices = {name: index for index, name in enumerate(rows.class_names)}
    for place, file, split, labels in found:
        if not isinstance(labels, list):
            rows.refuse(place, f"the labels are {shortened(labels)}; they must be a list")
            labels = []
        known = []
        for label in labels:
            index = indices.get(label) if isinstance(label, str) else label if type(label) is int else None
            if index is None:
                rows.refuse(place, f"unknown class {shortened(label)}", "unknown_class")
            elif classes is None and not isinstance(label, str):
                rows.refuse(
                    place, f'{shortened(label)} is the index of a class, but there is no "classes"', "unknown_class"
                )
            elif not 0 <= index < len(indices):
                rows.refuse(
                    place, f"class {shortened(index)}, but there are {len(indices)}, counted from 0", "unknown_class"
                )
            else:
                known.append(index)
        rows.add(place, file, split, known)


def _add_multi_hot(rows: LabelRows, document: dict[str, object], classes: list[str] | None) -> None:
    lengths = [len(labels) for labels in document.values() if isinstance(labels, list)]
    rows.class_names = [str(index) for index in range(lengths[0] if lengths else 0)] if classes is None else classes
    for file, labels in document.items():
        place = f"image {file!r}"
        if not isinstance(labels, list):
            rows.refuse(place, f"the labels are {shortened(labels)}; they must be a list")
            continue
        # With names of classes in their order, an image without any may be written [].
        if len(labels) != len(rows.class_names) and (labels or classes is None):
            rows.refuse(place, f"{len(labels)} values, but there are {len(rows.class_names)} classes", "row_length")
            continue
        wrong = [index for index, value in enumerate(labels) if isinstance(value, bool) or value not in (0, 1, -1)]
        for index in wrong:
            rows.refuse(f"{place}, class {rows.class_names[index]!r}", f"{shortened(labels[index])} {NO_BIT}")
        present, unknown = ([index for index, value in enumerate(labels) if value == mark] for mark in (1, -1))
        rows.add(place, file, "", present, unknown)
