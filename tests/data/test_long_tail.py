from __future__ import annotations

import itertools
import math
import random
import warnings

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nctools.data.long_tail import LongTail, build_long_tail, class_ranks, reference_counts
from nctools.errors import UnknownNameError

Labels = NDArray[np.int64]
DRAWS = ["portable", "released"]


@st.composite
def label_matrices(draw: st.DrawFn) -> Labels:
    """0/1 matrices in which every class has an image; images without a label are among them."""
    shape = (draw(st.integers(2, 40)), draw(st.integers(1, 5)))
    labels = draw(arrays(np.int64, shape, elements=st.integers(0, 1)))
    for c in range(shape[1]):
        labels[draw(st.integers(0, shape[0] - 1)), c] = 1
    return labels


def quietly(labels: Labels, **arguments: object) -> LongTail:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_long_tail(labels, **arguments)  # type: ignore[arg-type]


def scenes(seed: int = 0) -> Labels:
    """11,540 images of 20 classes: the first comes along with most others, neighbours share an image."""
    rng = np.random.default_rng(seed)
    num_images, num_classes = 11_540, 20
    frequencies = np.geomspace(1, 0.1, num_classes)
    main = rng.choice(num_classes, num_images, p=frequencies / frequencies.sum())
    labels: Labels = np.eye(num_classes, dtype=np.int64)[main]
    labels[rng.random(num_images) < np.linspace(0.7, 0.1, num_classes)[main], 0] = 1
    beside = np.minimum(main + rng.integers(1, 4, num_images), num_classes - 1)
    together = np.flatnonzero(rng.random(num_images) < np.where(main < 12, 0.45, 0.08))
    labels[together, beside[together]] = 1
    return labels


