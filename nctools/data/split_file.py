"""The split file: one plain JSON document that names the training images of a long-tailed set, and their labels."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import check_groups
from nctools.data.label_matrix import class_counts
from nctools.data.plain_values import check_plain, check_text
from nctools.errors import DatasetError
from nctools.run_directory import replace_atomically

SPLIT_FORMAT = "nctools-split"
SPLIT_VERSION = 1
# How far a file is read before it is said not to be a split file: its keys may have been sorted.
_BEGINNING = 2**16


@dataclass(frozen=True)
class SplitFile:
    """A training set drawn from a source of images.

    Args:
        name: Name of the set: ``"voc_lt"``, or what the user calls it.
        source: Where the images lie: ``"voc"``, ``"coco"``, ``"vg"``, ... or the path of the user's own data.
        class_names: Names of the C classes.
        ids: N different ids of training images, in the order of the draw.
        labels: uint8 ``[N, C]`` as training sees them.
        full_labels: uint8 ``[N, C]`` before labels were dropped, for diagnosis; None: nothing was dropped, or unknown.
        groups: Named lists of class indices; None: from the counts of ``labels``.
        made_by: How it was made, for people: plain values, by name.
        notes: What differs from what was expected, in words.

    Raises:
        ValueError: If the parts do not fit together. The message begins with the part, or with the image, counted
            from 1.
        TypeError: If a part has the wrong type.

    Example:
        >>> split = SplitFile("two", "voc", ["cat", "dog"], ["a", "b"], np.array([[1, 0], [1, 1]], dtype=np.uint8))
        >>> len(split), split.class_counts
        (2, [2, 1])
    """

    name: str
    source: str
    class_names: list[str]
    ids: list[str]
    labels: NDArray[np.uint8]
    full_labels: NDArray[np.uint8] | None = None
    groups: dict[str, list[int]] | None = None
    made_by: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for part in ("class_names", "ids", "notes", "made_by"):
            wanted, value = dict if part == "made_by" else list, getattr(self, part)
            if not isinstance(value, wanted):
                raise TypeError(f"`{part}`: a {type(value).__name__}; it must be a {wanted.__name__}")
        check_text(self.name, "`name`")
        check_text(self.source, "`source`")
        _check_distinct(self.class_names, "class_names")
        _check_distinct(self.ids, "ids")
        _check_labels(self)
        if self.groups is not None:
            try:
                object.__setattr__(self, "groups", check_groups(self.groups, len(self.class_names)))
            except (TypeError, ValueError) as error:
                raise type(error)(f"`groups`: {error}") from error
        check_plain(self.made_by, "`made_by`")
        for note in self.notes:
            check_text(note, "`notes`")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def class_counts(self) -> list[int]:
        """Images with each class, as training sees them."""
        return class_counts(self.labels)


def save_split(split: SplitFile, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a split file: JSON in UTF-8 with a line for each image; a reader sees all of it or nothing.

    Args:
        split: What is written.
        path: The file, such as ``voc_lt.json``. Its folder is made when missing.
        force: Replace a file that is there.

    Raises:
        DatasetError: If the file exists and ``force`` is off, or it cannot be written.

    Example:
        >>> import tempfile
        >>> split = SplitFile("two", "voc", ["cat", "dog"], ["a", "b"], np.array([[1, 0], [1, 1]], dtype=np.uint8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_split(split, f"{folder}/two.json")
        ...     lines = Path(folder, "two.json").read_text().splitlines()
        ...     again = load_split(f"{folder}/two.json")
        >>> lines[-4], again.ids
        ('    {"id": "a", "labels": [0]},', ['a', 'b'])
    """
    target = Path(path)
    if target.is_dir() or (target.exists() and not force):
        mend = "name a file" if target.is_dir() else "pass force=True (--force) to replace it, or name another file"
        raise DatasetError(f"{target} exists already{' and is a folder' if target.is_dir() else ''}: {mend}")
    try:
        with replace_atomically(target) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in _lines(split))
    except OSError as error:
        raise DatasetError(f"{target} cannot be written: {error.strerror or error}") from error


def load_split(path: str | os.PathLike[str]) -> SplitFile:
    """Read a split file and check all of it.

    Args:
        path: What ``save_split`` wrote, perhaps changed by hand.

    Returns:
        Its content.

    Raises:
        DatasetError: If it is missing, no split file, of another version, or wrong: the message names the image.
    """
    file = Path(path)
    try:
        document = json.loads(file.read_bytes().decode("utf-8-sig"), object_pairs_hook=_members)
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise DatasetError(f"{file} {reason}: give a split file that nctools wrote") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file} is not valid JSON ({error}): a split file is; was it cut off?") from error
    if not isinstance(document, dict) or document.get("format") != SPLIT_FORMAT:
        raise DatasetError(f'{file} is no split file: it does not say "format": "{SPLIT_FORMAT}"')
    version = document.get("format_version")
    if type(version) is not int or version != SPLIT_VERSION:
        raise DatasetError(
            f"{file} is a split file of version {version!r}; this nctools reads version {SPLIT_VERSION}: "
            "make the file again, or take the nctools that wrote it"
        )
    try:
        return _split(document)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{file}, {error}") from error


