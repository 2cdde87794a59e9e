"""What the pickled dicts of published splits hold: labels, counts and groups, checked for agreement in themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.label_matrix import class_counts, co_occurrence
from nctools.data.published.file import PublishedFile, UnknownContentError, plain_ids, source_of
from nctools.errors import DatasetError

# Numbers of head, medium and tail classes in files that fit none of the published sets.
_OTHER_DRAWS = {
    (23, 29, 28): "it belongs to another draw of 1,886 COCO images; the groups of COCO-LT (22 / 33 / 25) are in "
    "class_split.pkl inside of the folder longtail2017",
    (43, 31, 6): "it fits neither COCO-LT (22 / 33 / 25) nor PLT-COCO (25 / 29 / 26), beside whose files it is found: "
    "leave it out, groups follow from the labels",
    (
        10,
        7,
        3,
    ): "it fits neither VOC-LT (6 / 6 / 8) nor PLT-VOC (8 / 7 / 5): leave it out, groups follow from the labels",
}


def read_dict(document: dict[str, object], path: Path) -> PublishedFile:
    """Tell which published file a dict is, and check it.

    Args:
        document: What ``read_published_pickle`` returned.
        path: The file.

    Returns:
        Its content, without digest.

    Raises:
        UnknownContentError: If no published file has such keys.
        DatasetError: If it is of a known kind and contradicts itself.
    """
    keys = set(document)
    for needed, read in _READERS:
        if needed <= keys:
            return read(document, path)
    shown = ", ".join(map(str, list(document)[:6]))[:80]
    raise UnknownContentError(
        f"{path} is a pickle with the keys {shown or '(none)'}: no published split file has those"
    )


def _class_freq(document: dict[str, object], path: Path) -> PublishedFile:
    labels = _labels(document["gt_labels"], path)
    counts = _counts(document["class_freq"], "class_freq", path)
    absent = document.get("neg_class_freq", len(labels) - np.array(counts))
    _same(counts, np.array(class_counts(labels)), "class_freq", "its labels give", path)
    _same(_counts(absent, "neg_class_freq", path), len(labels) - np.array(counts), "neg_class_freq", "it must be", path)
    if "condition_prob" in document:
        _check_conditional(document["condition_prob"], labels, path)
    source = source_of(labels.shape[1], path)
    return PublishedFile(path, "class_freq", source, labels=labels, counts=counts)


def _class_counts(document: dict[str, object], path: Path) -> PublishedFile:
    counts = _counts(document["class_freq"], "class_freq", path)
    return PublishedFile(path, "class_counts", source_of(len(counts), path), counts=counts)


def _all_labels(document: dict[str, object], path: Path) -> PublishedFile:
    labels, names = _labels(document["gt_labels"], path), document["idx2img_id"]
    found = plain_ids([str(name) for name in names], path) if isinstance(names, list) else None
    if found is None or len(found[1]) != len(labels):
        raise DatasetError(f"{path}: idx2img_id must list the ids of {len(labels):,} images, as gt_labels does")
    source = source_of(labels.shape[1], path)
    return PublishedFile(path, "all_labels", source, ids=found[1], labels=labels)


def _class_split(document: dict[str, object], path: Path) -> PublishedFile:
    groups = {}
    for name, key in [("head", "head"), ("medium", "middle"), ("tail", "tail")]:
        members = document.get(key, document.get(name))
        if not isinstance(members, set | list | tuple | np.ndarray):
            raise DatasetError(f"{path}: {key} is {str(members)[:40]}; it must be a set of class indices")
        groups[name] = sorted(_indices(members, key, path))
    _check_partition(groups, path)
    sizes = tuple(len(members) for members in groups.values())
    refused = _OTHER_DRAWS.get((sizes[0], sizes[1], sizes[2]), "")
    return PublishedFile(path, "class_split", source_of(sum(sizes), path), groups=groups, refused=refused)


def _adjacency(document: dict[str, object], path: Path) -> PublishedFile:
    counts = _counts(document["nums"], "nums", path)
    refused = (
        "its counts are those of VOC2007 trainval or of all COCO training images (ML-GCN), not of a long-tailed set: "
        "leave it out, co-occurrence follows from the labels"
    )
    return PublishedFile(path, "adjacency", source_of(len(counts), path), counts=counts, refused=refused)


def _labels(rows: object, path: Path) -> NDArray[np.uint8]:
    if not isinstance(rows, list) or not rows:
        raise DatasetError(f"{path}: gt_labels must be a list with an array of zeros and ones for each image")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, np.ndarray) or row.ndim != 1 or row.dtype.kind not in "iub":
            raise DatasetError(f"{path}, gt_labels, image {number}: {str(row)[:40]} is no array of zeros and ones")
        if len(row) != len(rows[0]):
            raise DatasetError(
                f"{path}, gt_labels, image {number}: {len(row)} values, but image 1 has {len(rows[0])}: "
                "each image needs one for each class"
            )
    labels = np.stack(rows)
    for row, column in np.argwhere((labels != 0) & (labels != 1))[:1]:
        place = f"{path}, gt_labels, image {row + 1}, class {column}"
        raise DatasetError(f"{place}: {labels[row, column]} is neither 0 nor 1")
    return labels.astype(np.uint8)


def _counts(values: object, key: str, path: Path) -> list[int]:
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iu":
        raise DatasetError(
            f"{path}: {key} is {str(values)[:40]}; it must be an array with a whole number for each class"
        )
    counts: list[int] = values.tolist()
    for column, count in enumerate(counts):
        if count < 0:
            raise DatasetError(f"{path}: {key} of class {column} is {count}; no class has fewer than 0 images")
    return counts


def _same(found: list[int], wanted: NDArray[np.int64], key: str, reason: str, path: Path) -> None:
    if len(found) != len(wanted):
        raise DatasetError(f"{path}: {key} has {len(found)} entries, but the labels have {len(wanted)} classes")
    for column in np.flatnonzero(np.array(found) != wanted)[:1]:
        raise DatasetError(f"{path}: {key} of class {column} is {found[column]}, but {reason} {wanted[column]}")


def _check_conditional(values: object, labels: NDArray[np.uint8], path: Path) -> None:
    # Row j: share of the images of class j that hold class i.
    counts = np.array(class_counts(labels))
    rows = counts > 0
    wanted = co_occurrence(labels)[rows] / counts[rows, None]
    if not isinstance(values, np.ndarray) or values.shape != (len(counts),) * 2 or values.dtype.kind != "f":
        raise DatasetError(f"{path}: condition_prob must be an array of {len(counts)} x {len(counts)} shares")
    if not np.allclose(values[rows], wanted, rtol=0, atol=1e-6):
        j, i = np.argwhere(~(np.abs(values[rows] - wanted) <= 1e-6))[0]
        row = int(np.flatnonzero(rows)[j])
        raise DatasetError(
            f"{path}: condition_prob in row {row}, column {i} is {values[row, i]:.4f}, "
            f"but the labels give {wanted[j, i]:.4f}"
        )


def _indices(members: Iterable[object], key: str, path: Path) -> list[int]:
    found = []
    for member in members:
        if isinstance(member, bool | np.bool_) or not isinstance(member, int | np.integer):
            raise DatasetError(f"{path}: {key} holds {str(member)[:40]!r}, which is no class index")
        found.append(int(member))
    return found


def _check_partition(groups: dict[str, list[int]], path: Path) -> None:
    owner: dict[int, str] = {}
    for name, members in groups.items():
        for index in members:
            if index in owner:
                raise DatasetError(f"{path}: class {index} is in {owner[index]} and in {name}; groups must be disjoint")
            owner[index] = name
    # Indices without gaps from 0: whether there are as many as classes is seen beside the labels.
    for expected, index in enumerate(sorted(owner)):
        if index < 0 or index != expected:
            what = f"holds class {index}" if index < 0 else f"class {expected} is in no group"
            raise DatasetError(f"{path}: {what}; {len(owner)} classes are numbered from 0 to {len(owner) - 1}")


# The first whose keys are all there.
_READERS: tuple[tuple[set[str], Callable[[dict[str, object], Path], PublishedFile]], ...] = (
    ({"gt_labels", "class_freq"}, _class_freq),
    ({"gt_labels", "idx2img_id"}, _all_labels),
    ({"nums", "adj"}, _adjacency),
    ({"class_freq"}, _class_counts),
    ({"head", "middle", "tail"}, _class_split),
    ({"head", "medium", "tail"}, _class_split),
)
