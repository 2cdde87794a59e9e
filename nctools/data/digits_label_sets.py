"""The label sets of digits_lt: which classes each image holds. Integer draws only, so equal on every platform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import head_medium_tail

TWO_HEADS = 0.35  # share of medium and tail images with a second head class
ONE_MORE = 0.25  # share of medium and tail images with one more class that is not head
HEAD_SIZES = (0.50, 0.35, 0.15)  # shares of 1, 2, 3 labels among images of head classes only
BALANCED_SIZES = (0.25, 0.35, 0.25, 0.15)  # shares of 1, 2, 3, 4 labels among validation and test images


def pareto_counts(num_classes: int = 20, *, largest: int = 775, smallest: int = 4, power: int = 7) -> list[int]:
    """Return class counts that fall like a power law, ``n_c = largest * x_c^-power``.

    ``x`` is evenly spaced on ``[1, (largest / smallest)^(1 / power)]``; counts are rounded to the nearest integer.

    Args:
        num_classes: Number of classes, at least 2.
        largest: Count of the first class.
        smallest: Count of the last class.
        power: Exponent; 7 is ``alpha + 1`` of VOC-LT's Pareto density.

    Returns:
        Falling counts, the first ``largest``, the last ``smallest``.

    Example:
        >>> pareto_counts()
        [775, 519, 355, 247, 176, 127, 93, 69, 52, 39, 30, 23, 18, 14, 11, 9, 7, 6, 5, 4]
    """
    x = np.linspace(1.0, (largest / smallest) ** (1 / power), num_classes)
    counts: list[int] = np.rint(largest * x**-power).astype(int).tolist()
    return counts


def long_tailed_label_sets(class_counts: Sequence[int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw label sets that hit the class counts exactly and put a head class beside every other class.

    Classes that are not head come first, rarest first: each of their images gets one head class (65 %) or two (35 %)
    and in 25 % of the cases one more class that is not head. What is left of the head classes forms images of one to
    three of them. Companions are drawn in proportion to what is left of each class.

    Args:
        class_counts: Wanted number of images of each class, falling; the head classes must hold enough for the others.
        rng: Source of randomness; moved on.

    Returns:
        bool ``[N, C]``, images in random order.
    """
    left = np.asarray(class_counts, dtype=np.int64).copy()
    groups = head_medium_tail(class_counts)
    head, others = np.array(groups["head"]), np.array(sorted(groups["medium"] + groups["tail"]))
    label_sets: list[list[int]] = []
    for rarest in others[::-1].tolist():
        while left[rarest] > 0:
            left[rarest] -= 1
            labels = [rarest]
            labels += _companions(head, 1 + int(rng.random() < TWO_HEADS), labels, left, rng)
            labels += _companions(others, int(rng.random() < ONE_MORE), labels, left, rng)
            label_sets.append(labels)
    edges = np.cumsum(HEAD_SIZES[:-1])
    while left.any():
        size = 1 + int(np.searchsorted(edges, rng.random(), side="right"))
        label_sets.append(_companions(head, size, [], left, rng))
    return _indicator(label_sets, len(class_counts))[rng.permutation(len(label_sets))]


def balanced_label_sets(num_images: int, num_classes: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw label sets of one to four classes in which all classes are equally frequent and none goes with another.

    Classes are dealt from shuffled decks that hold each class once, so the counts of two classes differ by at most 1.

    Args:
        num_images: Number of label sets.
        num_classes: Number of classes, at least 8.
        rng: Source of randomness; moved on.

    Returns:
        bool ``[num_images, num_classes]``.
    """
    edges = np.rint(np.cumsum((0.0, *BALANCED_SIZES)) * num_images).astype(int)
    sizes = rng.permutation(np.repeat(np.arange(1, 5), np.diff(edges)))
    deck: list[int] = []
    label_sets: list[list[int]] = []
    for size in sizes.tolist():
        if (
            len(deck) < size
        ):  # what is left is dealt first; the new deck brings those classes last, so no image repeats one
            fresh = rng.permutation(num_classes).tolist()
            deck += [c for c in fresh if c not in deck] + [c for c in fresh if c in deck]
        label_sets.append(deck[:size])
        deck = deck[size:]
    return _indicator(label_sets, num_classes)


def _companions(
    pool: NDArray[np.int64], size: int, present: list[int], left: NDArray[np.int64], rng: np.random.Generator
) -> list[int]:
    # Up to `size` further classes of `pool`, in proportion to `left`, which is lowered by what was taken.
    weights = left[pool] * ~np.isin(pool, present)
    taken: list[int] = []
    for _ in range(size):
        cumulated = np.cumsum(weights)
        if cumulated[-1] == 0:
            break
        at = int(np.searchsorted(cumulated, rng.integers(cumulated[-1]), side="right"))
        weights[at] = 0
        taken.append(int(pool[at]))
    left[taken] -= 1
    return taken


def _indicator(label_sets: Sequence[Sequence[int]], num_classes: int) -> NDArray[np.bool_]:
    present = np.zeros((len(label_sets), num_classes), dtype=bool)
    rows = np.repeat(np.arange(len(label_sets)), [len(labels) for labels in label_sets])
    present[rows, np.concatenate([np.asarray(labels, dtype=np.int64) for labels in label_sets])] = True
    return present
