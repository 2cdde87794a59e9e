"""build_long_tail: a long-tailed training set out of any label matrix, with the counts of a Pareto law. No torch."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nctools.data.label_matrix import checked_labels, class_counts, co_occurrence
from nctools.data.portable_random import PortableRandom, check_seed
from nctools.data.released_draw import draw_as_released
from nctools.errors import UnknownNameError

DrawKind = Literal["portable", "released"]


@dataclass(frozen=True)
class LongTail:
    """A long-tailed choice among images, and how it was made.

    Args:
        indices: int64 ``[n]``, rows of the images drawn, in the order of the draw (``"portable"``: ascending).
        ranks: The C classes in the order in which they were filled, the one with the largest target first.
        targets: Reference count of each class, in class order.
        reached: Images with each class, in class order. They differ from the targets, since an image brings or takes
            all its labels.
        short: Classes that have fewer images than their target.
        alpha: Parameter of the draw, as ``n_max``, ``n_min``, ``quantile``, ``seed`` and ``draw``.
    """

    indices: NDArray[np.int64]
    ranks: list[int]
    targets: list[int]
    reached: list[int]
    short: list[int]
    alpha: float
    n_max: int
    n_min: int
    quantile: float
    seed: int
    draw: DrawKind

    def __len__(self) -> int:
        return len(self.indices)

    def parameters(self) -> dict[str, object]:
        """Return how the images were drawn, ready for JSON and for ``build_long_tail(labels, **parameters)``."""
        return {name: getattr(self, name) for name in ("alpha", "n_max", "n_min", "quantile", "seed", "draw")}


def reference_counts(
    num_classes: int, *, alpha: float = 6, n_max: int = 800, n_min: int = 1, quantile: float = 0.99
) -> list[int]:
    """Return the counts that the classes of a long-tailed set should have, by rank.

    ``m_k = floor((n_max - n_min) x_k^-(alpha + 1) + n_min)`` with ``x_k`` evenly spaced from 1 to the quantile
    ``x_q = (1 - quantile)^(-1 / alpha)`` of the Pareto law.

    Args:
        num_classes: Number of classes C.
        alpha: Shape of the Pareto law; a larger one makes the tail shorter: the last count grows.
        n_max: Count of the first class.
        n_min: Count that the law falls towards; the last class has some more.
        quantile: Share of the law that the classes span; 0 makes all counts ``n_max``.

    Returns:
        C counts, descending, from ``n_max`` to
        ``floor((n_max - n_min) (1 - quantile)^((alpha + 1) / alpha) + n_min)``. A single class has ``n_max``.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Wu et al., "Distribution-Balanced Loss" (ECCV 2020), section 4.1, with the density divided by its value at 1;
        ``n_min`` is in the released code alone.

    Example:
        >>> reference_counts(20)
        [800, 529, 359, 248, 175, 125, 91, 67, 50, 38, 29, 23, 18, 14, 11, 9, 7, 6, 5, 4]
    """
    if num_classes < 1:
        raise ValueError(f"`num_classes` is {num_classes}: there must be at least 1 class.")
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"`alpha` is {alpha}: it must be a number above 0.")
    if not 1 <= n_min <= n_max:
        raise ValueError(f"`n_min` is {n_min} and `n_max` is {n_max}: they must satisfy 1 <= n_min <= n_max.")
    if not 0 <= quantile < 1:
        raise ValueError(f"`quantile` is {quantile}: it must be at least 0 and less than 1.")
    last = (1 - quantile) ** (-1 / alpha)
    steps = [k / max(num_classes - 1, 1) for k in range(num_classes)]
    return [math.floor((n_max - n_min) * (1 + (last - 1) * step) ** -(alpha + 1) + n_min) for step in steps]


def class_ranks(labels: NDArray[np.generic]) -> list[int]:
    """Order classes by how often they come along when every class gives one random image.

    ``p_i = sum_j P(i given j) = sum_j M_ij / n_j`` with M the images that hold both classes. This is not the order of
    the counts: a frequent class that is mostly alone stands behind a rarer one that comes with many others.

    Args:
        labels: ``[N, C]``, 1 where the image holds the class, else 0; every class must have an image.

    Returns:
        Class indices, largest ``p`` first; of equal ones the smaller index first.

    Raises:
        ValueError: If an entry is neither 0 nor 1, or a class has no image.

    Example:
        >>> class_ranks(np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 1]]))
        [1, 2, 0]
    """
    return _ranks(_without_empty_classes(labels, None))


def build_long_tail(
    labels: NDArray[np.generic],
    *,
    alpha: float = 6,
    n_max: int = 800,
    n_min: int = 1,
    quantile: float = 0.99,
    seed: int = 0,
    draw: DrawKind = "portable",
    class_names: Sequence[str] | None = None,
    released_state: random.Random | None = None,
) -> LongTail:
    """Choose images so that the counts of the classes fall off like ``reference_counts``.

    The classes are filled one after the other in the order of ``class_ranks``: where images are missing, random ones
    that hold the class come in, where there are too many, random ones go out. Each brings or takes all its labels, so
    the counts of classes that were filled before drift; the last class has exactly its target.

    Args:
        labels: ``[N, C]``, 1 where the image holds the class, else 0; any dtype.
        alpha: See ``reference_counts``, also for the next three.
        n_max: Target of the first class.
        n_min: Count that the targets fall towards.
        quantile: Share of the Pareto law that the classes span.
        seed: Non-negative seed.
        draw: ``"portable"``: the same images on every platform, with every version; a class whose images all went
            out with those of later classes gets one back. ``"released"``: the images that the authors' code picks,
            under CPython.
        class_names: C names, for messages.
        released_state: Generator that the released draw goes on from, in place of a fresh one from ``seed``.

    Returns:
        The images, with targets and reached counts.

    Raises:
        ValueError: If an argument is out of range, an entry of ``labels`` is neither 0 nor 1, or a class has no image.
        UnknownNameError: If ``draw`` is neither of the two.

    Warns:
        UserWarning: If classes have fewer images than their target, or end without any, which the released draw alone
            may do.

    Source:
        Wu et al., "Distribution-Balanced Loss" (ECCV 2020), section 4.1; order of the classes and removal of images
        as in the released code.

    Example:
        >>> chosen = build_long_tail(np.eye(2)[[0] * 50 + [1] * 50], n_max=20, quantile=0.9)
        >>> chosen.targets, chosen.reached, chosen.indices[-3:]
        ([20, 2], [20, 2], array([48, 82, 91]))
    """
    if draw not in get_args(DrawKind):
        raise UnknownNameError("draw", draw, get_args(DrawKind))
    check_seed(seed)
    names = None if class_names is None else list(class_names)
    present = _without_empty_classes(labels, names)
    by_rank = reference_counts(present.shape[1], alpha=alpha, n_max=n_max, n_min=n_min, quantile=quantile)
    ranks = _ranks(present)
    targets = [by_rank[ranks.index(c)] for c in range(len(ranks))]
    short = np.flatnonzero(present.sum(axis=0) < targets).tolist()
    _warn_of_short(short, present, targets, names)
    if draw == "released":
        state = random.Random(seed) if released_state is None else released_state
        rows = np.array(draw_as_released(present, ranks, by_rank, state), dtype=np.int64)
    else:
        rows = _portable_draw(present, ranks, by_rank, PortableRandom(seed))
    reached = class_counts(present[rows])
    _warn_of_emptied(reached, names)
    return LongTail(rows, ranks, targets, reached, short, alpha, n_max, n_min, quantile, seed, draw)


def _portable_draw(
    present: NDArray[np.bool_], ranks: Sequence[int], targets: Sequence[int], rng: PortableRandom
) -> NDArray[np.int64]:
    drawn = np.zeros(len(present), dtype=np.bool_)
    for c, target in zip(ranks, targets, strict=True):
        inside = np.flatnonzero(present[:, c] & drawn).tolist()
        if target < len(inside):
            drawn[rng.sample(inside, len(inside) - target)] = False
        else:
            outside = np.flatnonzero(present[:, c] & ~drawn).tolist()
            drawn[rng.sample(outside, min(target - len(inside), len(outside)))] = True
    for c in ranks:
        if not present[drawn, c].any():
            # One without the class ranked last, whose count stays as it is. There is one: a class whose images all
            # held that class would have been ranked behind it.
            candidates = np.flatnonzero(present[:, c] & ~present[:, ranks[-1]]).tolist()
            drawn[rng.sample(candidates, 1)] = True
    return np.flatnonzero(drawn)


def _ranks(present: NDArray[np.bool_]) -> list[int]:
    shares = co_occurrence(present) / present.sum(axis=0)
    # fsum rounds once, whatever the order: the ranks are the same on every machine and when classes change places.
    p = [math.fsum(row) for row in shares.tolist()]
    return sorted(range(len(p)), key=lambda c: -p[c])


def _without_empty_classes(labels: NDArray[np.generic], names: Sequence[str] | None) -> NDArray[np.bool_]:
    present = checked_labels(labels)
    if names is not None and len(names) != present.shape[1]:
        raise ValueError(f"`labels` has {present.shape[1]} columns but `class_names` has {len(names)} names.")
    empty = np.flatnonzero(~present.any(axis=0)).tolist()
    if empty:
        raise ValueError(
            f"no image among {len(present)} holds {_named(empty, names)}: a class without images cannot be drawn; "
            "leave its column out."
        )
    return present


def _named(classes: Sequence[int], names: Sequence[str] | None) -> str:
    return ", ".join(f"class {c}" if names is None else f"class {c} ({names[c]!r})" for c in classes)


def _warn_of_short(
    short: Sequence[int], present: NDArray[np.bool_], targets: Sequence[int], names: Sequence[str] | None
) -> None:
    if short:
        counts = present.sum(axis=0).tolist()
        # Later classes may take some of them out again.
        parts = [
            f"class {c if names is None else repr(names[c])} has only {counts[c]} images for a target of {targets[c]}"
            for c in short
        ]
        warnings.warn("; ".join(parts), stacklevel=3)


def _warn_of_emptied(reached: Sequence[int], names: Sequence[str] | None) -> None:
    empty = [c for c, count in enumerate(reached) if count == 0]
    if empty:
        warnings.warn(
            f"{_named(empty, names)}: every image went out again with those of classes filled later; "
            'draw="portable" keeps one',
            stacklevel=3,
        )