def pattern() -> Labels:
    """400 images of 4 classes by rule, for draws that are written down."""
    i = np.arange(400)
    return np.stack([i % 3 != 1, i * i % 7 == 2, i % 11 == 4, i // 5 % 13 == 0], axis=1).astype(np.int64)


def expected_counts(labels: Labels, ranks: list[int], targets: list[int]) -> tuple[NDArray[np.float64], ...]:
    """What the counts are on average, and an upper bound of their standard deviation.

    Follows the probability of each image to be in: a class that misses images raises it for those that are out, one
    with too many lowers it for those that are in. Images are drawn without putting back, so that independent ones
    with these probabilities would scatter more.
    """
    inside = np.zeros(len(labels))
    for c, target in zip(ranks, targets, strict=True):
        holds = labels[:, c] == 1
        have = inside[holds].sum()
        if have < target:
            outside = 1 - inside[holds]
            inside[holds] += outside * (target - have) / outside.sum()
        else:
            inside[holds] *= target / have
    return inside @ labels, np.sqrt((inside * (1 - inside)) @ labels)


def slow_p(labels: Labels) -> list[float]:
    """Labels i to expect if each class gives one random image."""
    num_classes = labels.shape[1]
    p = [0.0] * num_classes
    for j in range(num_classes):
        of_j = [row for row in labels.tolist() if row[j]]
        for i in range(num_classes):
            p[i] += sum(row[i] for row in of_j) / len(of_j)
    return p


def test_reference_counts_of_the_published_sets() -> None:
    assert reference_counts(20) == [800, 529, 359, 248, 175, 125, 91, 67, 50, 38, 29, 23, 18, 14, 11, 9, 7, 6, 5, 4]
    assert reference_counts(20, alpha=12, n_max=1400) == [
        *(1400, 1020, 749, 554, 413, 310, 234, 178, 136, 104, 81, 63, 49, 38, 30, 24, 19, 15, 12, 10)
    ]
    coco = reference_counts(80, n_max=1200)
    assert coco[:5] == [1200, 1084, 981, 888, 806]
    assert coco[-8:] == [8, 8, 8, 7, 7, 7, 6, 6]


@given(
    st.integers(1, 300),
    st.floats(0.5, 50),
    st.integers(1, 50),
    st.integers(0, 5000),
    st.floats(0, 0.999),
)
def test_reference_counts_fall_from_the_largest_to_the_end_of_the_formula(
    num_classes: int, alpha: float, n_min: int, more: int, quantile: float
) -> None:
    counts = reference_counts(num_classes, alpha=alpha, n_max=n_min + more, n_min=n_min, quantile=quantile)
    assert len(counts) == num_classes
    assert counts[0] == n_min + more
    assert all(first >= second for first, second in itertools.pairwise(counts))
    if num_classes > 1:
        end = more * (1 - quantile) ** ((alpha + 1) / alpha) + n_min
        assert counts[-1] in {math.floor(end - 1e-6), math.floor(end + 1e-6)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` is 0"),
        ({"alpha": 0}, "`alpha` is 0"),
        ({"alpha": math.inf}, "`alpha` is inf"),
        ({"alpha": math.nan}, "`alpha` is nan"),
        ({"n_min": 0}, "`n_min` is 0 and `n_max` is 800"),
        ({"n_max": 3, "n_min": 4}, "`n_min` is 4 and `n_max` is 3"),
        ({"quantile": 1}, "`quantile` is 1"),
        ({"quantile": -0.1}, "`quantile` is -0.1"),
    ],
)
def test_parameters_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference_counts(**({"num_classes": 5} | arguments))  # type: ignore[arg-type]
    if "num_classes" not in arguments:
        with pytest.raises(ValueError, match=message):
            build_long_tail(np.eye(3), **arguments)  # type: ignore[arg-type]


@given(label_matrices())
def test_ranks_follow_the_expected_labels_of_a_class_draw(labels: Labels) -> None:
    p = slow_p(labels)
    ranks = class_ranks(labels)
    assert sorted(ranks) == list(range(labels.shape[1]))
    assert all(p[first] >= p[second] - 1e-9 for first, second in itertools.pairwise(ranks))


def test_ranks_are_not_the_order_of_the_counts_and_ties_keep_the_order_of_the_classes() -> None:
    alone_and_frequent = np.array([[1, 0, 0]] * 5 + [[0, 1, 1]] * 2)
    assert class_ranks(alone_and_frequent) == [1, 2, 0]
    assert class_ranks(np.eye(4)) == [0, 1, 2, 3]


@settings(max_examples=60)
@given(label_matrices(), st.integers(0, 2**40), st.integers(1, 30), st.sampled_from(DRAWS))
def test_what_holds_for_every_matrix(labels: Labels, seed: int, n_max: int, draw: str) -> None:
    chosen = quietly(labels, n_max=n_max, seed=seed, draw=draw)
    again = quietly(labels, n_max=n_max, seed=seed, draw=draw)
    assert chosen.indices.tolist() == again.indices.tolist()
    assert chosen.indices.dtype == np.int64
    assert len(set(chosen.indices.tolist())) == len(chosen)
    assert labels[chosen.indices].any(axis=1).all()
    assert chosen.reached == labels[chosen.indices].sum(axis=0).tolist()
    available = labels.sum(axis=0)
    by_rank = [chosen.targets[c] for c in chosen.ranks]
    assert by_rank == reference_counts(labels.shape[1], n_max=n_max)
    assert chosen.short == [c for c in range(labels.shape[1]) if available[c] < chosen.targets[c]]
    last = chosen.ranks[-1]
    assert chosen.reached[last] == min(chosen.targets[last], available[last])
    if draw == "portable":
        assert min(chosen.reached) > 0
        assert chosen.indices.tolist() == sorted(chosen.indices.tolist())


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 40), st.sampled_from(DRAWS))
def test_with_one_label_per_image_nothing_drifts(available: list[int], n_max: int, draw: str) -> None:
    labels = np.eye(len(available), dtype=np.int64)[np.repeat(np.arange(len(available)), available)]
    chosen = quietly(labels, n_max=n_max, draw=draw)
    expected = [min(target, count) for target, count in zip(chosen.targets, available, strict=True)]
    assert chosen.reached == expected


@settings(max_examples=30)
@given(label_matrices(), st.randoms(use_true_random=False), st.sampled_from(DRAWS))
def test_relabelling_the_classes_permutes_the_counts(labels: Labels, rng: random.Random, draw: str) -> None:
    p = slow_p(labels)
    if min((abs(a - b) for k, a in enumerate(p) for b in p[:k]), default=1.0) < 1e-9:
        reject()  # ranks of equal classes depend on their index
    order = rng.sample(range(labels.shape[1]), labels.shape[1])
    first, second = (quietly(matrix, n_max=15, draw=draw) for matrix in (labels, labels[:, order]))
    assert second.indices.tolist() == first.indices.tolist()
    assert second.reached == [first.reached[c] for c in order]


def test_counts_of_a_full_size_set_are_those_expected_from_the_targets_for_ten_seeds() -> None:
    labels = scenes()
    draws = [build_long_tail(labels, seed=seed) for seed in range(10)]
    first = draws[0]
    mean, deviation = expected_counts(labels, first.ranks, [first.targets[c] for c in first.ranks])
    reached = np.array([chosen.reached for chosen in draws])
    # Tolerance: three standard deviations of a single draw, of which there are 200, and of the mean of ten.
    assert (np.abs(reached - mean) <= 3 * deviation).all()
    assert (np.abs(reached.mean(axis=0) - mean) <= 3 * deviation / math.sqrt(10)).all()
    assert (reached > 0).all()
    assert (reached[:, first.ranks[-1]] == 4).all()
    targets = np.array(first.targets)
    # The drift away from the targets: a few per cent in the tail, and what later classes bring in the head.
    assert (np.abs(mean - targets) <= np.where(targets < 20, 0.5, 0.25 * targets)).all()
    assert len({chosen.indices.tobytes() for chosen in draws}) == 10


def test_the_portable_draw_never_changes() -> None:
    # Written down once. If this fails, every split that a user has drawn can no longer be drawn again.
    chosen = build_long_tail(pattern(), n_max=30, quantile=0.9, seed=3)
    assert chosen.reached == [29, 12, 5, 2]
    assert chosen.indices.tolist() == [
        *(5, 6, 38, 48, 51, 116, 128, 138, 141, 150, 158, 164, 167, 179, 210, 215, 228, 231, 233, 254, 270, 290, 293),
        *(301, 312, 329, 347, 368, 372, 377, 391),
    ]


def test_no_class_ends_empty_where_the_released_draw_loses_one() -> None:
    labels = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]])
    with pytest.warns(UserWarning, match=r'class 0 \(\'cat\'\).*: every image went out .* draw="portable" keeps one'):
        lost = build_long_tail(labels, n_max=3, draw="released", seed=1, class_names=["cat", "dog", "cow", "ant"])
    assert lost.reached[0] == 0
    for seed in range(50):
        assert min(quietly(labels, n_max=3, seed=seed).reached) > 0


def test_too_few_images_are_all_taken_with_a_warning() -> None:
    labels = np.eye(2, dtype=np.int64)[[0] * 5 + [1] * 9]
    for draw in DRAWS:
        with pytest.warns(UserWarning, match=r"^class 'cat' has only 5 images for a target of 20$"):
            chosen = build_long_tail(labels, n_max=20, quantile=0.5, class_names=["cat", "dog"], draw=draw)  # type: ignore[arg-type]
        assert chosen.short == [0]
        assert chosen.reached == [5, 9]


def test_a_class_without_images_is_named() -> None:
    labels = np.array([[1, 0, 0], [1, 0, 1]])
    with pytest.raises(ValueError, match="no image among 2 holds class 1: a class without images"):
        build_long_tail(labels)
    with pytest.raises(ValueError, match=r"holds class 1 \('dog'\)"):
        build_long_tail(labels, class_names=["cat", "dog", "cow"])
    with pytest.raises(ValueError, match="no image among 2 holds class 1"):
        class_ranks(labels)
    with pytest.raises(ValueError, match="no image among 0 holds class 0, class 1"):
        class_ranks(np.zeros((0, 2)))


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`labels` holds 2.0 at image 1, class 0 \(1 such entries\)"):
        build_long_tail(np.array([[1.0, 1.0], [2.0, 0.0]]))
    with pytest.raises(ValueError, match=r"`labels` holds -1 at image 0, class 1 \(2 such"):
        build_long_tail(np.array([[1, -1], [-1, 0]]))
    with pytest.raises(ValueError, match=r"`labels` has shape \[3\]"):
        build_long_tail(np.ones(3))
    with pytest.raises(ValueError, match="`labels` has 2 columns but `class_names` has 3 names"):
        build_long_tail(np.eye(2), class_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="`seed` is -1"):
        build_long_tail(np.eye(2), seed=-1)
    with pytest.raises(UnknownNameError, match="unknown draw 'portabel'; did you mean portable"):
        build_long_tail(np.eye(2), draw="portabel")  # type: ignore[arg-type]


def test_parameters_draw_the_same_set_again() -> None:
    labels = scenes()[:2000]
    chosen = quietly(labels, n_max=90, alpha=4, seed=5)
    again = quietly(labels, **chosen.parameters())
    assert again.indices.tolist() == chosen.indices.tolist()
    assert chosen.parameters()["alpha"] == 4


def test_global_generators_are_left_alone() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - what the user's code may rely on
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    for draw in DRAWS:
        quietly(scenes()[:500], n_max=20, draw=draw)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]  # noqa: NPY002