def is_split_file(path: str | os.PathLike[str]) -> bool:
    """Tell from its beginning whether a file claims to be a split file.

    Args:
        path: Any path.

    Returns:
        Whether there is such a file; it may yet hold errors.

    Example:
        >>> is_split_file("no/such/file.json")
        False
    """
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return False
    return re.match(rb'(?s)(\xef\xbb\xbf)?\s*\{.*"format"\s*:\s*"nctools-split"', beginning) is not None


def _lines(split: SplitFile) -> Iterator[str]:
    head = {
        "format": SPLIT_FORMAT,
        "format_version": SPLIT_VERSION,
        **{entry.name: getattr(split, entry.name) for entry in fields(split) if entry.name in _HEAD},
    }
    yield "{"
    for key, value in head.items():
        yield f'  "{key}": {_dumps(value)},'
    yield '  "images": ['
    for row, image_id in enumerate(split.ids):
        image: dict[str, object] = {"id": image_id, "labels": np.flatnonzero(split.labels[row]).tolist()}
        if split.full_labels is not None:
            image["full_labels"] = np.flatnonzero(split.full_labels[row]).tolist()
        yield f"    {_dumps(image)}{',' if row + 1 < len(split) else ''}"
    yield "  ]"
    yield "}"


_HEAD = ("name", "source", "class_names", "groups", "made_by", "notes")


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {key!r} occurs more than once in one object")
    return document


def _split(document: dict[str, object]) -> SplitFile:
    known = ("format", "format_version", *_HEAD, "images")
    unknown = [key for key in document if key not in known]
    missing = [key for key in ("name", "source", "class_names", "images") if key not in document]
    if unknown or missing:
        what = f"unknown key {unknown[0]!r}" if unknown else f"the key {missing[0]!r} is missing"
        raise ValueError(f"top level: {what}; there are {', '.join(known)}")
    images, names = document["images"], document["class_names"]
    if not isinstance(images, list) or not isinstance(names, list):
        raise TypeError("`images` and `class_names` must be lists")
    ids: list[str] = []
    has_full = bool(images) and isinstance(images[0], dict) and "full_labels" in images[0]
    parts = ["labels", "full_labels"] if has_full else ["labels"]
    masks = {part: np.zeros((len(images), len(names)), dtype=np.uint8) for part in parts}
    for row, image in enumerate(images):
        if not isinstance(image, dict) or set(image) != {"id", *parts}:
            raise ValueError(f"image {row + 1}: it must have the keys id, {', '.join(parts)} and no other")
        ids.append(image["id"])
        for part in parts:
            masks[part][row, _indices(image[part], len(names), f"{_place(row, ids)}: {part}")] = 1
    # The parts have been read as they stand; SplitFile looks at their types.
    head = {key: document[key] for key in _HEAD if key in document}
    return SplitFile(ids=ids, **masks, **head)  # type: ignore[arg-type]


def _indices(values: object, num_classes: int, place: str) -> list[int]:
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise TypeError(f"{place} are {str(values)[:60]}; they must be a list of class indices")
    wrong = [value for value in values if not 0 <= value < num_classes]
    if wrong:
        raise ValueError(f"{place} hold class {wrong[0]}, but there are {num_classes}, counted from 0")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{place} hold class {twice} twice")
    return values


def _place(row: int, ids: list[str]) -> str:
    return f'image {row + 1} ("{ids[row]}")'


def _check_distinct(names: list[str], part: str) -> None:
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        check_text(name, f"`{part}`, entry {row + 1}")
        if name in first:
            raise ValueError(f"`{part}`, entry {row + 1}: {name!r} stands there before, as entry {first[name] + 1}")
        first[name] = row
    if not names:
        raise ValueError(f"`{part}`: the list is empty")


def _check_labels(split: SplitFile) -> None:
    expected = (len(split.ids), len(split.class_names))
    masks = [("labels", split.labels)]
    masks += [] if split.full_labels is None else [("full_labels", split.full_labels)]
    for part, mask in masks:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8:
            raise TypeError(f"`{part}`: {getattr(mask, 'dtype', type(mask).__name__)}; it must be an array of uint8")
        if mask.shape != expected:
            raise ValueError(
                f"`{part}`: shape {list(mask.shape)}, but there are {expected[0]} ids, {expected[1]} classes"
            )
        for row, column in np.argwhere(mask > 1)[:1]:
            value = f"{part} hold {mask[row, column]} for {split.class_names[column]!r}"
            raise ValueError(f"{_place(row, split.ids)}: {value}; it must be 0 or 1")
    if split.full_labels is not None:
        for row, column in np.argwhere(split.labels > split.full_labels)[:1]:
            what = f"has the label {split.class_names[column]!r}, which its full labels lack"
            raise ValueError(f"{_place(row, split.ids)}: {what}: labels may be dropped, never added")
