"""Reads labels from a COCO-style file of detection, ``images, annotations, categories``, of any set of images."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nctools.data.annotations import Annotations, Problem, Progress
from nctools.data.sets.coco_boxes import CocoBoxes, usual_name
from nctools.data.sets.coco_objects import ObjectColumns
from nctools.data.sets.json_parts import first_value, read_in_parts
from nctools.data.text_files import is_file_name, read_text, shortened
from nctools.errors import DatasetError

_FORM = 'labels are read from "images", "annotations" and "categories", as instances_train2017.json has them'
_ITS_OWN = "every image needs its own"
_OTHER_FILES = {
    "caption": "captions: texts, not labels",
    "segments_info": "panoptic annotations",
    "question_id": "questions or answers",
}


def read_instances(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str],
    file_prefix: str = "",
    class_names: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Annotations:
    """Read which classes each image of a COCO-style file holds.

    An image holds a class if an annotation of the class has an area above 0, a box at least 1 wide and 1 high, and is
    not marked ``ignore``; crowds count. An annotation without area or box counts as well: where labels were exported
    without boxes, they have none.

    Args:
        path: The .json file.
        root: Folder that the names of the files start from.
        file_prefix: Put before each of these names: ``"train2017/"``.
        class_names: Names of the C classes in the wished order; every category must be among them. Default: those of
            the file by ascending id.
        progress: Called now and then with the characters that were read and the number of them all.

    Returns:
        All images in the order of the file, also those without labels; ids are their numbers in decimal. Class names
        are those of the file, but COCO's own have blanks where some write underscores. What is wrong with single
        entries is in ``problems``.

    Raises:
        DatasetError: If the file is missing, cut off, no JSON, of another kind, or names no image or no category.

    Source:
        The rule of what counts: the released code of Distribution-Balanced Loss (ECCV 2020).

    Example:
        >>> import json, tempfile
        >>> document = {
        ...     "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
        ...     "categories": [{"id": 3, "name": "tree"}, {"id": 1, "name": "house"}],
        ...     "annotations": [{"id": 1, "image_id": 9, "category_id": 3, "area": 40.0, "bbox": [0, 0, 8, 5]}],
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "own.json").write_text(json.dumps(document))
        ...     found = read_instances(Path(folder, "own.json"), root=folder)
        >>> found.ids, found.class_names, found.labels.tolist()
        (['7', '9'], ['house', 'tree'], [[0, 0], [0, 1]])
    """
    path = Path(path)
    text = read_text(path)
    if not re.match(r"\s*\{", text):
        _refuse_other_list(path, text)
    images, categories, objects = _Images(path), _Categories(path), ObjectColumns(path)

    def take_objects(entries: list[object], start: int) -> None:
        if not start:
            _refuse_other_objects(path, entries[0])
        objects.take(entries, start)

    takers = {"images": images.take, "annotations": take_objects, "categories": categories.take}
    names = read_in_parts(text, path, takers, progress)
    _check_members(path, names)
    columns = categories.columns(class_names)
    if not images.files or not categories.names:
        empty = "images" if not images.files else "categories"
        reason = (images.problems + categories.problems or [Problem("", f'"{empty}" is empty')])[0]
        raise DatasetError(f"{path} has none of the {empty} that labels are read from: {str(reason).lstrip(': ')}")
    shape = (len(images.files), len(categories.chosen))
    labels, problems = objects.labels(images.rows, columns, shape)
    return Annotations(
        path.stem,
        categories.chosen,
        images.ids,
        Path(root),
        [file_prefix + file for file in images.files],
        labels,
        problems=images.problems + categories.problems + problems,
        boxes=CocoBoxes(path, tuple(categories.chosen)),
    )


class _Images:
    """The images of the file.

    Args:
        path: The file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: list[str] = []
        self.files: list[str] = []
        # Row by id; -1 for an image that was left out, so that its annotations are not told a second time.
        self.rows: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._first: dict[str, int] = {}

    def take(self, entries: list[object], start: int) -> None:
        for number, entry in enumerate(entries, start=start + 1):
            identity = entry.get("id") if isinstance(entry, dict) else None
            what = self._add(number, identity, entry)
            if what:
                kind = "duplicate_id" if what.endswith(_ITS_OWN) else "bad_value"
                shown = f" (id {shortened(identity)})" if type(identity) in {int, str} else ""
                self.problems.append(Problem(f"{self.path}, image {number}{shown}", what, kind))

    def _add(self, number: int, identity: object, entry: object) -> str:
        # Returns what is wrong.
        if not isinstance(entry, dict):
            return f"is {shortened(entry)}: it must be an object with id and file_name"
        if type(identity) not in {int, str}:
            return (
                f'"id" is {shortened(identity)}: it must be a whole number' if "id" in entry else 'has no "id": add it'
            )
        key = str(identity)
        if key in self.rows:
            return f"another image has the same id: {_ITS_OWN}"
        file = entry.get("file_name")
        if not isinstance(file, str) or not is_file_name(file):
            self.rows[key] = -1
            if "file_name" not in entry:
                return 'has no "file_name": add it'
            return f'"file_name" is {shortened(file)}: it must be the path of a file'
        self.rows[key] = len(self.ids)
        self.ids.append(key)
        self.files.append(file)
        before = self._first.setdefault(file, number)
        return f"file_name {file!r} is that of image {before} too: {_ITS_OWN}" if before < number else ""


