"""The forms that a user's own data may have, and what data of each form say about their images."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from nctools._factories import is_factory
from nctools.data.annotations import Annotations, Problem
from nctools.data.catalogue import DATASETS, canonical_name
from nctools.data.own.coco_files import annotation_files, coco_folder_annotations, with_found_files
from nctools.data.own.folder_annotations import folder_annotations
from nctools.data.own.folder_walk import folder_called, images_in
from nctools.data.own.label_list import read_numbered_list
from nctools.data.own.label_table import read_label_rows
from nctools.data.own.published_roots import refuse_published_root
from nctools.data.own.voc_files import read_voc_folder
from nctools.data.published.facts import PUBLISHED_SPLITS
from nctools.data.sets.coco_json import read_instances
from nctools.data.split_file import is_split_file, load_split
from nctools.errors import DatasetError

_FORMS = (
    "a folder ROOT/CLASS/image.jpg (or ROOT/SPLIT/CLASS/...), a folder with annotations of VOC (Annotations/*.xml) or "
    "COCO (annotations/*.json), a table of labels (.csv, .tsv), a .json file of labels or annotations of COCO, a list "
    "of labels (.txt with a path and class indices in each line), or package.module:factory for a function of yours"
)
# Of files that may hold own data.
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".txt"})
_FOLDER_NAMES = {"image folder": "images", "VOC folder": "VOC annotations", "COCO JSON": "COCO annotations"}
_LISTS = (re.compile(rb'"images"\s*:\s*\[\s*[{\]]'), re.compile(rb'"annotations"\s*:\s*\[\s*[{\]]'))
# Enough for the first lines of any list.
_HEAD = 65_536


@dataclass(frozen=True)
class OwnAnnotations:
    """What the user's own data say.

    Args:
        form: ``"image folder"``, ``"VOC folder"``, ``"COCO JSON"`` (file or folder), ``"CSV table"``,
            ``"JSON table"`` or ``"label list"``.
        annotations: All images, whatever their split, with what is wrong.
        splits: Rows of each split by name; empty where the data are not divided.
        single_label: Whether each image has one class by the very form.
        places: Where each image gets its labels, for messages.
        doubts: What can be read, but may be meant otherwise.
    """

    form: str
    annotations: Annotations
    splits: dict[str, list[int]] = field(default_factory=dict)
    single_label: bool = False
    places: list[str] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)


def open_own(path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> OwnAnnotations:
    r"""Read what the user's own data say, with all that is wrong; no image is opened.

    Args:
        path: A folder or a file of one of the forms.
        root: For a file, the folder that the paths of its images start from; default: its own.

    Returns:
        Images, labels, splits and problems.

    Raises:
        DatasetError: If the source does not exist, cannot be read at all, or is of no form that is known.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "labels.csv").write_text("image,cat,dog\na.png,1,yes\n")
        ...     found = open_own(Path(folder, "labels.csv"))
        >>> found.form, found.annotations.ids, found.annotations.problems[0].what
        ('CSV table', ['a.png'], "'yes' is neither 0 nor 1, nor -1 for unknown")
    """
    path = Path(path)
    form = form_of(path)
    if path.is_dir():
        if root is not None:
            what = _FOLDER_NAMES[form]
            raise DatasetError(
                f"{path} is a folder of {what}, so root={os.fspath(root)!r} has no meaning: leave it out"
            )
        return _FOLDERS[form](path)
    folder = path.parent if root is None else Path(root)
    if not folder.is_dir():
        raise DatasetError(f"{folder}, the root of the images of {path}, is no folder: give the one that holds them")
    return _FILES[form](path, folder)


def form_of(path: Path) -> str:
    """Tell the form of the user's own data by what lies there.

    Args:
        path: Folder or file.

    Returns:
        As ``OwnAnnotations.form``.

    Raises:
        DatasetError: If there is nothing, or nothing of a known form; it lists the forms.
    """
    if path.is_dir():
        return _form_of_folder(path)
    suffix = path.suffix.lower()
    if not path.exists():
        _refuse_name(str(path))
        what = "names a function: call data_from_factory" if is_factory(str(path)) else "does not exist"
    elif not path.is_file():
        what = "is neither a folder nor a file"
    elif suffix in {".csv", ".tsv"}:
        return "CSV table"
    elif suffix == ".json":
        _refuse_split_file(path)
        return "COCO JSON" if _holds_coco(path) else "JSON table"
    elif suffix == ".txt" and _is_label_list(path):
        return "label list"
    else:
        what = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        what += ", but has no line `path 0 3 7`" if suffix == ".txt" else ""
    raise DatasetError(f"{path} {what}; own data are {_FORMS}")


def _refuse_name(name: str) -> None:
    entry = DATASETS.get(canonical_name(name))
    if entry is not None:
        root = " --data-root DIR" if entry.needs_root else ""
        drawn = PUBLISHED_SPLITS.get(entry.name)
        pool = f"; long-tailed sets like it are built from {drawn.source}" if drawn else ""
        raise DatasetError(
            f"{name} is a built-in data set, not a path of your own data: nctools data describe {entry.name}{root} "
            f"tells what is in it{pool}"
        )


def _refuse_split_file(path: Path) -> None:
    if is_split_file(path):
        source = load_split(path).source
        # As in `nctools.data.loading`: a path starts from the split file.
        images = "" if source in DATASETS else f"; validate the data it was drawn from, {path.parent / source}"
        raise DatasetError(
            f"{path} is a split file of nctools, which is used as --dataset {path}: nctools data describe tells what "
            f"is in it{images}"
        )


def _form_of_folder(folder: Path) -> str:
    if annotation_files(folder):
        return "COCO JSON"
    annotations = folder_called(folder, "annotations")
    if annotations is not None and _holds_xml(annotations):
        return "VOC folder"
    # Some tools put the .xml of an image beside it; a single one beside class folders may be anything.
    pictured = bool(images_in(folder)) or folder_called(folder, "jpegimages", "images") is not None
    if pictured and _holds_xml(folder):
        return "VOC folder"
    refuse_published_root(folder)
    return "image folder"


def _holds_xml(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".xml") and not entry.name.startswith(".") for entry in entries)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}") from error


def _holds_coco(path: Path) -> bool:
    # Looked for in the bytes: files of COCO have half a gigabyte, and parsing takes longer than all the rest.
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(pattern.search(content) for pattern in _LISTS)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def _is_label_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            lines = [line.split() for line in file.read(_HEAD).splitlines()]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    return any(len(words) > 1 and words[-1].isdigit() for words in lines)


def _open_image_folder(path: Path) -> OwnAnnotations:
    found, splits = folder_annotations(path)
    return OwnAnnotations("image folder", found, splits, single_label=True, places=[str(file) for file in found.paths])


def _open_voc_folder(path: Path) -> OwnAnnotations:
    found, listed = read_voc_folder(path)
    row_of = {name: row for row, name in enumerate(found.ids)}
    folder = folder_called(path, "annotations") or path
    splits = {split: [row_of[name] for name in names if name in row_of] for split, names in listed.items()}
    return OwnAnnotations("VOC folder", found, splits, places=[f"{folder / name}.xml" for name in found.ids])


def _open_coco_folder(path: Path) -> OwnAnnotations:
    found, splits, places = coco_folder_annotations(path)
    return OwnAnnotations("COCO JSON", found, splits, places=places)


def _open_coco(path: Path, root: Path) -> OwnAnnotations:
    found = with_found_files(read_instances(path, root=root), path)
    return OwnAnnotations("COCO JSON", found, places=[f"{path}, image id {name}" for name in found.ids])


def _open_table(path: Path, root: Path) -> OwnAnnotations:
    rows = read_label_rows(path)
    found = rows.annotations(str(path), root)
    problems, doubts = (
        [replace(problem, place=f"{path}, {problem.place}") for problem in told]
        for told in (found.problems, rows.doubts)
    )
    names = {name.lower(): name for name in reversed(rows.splits) if name}
    return OwnAnnotations(
        "JSON table" if path.suffix.lower() == ".json" else "CSV table",
        replace(found, problems=problems),
        {name: rows.rows_of(name) for name in reversed(names.values())},
        rows.single_label,
        [f"{path}, {place}" for place in rows.places],
        doubts,
    )


def _open_label_list(path: Path, root: Path) -> OwnAnnotations:
    found, lines = read_numbered_list(path, root=root)
    return OwnAnnotations("label list", found, places=[f"{path}, line {number}" for number in lines])


_FOLDERS: dict[str, Callable[[Path], OwnAnnotations]] = {
    "image folder": _open_image_folder,
    "VOC folder": _open_voc_folder,
    "COCO JSON": _open_coco_folder,
}
_FILES: dict[str, Callable[[Path, Path], OwnAnnotations]] = {
    "COCO JSON": _open_coco,
    "JSON table": _open_table,
    "CSV table": _open_table,
    "label list": _open_label_list,
}
