"""The user's own images with annotations in the form of VOC: any classes, any of the usual folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from nctools.data.annotations import Annotations, Problem, Progress
from nctools.data.folder_search import file_names
from nctools.data.own.folder_walk import folder_called, images_in
from nctools.data.sets.voc import label_masks, read_documents, unknown_classes
from nctools.data.sets.voc_boxes import VocBoxes
from nctools.data.sets.voc_lists import read_id_list
from nctools.data.sets.voc_xml import VocDocument
from nctools.data.text_files import read_text
from nctools.errors import DatasetError

_LAYOUT = "ROOT/Annotations/*.xml with the images in ROOT/JPEGImages, ROOT/images or beside the .xml files"
_SPLITS = ("train", "val", "test", "trainval")
_CLASS_LISTS = ("classes.txt", "labels.txt")


def read_voc_folder(
    root: str | os.PathLike[str], *, progress: Progress | None = None
) -> tuple[Annotations, dict[str, list[str]]]:
    """Read a folder of images with annotation files in the form of VOC.

    The annotations lie in ``ROOT/Annotations`` or in ``ROOT`` itself, the images in ``ROOT/JPEGImages``,
    ``ROOT/images`` or beside the annotations. The image of ``a.xml`` is ``a.jpg`` (or another suffix of an image);
    if there is none, the file that its ``filename`` names. Lists in ``ROOT/ImageSets/Main`` divide them into splits.

    Args:
        root: The folder.
        progress: Called now and then with the files that were read and the number of them all.

    Returns:
        The images, sorted by id, which is the name of the .xml file without its suffix; classes are those of
        ``classes.txt`` or ``labels.txt`` in ``ROOT`` or beside the annotations, else all that occur, sorted. Then the
        ids of each split that has a list (train, val, test, trainval), none if there are no lists. What is wrong with
        single files is in ``problems``.

    Raises:
        DatasetError: If there is no such folder, no annotation in it, no class, or a list cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> text = "<annotation><object><name>{}</name></object></annotation>"
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name, class_name in [("a", "dog"), ("b", "cat")]:
        ...         _ = Path(root, f"{name}.xml").write_text(text.format(class_name))
        ...         _ = Path(root, f"{name}.jpg").write_bytes(b"")
        ...     found, splits = read_voc_folder(root)
        >>> found.ids, found.files, found.class_names, found.labels.tolist(), splits
        (['a', 'b'], ['a.jpg', 'b.jpg'], ['cat', 'dog'], [[0, 1], [1, 0]], {})
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} {'is no folder' if root.exists() else 'does not exist'}: give {_LAYOUT}")
    folder = folder_called(root, "annotations") or root
    names = file_names(folder)
    ids = [name.removesuffix(".xml") for name in names if name.endswith(".xml") and not name.startswith(".")]
    if not ids:
        raise DatasetError(f"{folder} has no file that ends in .xml ({len(names)} other files): give {_LAYOUT}")
    documents, problems = read_documents(folder, ids, progress)
    class_names = _listed_classes(root, folder) or sorted({one.name for found in documents for one in found.objects})
    if not class_names and not problems:
        raise DatasetError(f"{folder} has {len(ids)} .xml files, but none of them holds an object")
    columns = {name: column for column, name in enumerate(class_names)}
    for name, document in zip(ids, documents, strict=True):
        problems += unknown_classes(f"{folder / name}.xml", document, columns)
    image_folder, images = _images(root, folder)
    files, more = _matched(folder, image_folder, images, ids, documents)
    splits, wrong = _splits(root, ids)
    labels, doubtful = label_masks([document.objects for document in documents], columns)
    prefix = "" if image_folder == root else f"{image_folder.relative_to(root).as_posix()}/"
    annotations = Annotations(
        root.resolve().name,
        class_names,
        ids,
        root,
        [prefix + file for file in files],
        labels,
        doubtful,
        problems + more + wrong,
        boxes=VocBoxes(folder, tuple(class_names)),
    )
    return annotations, splits


def _listed_classes(root: Path, folder: Path) -> list[str]:
    files = [above / name for above in (root, folder) for name in _CLASS_LISTS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return []
    # As names in an annotation file: whitespace within one is a single space.
    names = [" ".join(line.split()) for line in read_text(file, empty=True).split("\n") if line.strip()]
    if not names:
        raise DatasetError(f"{file} names no class: write one in each line, or remove the file")
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DatasetError(f"{file} names the class {twice!r} more than once")
    return names


def _images(root: Path, folder: Path) -> tuple[Path, list[str]]:
    # The folder of the images, and their names.
    of_their_own = folder_called(root, "jpegimages", "images")
    for place in [of_their_own] if of_their_own else [folder, root]:
        images = images_in(place)
        if images:
            return place, images
    return of_their_own or folder, []


def _matched(
    folder: Path, image_folder: Path, images: Sequence[str], ids: Sequence[str], documents: Sequence[VocDocument]
) -> tuple[list[str], list[Problem]]:
    of_stem: dict[str, list[str]] = {}
    for name in images:
        of_stem.setdefault(Path(name).stem, []).append(name)
    owner: dict[str, str] = {}
    files, problems, present = [], [], set(images)
    for name, document in zip(ids, documents, strict=True):
        # Tools that copy or rename leave the old name inside: the name of the annotation file is the surer one.
        inside = document.filename.replace("\\", "/").rpartition("/")[2]
        same_stem = of_stem.get(name, [])
        file = inside if inside in same_stem or not same_stem else same_stem[0]
        place = f"{folder / name}.xml"
        if file not in present:
            other = f", nor the file {inside!r}" if inside and Path(inside).stem != name else ""
            problems.append(
                Problem(place, f"{image_folder} has no image called {name!r}{other}: add it", "missing_image")
            )
            file = file or f"{name}.jpg"
        elif file in owner:
            what = f"its image {file!r} is that of {owner[file]}.xml too: correct <filename>"
            problems.append(Problem(place, what, "duplicate_id"))
        owner.setdefault(file, name)
        files.append(file)
    return files, problems


def _splits(root: Path, ids: Sequence[str]) -> tuple[dict[str, list[str]], list[Problem]]:
    splits: dict[str, list[str]] = {}
    problems: list[Problem] = []
    known = set(ids)
    for split in _SPLITS:
        file = root / "ImageSets" / "Main" / f"{split}.txt"
        if file.is_file():
            lines, wrong = read_id_list(file)
            splits[split] = [name for name in lines if name in known]
            problems += wrong + _unknown_ids(file, lines, known)
    return splits, problems


def _unknown_ids(file: Path, lines: Mapping[str, int], known: set[str]) -> list[Problem]:
    what = "has no annotation file: write the name of its .xml file without the suffix"
    return [
        Problem(f"{file}, line {lines[name]}", f"{name!r} {what}", "unknown_id") for name in lines if name not in known
    ]
