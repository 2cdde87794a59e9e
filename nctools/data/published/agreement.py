"""Checks that published split files belong to one split, before their labels are believed. Loads no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import head_medium_tail
from nctools.data.label_matrix import class_counts, co_occurrence
from nctools.data.published.differences import in_plt_order
from nctools.data.published.facts import PublishedSplit, id_digest
from nctools.data.published.file import PublishedFile
from nctools.data.published.parts import Parts
from nctools.errors import DatasetError


def check_same_images(parts: Parts) -> None:
    """Raise if files name other images, or other numbers of images.

    Args:
        parts: The files.

    Raises:
        DatasetError: Naming two files, with the numbers.
    """
    partial, ids, freq = (parts.get(kind) for kind in ("partial_labels", "ids", "class_freq"))
    if partial and freq:
        raise DatasetError(f"{partial.title} and {freq.title} belong to different splits: give one of them")
    if partial and ids and set(partial.ids or []) != set(ids.ids or []):
        raise DatasetError(f"{partial.title} and {ids.title} name different images: leave one out")
    if ids and freq and freq.labels is not None and len(ids.ids or []) != len(freq.labels):
        raise DatasetError(
            f"{ids.title} and {freq.title} belong to different splits: give the two that lie in one folder"
        )


def check_counts(parts: Parts, images: PublishedFile, labels: NDArray[np.uint8]) -> None:
    """Raise if counts, pair counts or groups are those of another split.

    Args:
        parts: The files.
        images: The one that names the images.
        labels: Training labels ``[N, C]``.

    Raises:
        DatasetError: Naming two files, with the numbers.
    """
    counts = class_counts(labels)
    apart = "belong to different splits"
    found = parts.get("class_counts")
    if found is not None and found.counts is not None and found.counts != counts:
        other_order = images.kind == "partial_labels" and found.counts == in_plt_order(counts)
        for index in [] if other_order else np.flatnonzero(np.array(found.counts) != counts)[:1]:
            what = f"class {index} has {found.counts[index]:,} images in the one, {counts[index]:,} in the other"
            raise DatasetError(f"{found.title} and {images.title} {apart}: {what}")
    pairs = parts.get("co_occurrence")
    if pairs is not None and pairs.pairs is not None:
        shared = co_occurrence(labels)
        for i, j in np.argwhere((pairs.pairs != shared) & ~np.eye(len(counts), dtype=bool))[:1]:
            what = f"{pairs.pairs[i, j]:,} images in the one, {shared[i, j]:,} in the other"
            raise DatasetError(f"{pairs.title} and {images.title} {apart}: classes {i} and {j} share {what}")
    groups = parts.get("class_split")
    if groups is not None and groups.groups is not None:
        rule = head_medium_tail(counts)
        moved = sum(len(set(rule[name]) - set(members)) for name, members in groups.groups.items())
        # The file may know better for a few classes (three of 200 in VG), not for many.
        if moved > max(1, len(counts) // 10):
            sizes = " / ".join(str(len(members)) for members in rule.values())
            what = f"by the counts the groups have {sizes} classes, and {moved} classes are in another one"
            raise DatasetError(f"{groups.title} and {images.title} {apart}: {what}")


def check_order(facts: PublishedSplit, ids: list[str], images: PublishedFile, freq: PublishedFile) -> None:
    """Raise if the ids are the published ones in another order: rows of class_freq follow the published order.

    Args:
        facts: What is known of the split.
        ids: Its ids.
        images: The file that names them.
        freq: The file with the labels.

    Raises:
        DatasetError: If so; images would get the labels of others.
    """
    if facts.digest_in_order is None or id_digest(ids) != facts.digest:
        return
    if id_digest(ids, in_order=True) != facts.digest_in_order:
        raise DatasetError(
            f"{images.title} holds the ids of {facts.title} in another order than published, but {freq.path.name} has "
            "its labels in the published one: get the list of ids again, or leave class_freq.pkl out"
        )
