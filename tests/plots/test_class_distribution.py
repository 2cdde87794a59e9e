from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nctools.plots.class_distribution import distribution, distribution_data
from nctools.plots.theme import GROUP_COLOURS
from tests.plots.layout import clipped_words, drawn_image, overlapping_words, shown_tick_labels

COUNTS = [12, 300, 45, 4]
NAMES = ["cat", "person", "car", "ship"]
GROUPS = {"head": [1], "medium": [2], "tail": [0, 3]}
PAIRS = np.array([[12, 6, 1, 0], [6, 300, 30, 4], [1, 30, 45, 0], [0, 4, 0, 4]])
LABELS = [0, 290, 30, 4]


def small() -> Figure:
    return distribution(COUNTS, NAMES, GROUPS, labels_per_image=LABELS, cooccurrence=PAIRS)


def large(num_classes: int) -> Figure:
    generator = np.random.default_rng(0)
    shares = generator.permutation(np.geomspace(0.4, 0.002, num_classes))
    targets = generator.random((600, num_classes)) < shares
    targets[0] = True
    positives = targets.sum(axis=0)
    pairs: NDArray[np.int64] = targets.T.astype(np.float32).dot(targets.astype(np.float32)).astype(np.int64)
    order = np.argsort(-positives)
    third = -(-num_classes // 3)
    parts = [order[:third].tolist(), order[third : 2 * third].tolist(), order[2 * third :].tolist()]
    return distribution(
        positives.tolist(),
        [f"class {i} of them" for i in range(num_classes)],
        dict(zip(("head", "medium", "tail"), parts, strict=True)),
        labels_per_image=np.bincount(targets.sum(axis=1)).tolist(),
        cooccurrence=pairs,
    )


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [2, 20, 80, 1000])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int) -> None:
    figure = large(num_classes)
    assert len(figure.axes) == 3
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_bars_are_sorted_coloured_by_group_and_carry_their_count_on_a_log_axis() -> None:
    bars = small().axes[0]
    assert bars.get_yscale() == "log"
    assert [text.get_text() for text in bars.get_xticklabels()] == ["person", "car", "cat", "ship"]
    rectangles = [patch for patch in bars.patches if isinstance(patch, Rectangle)]
    assert [patch.get_height() for patch in rectangles] == [300, 45, 12, 4]
    expected = [GROUP_COLOURS[group].lower() for group in ("head", "medium", "tail", "tail")]
    assert [to_hex(patch.get_facecolor()) for patch in rectangles] == expected
    assert {"300", "45", "12", "4"} <= {text.get_text() for text in bars.texts}


def test_labels_per_image_start_at_one_unless_images_without_label_exist() -> None:
    panel = small().axes[1]
    assert [patch.get_height() for patch in panel.patches if isinstance(patch, Rectangle)] == [290, 30, 4]
    assert "mean 1.12" in panel.get_title(loc="left")
    figure = distribution(COUNTS, NAMES, GROUPS, labels_per_image=[7, *LABELS[1:]], cooccurrence=PAIRS)
    bars = [patch for patch in figure.axes[1].patches if isinstance(patch, Rectangle)]
    assert [patch.get_height() for patch in bars] == [7, 290, 30, 4]
    assert bars[0].get_center()[0] == pytest.approx(0)


def test_the_map_shows_the_share_of_the_row_class_with_a_blank_diagonal_and_group_boundaries() -> None:
    panel = small().axes[2]
    drawn = drawn_image(panel)
    assert np.isnan(drawn).tolist() == np.eye(4, dtype=bool).tolist()
    assert drawn[0, 1] == pytest.approx(10.0)
    assert drawn[1, 0] == pytest.approx(100 * 30 / 45)
    assert [text.get_text() for text in panel.get_yticklabels()] == ["person", "car", "cat", "ship"]
    vertical = [line.get_xdata()[0] for line in panel.lines if list(line.get_ydata()) == [0, 1]]  # type: ignore[index, arg-type]
    assert vertical == [0.5, 1.5]


