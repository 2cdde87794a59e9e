"""Looks for published split files in folders, without listing those that hold the images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nctools.data.folder_search import answered
from nctools.data.label_matrix import class_counts
from nctools.data.published.content import recognise
from nctools.data.published.differences import in_plt_order
from nctools.data.published.facts import PUBLISHED_SPLITS, PublishedSplit, id_digest
from nctools.data.published.file import Kind, PublishedFile
from nctools.errors import DatasetError, UnknownNameError

# Folders of images and annotations, in small letters: they hold up to 118,287 files and no split file.
_PASSED_OVER = frozenset(
    {
        "jpegimages",
        "annotations",
        "segmentationclass",
        "segmentationobject",
        "imagesets",
        "images",
        "vg_100k",
        "vg_100k_2",
    }
    | {f"{part}{year}" for part in ("train", "val", "test") for year in (2014, 2015, 2017)}
)
# A folder with more entries is one of images, whatever its name is.
_MOST_ENTRIES = 2000
_SUFFIXES = frozenset({".pkl", ".txt", ".json", ".npy"})
_USUAL_NAMES = ("img_id", "class_freq", "class_split", "distribution", "plt")


def files_below(folder: str | os.PathLike[str], levels: int) -> Iterator[Path]:
    """Yield files that may be published split files by their suffix: those of a folder first, then those below it.

    Args:
        folder: Where the search begins.
        levels: How many levels of folders are looked into below it.

    Yields:
        Files in an order that depends on their names alone.
    """
    folders: list[Path] = []
    try:
        with os.scandir(folder) as found:
            entries = sorted(islice(found, _MOST_ENTRIES + 1), key=lambda entry: entry.name)
    except OSError:
        return
    if len(entries) > _MOST_ENTRIES:
        return
    for entry in entries:
        name = entry.name.lower()
        if answered(entry.is_file):
            if Path(name).suffix in _SUFFIXES:
                yield Path(entry.path)
        elif not name.startswith(".") and name not in _PASSED_OVER and answered(entry.is_dir):
            folders.append(Path(entry.path))
    if levels:
        for path in folders:
            yield from files_below(path, levels - 1)


def find_published(root: str | os.PathLike[str], name: str) -> list[Path]:
    """Look below a folder of data for the published files of one split, at most three levels down.

    Only files with one of the usual names are opened (``VOCdevkit/longtail2012/img_id.txt``,
    ``coco/longtail2017/class_freq.pkl``, ``PLT_VOC_train.json``, ...), and only those taken that hold what is known of
    the split: digest of the ids, number of images, class counts, sizes of the groups.

    Args:
        root: Folder of the user's data.
        name: A key of ``PUBLISHED_SPLITS``.

    Returns:
        One file of each kind, the one that names the images first, ready for ``import_published``; empty if that one
        is not there.

    Raises:
        UnknownNameError: If no split has that name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     find_published(folder, "voc_lt")
        []
    """
    if name not in PUBLISHED_SPLITS:
        raise UnknownNameError("published split", name, PUBLISHED_SPLITS)
    facts = PUBLISHED_SPLITS[name]
    images: Kind = "partial_labels" if name.startswith("plt_") else "ids"
    wanted: tuple[Kind, ...] = (images, "class_counts" if images == "partial_labels" else "class_freq", "class_split")
    chosen: dict[Kind, Path] = {}
    for path in files_below(root, 3):
        if not path.name.lower().startswith(_USUAL_NAMES):
            continue
        try:
            found = recognise(path)
        except DatasetError:
            continue
        if found.kind in wanted and found.kind not in chosen and belongs(found, facts):
            chosen[found.kind] = path
    return [chosen[kind] for kind in wanted if kind in chosen] if images in chosen else []


def belongs(found: PublishedFile, facts: PublishedSplit) -> bool:
    """Tell whether a file holds what is known of a published split.

    Args:
        found: The file.
        facts: What is known.

    Returns:
        Whether source, digest of the ids, numbers of images, class counts and sizes of the groups agree.
    """
    if found.source != facts.source or found.refused:
        return False
    if found.groups is not None:
        return tuple(len(members) for members in found.groups.values()) == facts.group_sizes
    if found.ids is not None and (
        len(found.ids) != facts.num_images or (facts.digest is not None and id_digest(found.ids) != facts.digest)
    ):
        return False
    counts = found.counts
    if found.labels is not None:
        counts = class_counts(found.labels)
        if len(found.labels) != facts.num_images:
            return False
    if counts is None:
        return True
    if facts.class_counts is None:
        return (sum(counts), max(counts), min(counts)) == (facts.num_labels, *facts.count_range)
    known = list(facts.class_counts)
    return counts == known or (found.kind == "class_counts" and counts == in_plt_order(known))