class _Categories:
    """The categories of the file.

    Args:
        path: The file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: dict[int, str] = {}
        self.problems: list[Problem] = []
        self.chosen: list[str] = []
        self._places: dict[int, str] = {}

    def take(self, entries: list[object], start: int) -> None:
        for number, entry in enumerate(entries, start=start + 1):
            place = f"{self.path}, category {number}"
            identity, name = (entry.get("id"), entry.get("name")) if isinstance(entry, dict) else (None, None)
            if type(identity) is not int:
                what = f"has the id {shortened(identity)}: every category needs a whole number"
            elif not isinstance(name, str) or not is_file_name(name):
                what = f"(id {identity}) has the name {shortened(name)}: every category needs a text"
            elif identity in self.names:
                what = f"has the id {identity}, and so has {self.names[identity]!r}: every category needs its own"
            else:
                self.names[identity] = usual_name(name)
                self._places[identity] = f"{place} (id {identity})"
                continue
            self.problems.append(Problem(place, what))

    def columns(self, class_names: Sequence[str] | None) -> dict[int, int]:
        """Choose the classes.

        Args:
            class_names: In the wished order, or None.

        Returns:
            Column of each category that is among the classes; -1 for the others.
        """
        ordered = sorted(self.names)
        self.chosen = [self.names[identity] for identity in ordered] if class_names is None else list(class_names)
        column = {name: index for index, name in reversed(list(enumerate(self.chosen)))}
        seen: set[str] = set()
        for identity in ordered:
            name = self.names[identity]
            if name in seen:
                what = f"another category is called {name!r} too: give each its own name"
                self.problems.append(Problem(self._places[identity], what, "duplicate_id"))
            elif name not in column:
                listed = ", ".join(self.chosen[:5]) + (", ..." if len(self.chosen) > 5 else "")
                what = f"the class {name!r} is not among the {len(self.chosen)} that are wanted ({listed})"
                self.problems.append(Problem(self._places[identity], what, "unknown_class"))
            seen.add(name)
        return {identity: column.get(self.names[identity], -1) for identity in ordered}


def _check_members(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in ("images", "annotations", "categories") if name not in names]
    if not missing:
        return
    there = ", ".join(shortened(name) for name in names[:6]) + (", ..." if len(names) > 6 else "")
    if missing == ["annotations"]:
        why = "it lists images without labels, as image_info_test2017.json does"
    elif missing == ["categories"]:
        why = "nothing says which classes there are"
    else:
        why = f"it has {there or 'nothing'}"
    raise DatasetError(f"{path} has no {' and no '.join(missing)}: {why}; {_FORM}")


def _refuse_other_list(path: Path, text: str) -> NoReturn:
    entry = first_value(text)
    if isinstance(entry, dict) and "image_id" in entry and ("score" in entry or "caption" in entry):
        what = "looks like results of a model (image_id with score or caption), not like annotations"
    elif isinstance(entry, dict):
        what = f"is a list of objects with {', '.join(shortened(name) for name in list(entry)[:4]) or 'nothing'}"
    else:
        what = f"is no JSON object: it begins with {text.lstrip()[:20]!r}"
    raise DatasetError(f"{path} {what}; {_FORM}")


def _refuse_other_objects(path: Path, entry: object) -> None:
    if isinstance(entry, dict) and "category_id" not in entry:
        for key, what in _OTHER_FILES.items():
            if key in entry:
                raise DatasetError(f"{path} looks like {what} ({key!r} in its annotations); {_FORM}")