def test_many_classes_are_neither_named_nor_counted() -> None:
    bars, _, pairs = large(1000).axes
    assert shown_tick_labels(bars.xaxis) == []
    assert shown_tick_labels(pairs.yaxis) == []
    assert not any(text.get_text().isdigit() for text in bars.texts)
    assert bars.get_xlabel() == "1000 classes, most frequent first"


def test_a_class_without_images_is_a_missing_bar_and_an_empty_row() -> None:
    pairs = np.array([[30, 0], [0, 0]])
    figure = distribution([30, 0], ["a", "b"], {"tail": [0, 1]}, labels_per_image=[0, 30], cooccurrence=pairs)
    assert "0" in [text.get_text() for text in figure.axes[0].texts]
    assert np.isnan(drawn_image(figure.axes[2])[1]).all()
    assert clipped_words(figure) == []


def test_data_set_and_split_are_named() -> None:
    figure = distribution(
        COUNTS, NAMES, GROUPS, labels_per_image=LABELS, cooccurrence=PAIRS, name="a $set$ " + "x" * 80, split="test"
    )
    assert [panel.get_ylabel() for panel in figure.axes[:2]] == ["test images", "test images"]
    title = figure.axes[0].get_title(loc="left")
    assert title.startswith("Images per class: a $set$ xxx")
    assert title.endswith("xxx, test")
    assert clipped_words(figure) == []
    assert [panel.get_ylabel() for panel in small().axes[:2]] == ["training images", "training images"]


def test_the_data_hold_the_three_panels() -> None:
    data = distribution_data(COUNTS, NAMES, GROUPS, labels_per_image=LABELS, cooccurrence=PAIRS)
    assert data.columns.tolist() == ["quantity", "class_i", "class_j", "group", "labels", "value"]
    bars = data[data["quantity"] == "images_of_class"]
    assert bars["class_i"].tolist() == ["person", "car", "cat", "ship"]
    assert bars["group"].tolist() == ["head", "medium", "tail", "tail"]
    assert bars["value"].tolist() == [300, 45, 12, 4]
    images = data[data["quantity"] == "images_with_labels"]
    assert dict(zip(images["labels"], images["value"], strict=True)) == {0: 0, 1: 290, 2: 30, 3: 4}
    shares = data[data["quantity"] == "share_also_holding"]
    assert len(shares) == np.count_nonzero(PAIRS) - 4
    met = shares[(shares["class_i"] == "ship") & (shares["class_j"] == "person")]
    assert met["value"].tolist() == [1.0]


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \[3, 3\] but there are 4 classes"):
        distribution(COUNTS, NAMES, GROUPS, labels_per_image=LABELS, cooccurrence=PAIRS[:3, :3])
    too_many = PAIRS.copy()
    too_many[3, 0] = 9
    with pytest.raises(ValueError, match="'ship' and 'cat' are said to share 9 images, but only 4"):
        distribution(COUNTS, NAMES, GROUPS, labels_per_image=LABELS, cooccurrence=too_many)
    with pytest.raises(ValueError, match="0 or more"):
        distribution(COUNTS, NAMES, GROUPS, labels_per_image=[-1], cooccurrence=PAIRS)
    with pytest.raises(ValueError, match="class_names has 3"):
        distribution(COUNTS, NAMES[:3], GROUPS, labels_per_image=LABELS, cooccurrence=PAIRS)


def test_a_short_count_axis_has_more_than_one_tick() -> None:
    counts = distribution(
        [1866, 4000], ["a", "b"], {"head": [0, 1]}, labels_per_image=[0, 9], cooccurrence=np.zeros((2, 2), dtype=int)
    ).axes[0]
    assert [text.get_text() for text in shown_tick_labels(counts.yaxis)] == ["1000", "2000", "5000"]
