"""Checks the user's own data and lists everything that is wrong with them, not only the first thing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Progress
from nctools.data.label_matrix import class_counts
from nctools.data.own.findings import KINDS, Finding, Level, ValidationReport, as_findings
from nctools.data.own.folder_walk import images_in
from nctools.data.own.forms import OwnAnnotations, open_own
from nctools.data.own.image_checks import ImageCheck, check_images
from nctools.data.own.orphan_images import orphan_images
from nctools.data.own.split_names import matching_split

# Splits that by their name hold others.
_WHOLE = frozenset({"all", "default"})
_TRAINVAL = frozenset({"trainval", "train", "val"})


def validate(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    decode: bool = True,
    workers: int = 0,
    progress: Progress | None = None,
) -> ValidationReport:
    r"""Check the user's own data: annotations, image files, splits, classes. It goes on to the end.

    Args:
        path: As for ``load_own``: an image folder, a folder of VOC or COCO, a table or a list.
        root: For a file, the folder that the paths of its images start from; default: its own.
        decode: Whether every image is decoded, as it will be for training; otherwise it only must be there and not
            be empty. Copies are looked for in both cases, among files of one size.
        workers: Threads that decode; 0: none but this one. The report is the same for any number.
        progress: Called with the images done so far and the number of all.

    Returns:
        Every finding with its place, and counts. Its ``ok`` tells that the data can be loaded and measured on.

    Raises:
        DatasetError: If the source does not exist, is of no known form or cannot be read at all.
        ValueError: If ``workers`` is negative.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "labels.csv").write_text("image,cat,dog\nabsent.png,1,yes\n")
        ...     report = validate(Path(folder, "labels.csv"))
        >>> report.ok, [finding.kind for finding in report.problems]
        (False, ['bad_value', 'missing_image', 'empty_class'])
    """
    if workers < 0:
        raise ValueError(f"`workers` is {workers}: it must be 0 or more")
    own = open_own(path, root=root)
    checks = check_images(own.annotations.paths, decode=decode, workers=workers, progress=progress)
    labels, unknown = own.annotations.labels, _unknown(own)
    return ValidationReport(
        os.fspath(path),
        own.form,
        [
            *as_findings(own.annotations.problems),
            *(_warning(doubt.place, doubt.what, doubt.kind) for doubt in own.doubts),
            *_images(own, checks),
            *_shared(own),
            *_copies(own, checks),
            *_unlabelled(own),
            *_classes(own),
            *_orphans(own),
        ],
        len(own.annotations),
        dict(zip(own.annotations.class_names, own.annotations.class_counts, strict=True)),
        {
            split: {
                "images": len(rows),
                "labels": int(labels[rows].sum(dtype=np.int64)),
                "unknown": int(unknown[rows].sum(dtype=np.int64)),
            }
            for split, rows in own.splits.items()
        },
        decode,
        int(unknown.sum(dtype=np.int64)),
    )


def _unknown(own: OwnAnnotations) -> NDArray[np.uint8]:
    return np.zeros_like(own.annotations.labels) if own.annotations.unknown is None else own.annotations.unknown


def _warning(place: str, what: str, kind: str) -> Finding:
    return Finding(place, what, kind, KINDS[kind][0])


def _images(own: OwnAnnotations, checks: Sequence[ImageCheck]) -> Iterator[Finding]:
    told = {problem.place for problem in own.annotations.problems if problem.kind == "missing_image"}
    for place, check in zip(own.places, checks, strict=True):
        if check.kind and not (check.kind == "missing_image" and place in told):
            yield Finding(place, check.what, check.kind, "error")


def _shared(own: OwnAnnotations) -> Iterator[Finding]:
    for one, other in combinations(own.splits, 2):
        if _leak(one, other):
            for row in sorted(set(own.splits[one]) & set(own.splits[other])):
                what = f"is in the splits {one} and {other}: leave it in one of them"
                yield Finding(own.places[row], what, "shared_image", "error")


def _leak(one: str, other: str) -> bool:
    # An image may be in trainval and in train, but in no other two splits.
    names = {one.lower(), other.lower()}
    return len(names) == 2 and not names & _WHOLE and not ("trainval" in names and names <= _TRAINVAL)


def _copies(own: OwnAnnotations, checks: Sequence[ImageCheck]) -> Iterator[Finding]:
    splits_of: dict[int, list[str]] = defaultdict(list)
    for split, rows in own.splits.items():
        for row in rows:
            splits_of[row].append(split)
    first: dict[bytes, int] = {}
    for row, check in enumerate(checks):
        if check.digest is None or (original := first.setdefault(check.digest, row)) == row:
            continue
        what = f"{own.annotations.files[row]!r} has the same content as {own.annotations.files[original]!r}"
        pair = next(
            ((one, two) for one in splits_of[original] for two in splits_of[row] if one != two and _leak(one, two)),
            None,
        )
        same_file = own.annotations.files[row] == own.annotations.files[original]
        if pair is None and same_file:
            continue  # the reader has said so
        if pair is None:
            yield Finding(own.places[row], f"{what}: leave one of them out", "duplicate_image", "warning")
        else:
            what += f", which is in {pair[0]}, and this one in {pair[1]}: what is tested on was trained on"
            yield Finding(own.places[row], what, "duplicate_image", "error")


def _unlabelled(own: OwnAnnotations) -> Iterator[Finding]:
    unknown = _unknown(own)
    # Where something is wrong with the labels themselves, that they are not there is no news.
    told: set[str] = set()
    for problem in own.annotations.problems:
        parts = problem.place.split(", ")
        told.update(", ".join(parts[:end]) for end in range(1, len(parts) + 1))
    for row in np.flatnonzero(~own.annotations.labels.any(axis=1)).tolist():
        if own.places[row] not in told:
            count = int(unknown[row].sum(dtype=np.int64))
            what = "holds no class: it is a negative for all of them"
            if count:
                what = f"holds no class that is known: {count} of its {unknown.shape[1]} labels are unknown"
            yield _warning(own.places[row], what, "no_label")


def _classes(own: OwnAnnotations) -> Iterator[Finding]:
    labels, names = own.annotations.labels, own.annotations.class_names
    place = own.annotations.name
    # Such a folder is not loaded, a table is.
    level: Level = "error" if own.form == "image folder" else "warning"
    empty = [name for name, count in zip(names, own.annotations.class_counts, strict=True) if not count]
    for name in empty:
        yield Finding(place, f"no image holds the class {name!r}", "empty_class", level)
    train = matching_split("train", own.splits)
    for split, rows in own.splits.items():
        if not rows:
            yield _warning(place, f"the split {split} has no image", "empty_split")
            continue
        for name, count in zip(names, class_counts(labels[rows]), strict=True):
            if count or name in empty or split.lower() in _WHOLE:
                continue
            if split == train:
                what = f"no image of the split {split} holds the class {name!r}: it cannot be learnt"
                yield Finding(place, what, "no_train_positive", level)
            elif split.lower() != "trainval":
                what = f"no image of the split {split} holds the class {name!r}: it has no average precision there"
                yield Finding(place, what, "no_test_positive", level)


def _orphans(own: OwnAnnotations) -> Iterator[Finding]:
    unreadable: list[OSError] = []
    root = own.annotations.root
    if own.form == "image folder":
        # Whatever lies in a class folder belongs to it: only what lies above them is left.
        above = [Path(), *(Path(split) for split in own.splits)]
        found: Iterable[str] = [str(folder / name) for folder in above for name in images_in(root / folder)]
    else:
        found = orphan_images(root, own.annotations.files, unreadable.append)
    for file in found:
        yield _warning(str(root / file), "lies beside the images, but nothing gives it labels", "orphan_image")
    for error in unreadable:
        yield Finding(str(error.filename), f"cannot be read: {error.strerror}", "unreadable_folder", "error")
