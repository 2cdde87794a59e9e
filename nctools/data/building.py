"""From a source of images to a long-tailed training set in a split file."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Literal

from nctools.data.catalogue import DATASETS, canonical_name
from nctools.data.group_rules import groups_and_notes
from nctools.data.label_matrix import class_counts
from nctools.data.long_tail import DrawKind, LongTail, build_long_tail
from nctools.data.partial_labels import drop_labels
from nctools.data.published.facts import id_digest
from nctools.data.sources import SOURCES, Reading, open_source
from nctools.data.split_file import SplitFile


def build_split(
    source: str,
    *,
    root: Path | None = None,
    reading: Reading | None = None,
    out: Path | None = None,
    name: str = "long_tail",
    alpha: float = 6,
    n_max: int = 800,
    n_min: int = 1,
    quantile: float = 0.99,
    seed: int = 0,
    draw: DrawKind = "portable",
    drop: float = 0.0,
    difficult: Literal["include", "exclude"] = "include",
    groups: str | None = None,
) -> tuple[SplitFile, LongTail]:
    """Draw a long-tailed training set; see ``build_long_tail`` and ``drop_labels``.

    Args:
        source: ``"voc"``, ``"coco"``, ``"vg200"``, ``"odir5k"``, or the path of the user's own data.
        root: Folder of the images.
        reading: Cache and progress.
        out: Where the split file will lie; a path of own data is written relative to it if it lies below its folder.
        name: Name of the set.
        alpha: Exponent of the Pareto distribution.
        n_max: Target of the class that is ranked first, see ``class_ranks``.
        n_min: Added to every class.
        quantile: Where the distribution is cut.
        seed: Of the draw and of the dropped labels.
        draw: ``"portable"`` or ``"released"``.
        drop: Probability with which each label is dropped.
        difficult: Whether objects that VOC marks difficult count.
        groups: Rule for the groups of classes, see ``groups_from``; they are made from the labels that are left.

    Returns:
        The split, and what the draw reached. What is to be said of the draw alone is ``made_by["notes"]`` of the split.

    Raises:
        DatasetError: If images or labels are missing.
        ValueError: If a class has no image, or an argument is out of range.
    """
    pool = open_source(source, root, reading).train().checked()
    if difficult == "exclude":
        pool = replace(pool, labels=pool.certain)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tail = build_long_tail(
            pool.labels,
            alpha=alpha,
            n_max=n_max,
            n_min=n_min,
            quantile=quantile,
            seed=seed,
            draw=draw,
            class_names=pool.class_names,
        )
    drawn = pool.select(tail.indices)
    dropped = drop_labels(drawn.labels, drop, seed=seed) if drop else None
    labels = drawn.labels if dropped is None else dropped.labels
    of_draw = [*(str(warning.message) for warning in told), *_order(tail, pool.class_names, pool.class_counts)]
    notes = []
    if difficult == "exclude" and pool.doubtful is not None and pool.doubtful.any():
        notes.append(
            "training labels leave out objects marked difficult; those of the test do so with difficult=exclude"
        )
    elif difficult == "exclude":
        of_draw.append(
            f"no label of {pool.name} is known to come from difficult objects alone: difficult=exclude changes nothing"
        )
    if drawn.unknown is not None and drawn.unknown.any():
        of_draw.append(
            f"{int(drawn.unknown.sum())} labels of the drawn images are unknown (-1): absent for the draw, not in the "
            f"split file, which takes them from {Path(source).name} when it is used"
        )
    if dropped is not None:
        notes.append(f"{dropped.realised_rate:.1%} of the labels were dropped ({drop:.0%} nominal)")
        gone = [name for name, count in zip(pool.class_names, class_counts(labels), strict=True) if not count]
        if gone:
            notes.append(f"no label is left of {', '.join(gone)}: draw more images, or drop fewer labels")
    named, of_groups = groups_and_notes(groups, class_counts(labels), pool.class_names)
    split = SplitFile(
        name=name,
        source=source if source in SOURCES else _relative(Path(source), out),
        class_names=pool.class_names,
        ids=drawn.ids,
        labels=labels,
        full_labels=None if dropped is None else drawn.labels,
        groups=named if groups else None,
        made_by={
            "command": "nctools data build",
            "images": pool.name,
            "pool_size": len(pool),
            "alpha": alpha,
            "n_max": n_max,
            "n_min": n_min,
            "quantile": quantile,
            "seed": seed,
            "draw": draw,
            "drop_labels": drop,
            "difficult": difficult,
            "targets": [int(count) for count in tail.targets],
            "reached": [int(count) for count in tail.reached],
            "ids_sha256_sorted": id_digest(drawn.ids),
            # Of the draw: who uses the split need not hear it every time.
            "notes": of_draw,
        },
        notes=[*notes, *of_groups],
    )
    return split, tail


def _order(tail: LongTail, names: list[str], counts: list[int]) -> list[str]:
    first, largest = tail.ranks[0], max(range(len(counts)), key=lambda c: counts[c])
    if counts[first] == counts[largest]:
        return []
    return [
        f"{names[first]!r} with {counts[first]} images is ranked first and has the target {tail.targets[first]}, "
        f"{names[largest]!r} with {counts[largest]} has {tail.targets[largest]}: classes are ranked by how often they "
        "come along when each class gives one image, not by their counts"
    ]


def _relative(source: Path, out: Path | None) -> str:
    full = source.absolute()
    folder = Path.cwd() if out is None else out.absolute().parent
    if not full.is_relative_to(folder):
        return str(full)
    relative = os.path.relpath(full, folder)
    # A folder may be called like a data set that has a name.
    return os.path.join(os.curdir, relative) if canonical_name(relative) in DATASETS else relative  # noqa: PTH118
