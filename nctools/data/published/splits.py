"""Turns the user's copy of published split files into one split file, checked against each other and what is known."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Annotations
from nctools.data.label_matrix import class_counts
from nctools.data.published.agreement import check_counts, check_order, check_same_images
from nctools.data.published.differences import differences_from_facts, differences_from_rule
from nctools.data.published.facts import PUBLISHED_SPLITS, SOURCE_CLASSES, PublishedSplit, id_digest
from nctools.data.published.file import PublishedFile
from nctools.data.published.parts import Parts, gather_parts, with_notes
from nctools.data.split_file import SplitFile
from nctools.errors import DatasetError

LabelsOf = Callable[[str], Annotations]
_Labels = NDArray[np.uint8]


def import_published(
    paths: Sequence[str | os.PathLike[str]], *, name: str | None = None, labels_of: LabelsOf | None = None
) -> SplitFile:
    """Make a split file from the published files of VOC-LT, COCO-LT, PLT-VOC or PLT-COCO.

    VOC-LT and COCO-LT need the list of ids and the labels: ``class_freq.pkl``, else ``terse_gt_*.pkl``, else the
    annotations of the images. PLT-VOC and PLT-COCO need their JSON file; the other two give them the labels before
    they were dropped. ``class_split.pkl`` and ``distribution.txt`` are compared, and so is a co-occurrence file that is
    named itself.

    Args:
        paths: Files, or folders that are searched two levels down. What is of no use is passed over in folders, with
            a note, and refused where it is named itself.
        name: Name of the split, by which files of other sets in folders are left out as well; default: by content. A
            name that is not published stands for a draw of one's own, which is not compared with what is known.
        labels_of: Gives the annotations of all images that a set may be drawn from, called with ``"voc"`` or
            ``"coco"``.

    Returns:
        The split. Its ``notes`` say each difference from the published set; groups are those of ``class_split.pkl``.

    Raises:
        DatasetError: If a file is wrong, one that is needed is missing (the message says which), two are of one kind,
            or they belong to different sets.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "PLT_VOC_train.json")
        ...     _ = path.write_text('{"2008_000023.jpg": [1' + ", 0" * 19 + "]}")
        ...     split = import_published([path])
        >>> split.ids, split.class_names[split.class_counts.index(1)], split.notes[1]
        (['2008_000023'], 'person', 'published PLT-VOC has 2,569 images, these files have 1')
    """
    parts, notes = gather_parts(paths, name)
    try:
        images = parts.get("partial_labels") or parts["ids"]
    except KeyError:
        raise DatasetError(_nothing_names_images(parts, notes)) from None
    ids, source = list(images.ids or []), images.source
    check_same_images(parts)
    facts = _facts(images, ids, name)
    labels, origin = _training_labels(parts, ids, source, labels_of, notes)
    full = _full_labels(parts, ids, labels, labels_of, notes) if images.kind == "partial_labels" else None
    check_counts(parts, images, labels)
    counts = class_counts(labels)
    classes = list(SOURCE_CLASSES[source])
    if facts is not None:
        if origin is parts.get("class_freq"):
            check_order(facts, ids, images, parts["class_freq"])
        notes += differences_from_facts(facts, ids, classes, counts)
    if (
        images.kind == "partial_labels"
        and source == "voc"
        and tuple(counts) != PUBLISHED_SPLITS["plt_voc"].class_counts
    ):
        notes.append(f"the columns of {images.path.name} were read in the order of PLT-VOC: person, bird, cat, ...")
    groups = parts["class_split"].groups if "class_split" in parts else None
    notes += [] if groups is None else differences_from_rule(groups, counts)
    made_by: dict[str, object] = {
        "how": "imported from published files",
        "files": [{"name": part.path.name, "kind": part.kind, "sha256": part.sha256} for part in parts.values()],
        "labels": origin if isinstance(origin, str) else origin.path.name,
    }
    title = name or (facts.name if facts is not None else source)
    return SplitFile(title, source, classes, ids, labels, full, groups, made_by, notes)


def published_groups(paths: Sequence[str | os.PathLike[str]]) -> dict[str, list[int]]:
    """Return head, medium and tail of a published ``class_split.pkl``, also where no split can be made (VG).

    Args:
        paths: The file, perhaps with ``class_freq.pkl`` or ``distribution.txt`` of the same set, or their folder.

    Returns:
        ``"head"``, ``"medium"`` and ``"tail"`` with ascending class indices.

    Raises:
        DatasetError: If there is no such file, or the files are of different sets.

    Warns:
        UserWarning: If the counts would give other groups by the rule; VG calls classes 118, 137 and 149 with 19
            images each medium. The published file wins.

    Example:
        >>> import pathlib, pickle, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "class_split.pkl")
        ...     groups = {"head": [0, 1], "middle": [2], "tail": list(range(3, 20))}
        ...     _ = path.write_bytes(pickle.dumps(groups))
        ...     published_groups([path])["medium"]
        [2]
    """
    parts, notes = gather_parts(paths, None)
    found = parts.get("class_split")
    if found is None or found.groups is None:
        raise DatasetError(with_notes(f"{_shown(paths)}: no class_split.pkl, which names the groups, is there", notes))
    counts = next((part for part in parts.values() if part.counts is not None), None)
    for note in [] if counts is None else differences_from_rule(found.groups, counts.counts or []):
        warnings.warn(f"{found.path}: {note}", stacklevel=2)
    return found.groups


def _nothing_names_images(parts: Parts, notes: list[str]) -> str:
    titles = "; ".join(part.title for part in parts.values()) or "there is no published split file"
    if any(part.source == "vg" for part in parts.values()):
        return (
            f"{titles}: published files of Visual Genome hold counts and groups, no labels: the labels come from your "
            "copy of Visual Genome; published_groups() reads the groups"
        )
    needed = "img_id.txt or img_id.pkl (they lie beside class_freq.pkl), or PLT_VOC_train.json"
    return with_notes(f"{titles}: nothing names the training images: give {needed} too", notes)


def _shown(paths: Sequence[str | os.PathLike[str]]) -> str:
    return ", ".join(map(str, [paths] if isinstance(paths, str | os.PathLike) else paths))


def _rows(part: PublishedFile) -> _Labels:
    if part.labels is None:
        raise DatasetError(f"{part.title} holds no labels")
    return part.labels


def _training_labels(
    parts: Parts, ids: list[str], source: str, labels_of: LabelsOf | None, notes: list[str]
) -> tuple[_Labels, PublishedFile | str]:
    # The labels, and the file or the annotations they are from.
    from_all = _from_all_labels(parts, ids)
    if "partial_labels" in parts:
        return _rows(parts["partial_labels"]), parts["partial_labels"]
    if "class_freq" in parts:
        labels = _rows(parts["class_freq"])
        if from_all is not None and not np.array_equal(labels, from_all):
            row = int(np.flatnonzero((labels != from_all).any(axis=1))[0])
            raise DatasetError(
                f'{parts["class_freq"].title}, image {row + 1} ("{ids[row]}"): its labels are not those of '
                f"{parts['all_labels'].path}: the files belong to different splits, or the ids to another order"
            )
        return labels, parts["class_freq"]
    if from_all is not None:
        return from_all, parts["all_labels"]
    if labels_of is None:
        message = (
            f"{parts['ids'].title} names images without labels: give class_freq.pkl of the same folder too, or the "
            f"folder of the {source.upper()} images, whose annotations say them"
        )
        raise DatasetError(with_notes(message, notes))
    annotations = _annotated(labels_of, source, ids, parts["ids"])
    return annotations.labels, f"annotations: {annotations.name}"


def _from_all_labels(parts: Parts, ids: list[str]) -> _Labels | None:
    found = parts.get("all_labels")
    if found is None:
        return None
    return _rows(found)[_places(found.ids or [], ids, found.title)]


def _places(known: Sequence[str], ids: list[str], title: str) -> list[int]:
    place = {image_id: row for row, image_id in enumerate(known)}
    missing = [image_id for image_id in ids if image_id not in place]
    if missing:
        raise DatasetError(f"{title} lacks {len(missing):,} of {len(ids):,} images, the first is {missing[0]!r}")
    return [place[image_id] for image_id in ids]


def _annotated(labels_of: LabelsOf, source: str, ids: list[str], part: PublishedFile) -> Annotations:
    found = labels_of(source)
    if tuple(found.class_names) != SOURCE_CLASSES[source]:
        raise DatasetError(f"{found.name} has other classes than {source.upper()} ({len(found.class_names)} of them)")
    return found.select(_places(found.ids, ids, f"{found.name}, the annotations for {part.title},"))


def _full_labels(
    parts: Parts, ids: list[str], labels: _Labels, labels_of: LabelsOf | None, notes: list[str]
) -> _Labels | None:
    full, origin = _from_all_labels(parts, ids), "terse_gt"
    if full is None and labels_of is not None:
        annotations = _annotated(labels_of, parts["partial_labels"].source, ids, parts["partial_labels"])
        full, origin = annotations.labels, annotations.name
    if full is None:
        notes.append("the labels before some were dropped are not in the file: they stay unknown")
    elif (labels > full).any():
        row = int(np.flatnonzero((labels > full).any(axis=1))[0])
        notes.append(
            f"{int((labels > full).sum()):,} labels are not in {origin}, the first of image {ids[row]!r}: full labels "
            "are left out"
        )
        full = None
    return full


def _facts(images: PublishedFile, ids: list[str], name: str | None) -> PublishedSplit | None:
    if name is not None:
        if images.kind == "partial_labels" and name in PUBLISHED_SPLITS and not name.startswith("plt_"):
            raise DatasetError(f"{images.title} holds partial labels: the name is plt_{images.source}, not {name}")
        return PUBLISHED_SPLITS.get(name)
    digest = id_digest(ids)
    if images.kind == "partial_labels":
        return PUBLISHED_SPLITS.get(f"plt_{images.source}")
    known = [facts for facts in PUBLISHED_SPLITS.values() if facts.source == images.source and facts.digest == digest]
    return known[0] if known else PUBLISHED_SPLITS.get(f"{images.source}_lt")
