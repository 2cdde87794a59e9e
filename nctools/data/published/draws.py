"""published_draw: the images of VOC-LT, COCO-LT, PLT-VOC and PLT-COCO, drawn again and checked. No torch."""

from __future__ import annotations

import platform
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nctools.data.long_tail import LongTail, build_long_tail
from nctools.data.published.facts import PUBLISHED_SPLITS, SOURCE_CLASSES, PublishedSplit, id_digest
from nctools.errors import DatasetError

# What the split was drawn from, in words, and its number of images.
_SOURCES = {"voc": ("VOC2012 trainval", 11_540), "coco": ("COCO train2017", 118_287)}
# One script of the authors drew both, VOC first, perhaps without seeding anew between them.
_DRAWN_BEFORE = {"coco_lt": "voc_lt", "plt_coco": "plt_voc"}
_ID_FILES = {"voc_lt": "img_id.txt", "coco_lt": "img_id.pkl", "plt_voc": "PLT_VOC_train.json"}
_FRESH = "a fresh random state"


def published_draw(
    split: PublishedSplit,
    ids: Sequence[str],
    labels: NDArray[np.generic],
    *,
    voc_labels: NDArray[np.generic] | None = None,
) -> tuple[LongTail, list[str]]:
    """Draw the images of a published set again and check that they are the published ones.

    Args:
        split: One of ``PUBLISHED_SPLITS``.
        ids: Ids of all images of VOC2012 trainval, or of COCO train2017 **in the order of its annotation file**.
            Zeros at the front of COCO ids do not count.
        labels: ``[N, C]`` labels of these images; in VOC, objects marked difficult count as present.
        voc_labels: The same of VOC2012 trainval, ids ascending. The sets from COCO were drawn either with a fresh
            random state or with the one that the draw from VOC left; without these labels only the first is tried.

    Returns:
        The draw (its ``indices`` are rows of ``ids``, in the order of the published list), and notes in words. The
        labels of the PLT sets are not dropped yet: which ones the authors dropped is not known.

    Raises:
        DatasetError: If other images come out, or the labels cannot be drawn from; it says what was expected, what was
            found and what to do.
        ValueError: If ``labels`` and ``ids`` differ in length, or nothing can be drawn from ``voc_labels``.
    """
    if len(ids) != len(labels):
        raise ValueError(f"`ids` has {len(ids)} entries but `labels` has {len(labels)} rows: give one id per image.")
    rows = _drawn_order(split, ids)
    names = np.array([_plain_id(split, identifier) for identifier in ids], dtype=object)
    matrix = np.asarray(labels)[rows]
    tried: list[str] = []
    for words, state in _states(split, voc_labels):
        try:
            drawn = _released(split, matrix, state)
        except ValueError as error:
            raise DatasetError(_refusal(split, len(ids), [str(error)], voc_labels is not None)) from error
        chosen = rows[drawn.indices]
        faults = _faults(split, list(names[chosen]), drawn.reached)
        if not faults:
            return replace(drawn, indices=chosen), _notes(split, list(names[chosen]), words)
        tried.append(f"from {words}: {'; '.join(faults)}")
    raise DatasetError(_refusal(split, len(ids), tried, voc_labels is not None))


def _drawn_order(split: PublishedSplit, ids: Sequence[str]) -> NDArray[np.int64]:
    # The rows as the authors' code saw them. Images of COCO came as its annotation file lists them.
    if split.source == "voc":
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    return np.arange(len(ids), dtype=np.int64)


def _plain_id(split: PublishedSplit, identifier: str) -> str:
    return identifier if split.source == "voc" else identifier.lstrip("0")


def _released(split: PublishedSplit, labels: NDArray[np.generic], state: random.Random) -> LongTail:
    how = split.draw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too few images: then the digest does not fit, and the error says all
        return build_long_tail(
            labels,
            alpha=how.alpha,
            n_max=how.n_max,
            n_min=how.n_min,
            seed=how.seed,
            draw="released",
            class_names=SOURCE_CLASSES[split.source],
            released_state=state,
        )


def _states(split: PublishedSplit, voc_labels: NDArray[np.generic] | None) -> Iterator[tuple[str, random.Random]]:
    # The random states that the authors' draw may have begun with, likeliest first, each with its name.
    yield _FRESH, random.Random(split.draw.seed)
    if split.name in _DRAWN_BEFORE and voc_labels is not None:
        before = PUBLISHED_SPLITS[_DRAWN_BEFORE[split.name]]
        state = random.Random(before.draw.seed)
        try:
            _released(before, voc_labels, state)
        except ValueError:  # a copy of VOC that lacks a class: this state cannot be had
            return
        yield f"the random state that the draw of {before.title} leaves", state


def _faults(split: PublishedSplit, ids: Sequence[str], counts: Sequence[int]) -> list[str]:
    faults = []
    if len(ids) != split.num_images:
        faults.append(f"{len(ids)} images")
    if split.digest is not None:
        if id_digest(ids) != split.digest:
            faults.append(f"SHA-256 of the sorted ids {id_digest(ids)[:12]}...")
        return faults
    # What is known are the counts after labels were dropped: before, there cannot have been fewer.
    found = (sum(counts), max(counts), min(counts))
    least = (split.num_labels, *split.count_range)
    kinds = ("labels", "images in the largest class", "images in the smallest class")
    faults += [f"only {n} {kind}" for n, known, kind in zip(found, least, kinds, strict=True) if n < known]
    return faults


def _notes(split: PublishedSplit, ids: Sequence[str], words: str) -> list[str]:
    notes = [] if words == _FRESH else [f"drawn from {words}"]
    if split.digest is None:
        notes.append(
            f"no digest of the ids of {split.title} is known: that these are its images is shown by their number alone"
        )
    elif split.digest_in_order is not None and id_digest(ids, in_order=True) != split.digest_in_order:
        notes.append(f"the images are those of {split.title}, but their order is not that of the published file")
    return notes


def _refusal(split: PublishedSplit, num_ids: int, tried: Sequence[str], voc_given: bool) -> str:
    where, size = _SOURCES[split.source]
    digest = "" if split.digest is None else f" with SHA-256 {split.digest[:12]}... of the sorted ids"
    lines = [f"{split.title} cannot be drawn again: {split.num_images} images{digest} were expected", *tried]
    if num_ids != size:
        lines.append(f"{num_ids} images were given, but {where} has {size}: is a part missing?")
    elif split.source == "voc":
        lines.append("do the labels count objects marked difficult, as they must here?")
    if split.name in _DRAWN_BEFORE and not voc_given:
        lines.append("the random state after the draw from VOC was not tried: it needs the labels of VOC2012 trainval")
    if platform.python_implementation() != "CPython":
        lines.append(f"the draw relies on CPython, this is {platform.python_implementation()}")
    file = _ID_FILES.get(split.name, "with its labels")
    lines.append(f"or take the published list of images ({file}) with `nctools data import`")
    return "\n  ".join(lines)
