from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nctools.plots import MapRow, class_map_data, class_map_grid, class_map_groups, group_colours
from nctools.plots.theme import GREY
from tests.plots.layout import clipped_words, overlapping_words

COLOURS = group_colours(["head", "medium", "tail"])


def thirds(num_classes: int) -> dict[str, list[int]]:
    cuts = [0, num_classes // 3, 2 * num_classes // 3, num_classes]
    return {name: list(range(cuts[i], cuts[i + 1])) for i, name in enumerate(("head", "medium", "tail"))}


def map_row(classes: list[int], *, true: list[int] | None = None, run: str = "", seed: int = 0) -> MapRow:
    sides = (12, 16)
    rng = np.random.default_rng(seed)
    present = np.array([index in (classes[:2] if true is None else true) for index in classes])
    return MapRow(
        f"photograph-of-{seed:012d}.jpg",
        rng.integers(0, 255, (*sides, 3), dtype=np.uint8),
        rng.normal(size=(len(classes), *sides)),
        classes,
        present,
        scores=rng.random(len(classes)),
        boxes={index: np.array([[2.0, 3, 8, 9]]) for index, there in zip(classes, present, strict=True) if there},
        energy=np.where(present, 0.37, np.nan),
        run=run,
    )


def long_names(num_classes: int) -> list[str]:
    return [f"potted plant with an uncommonly long name {index}" for index in range(num_classes)]


def frame(axes: Axes) -> tuple[str, float]:
    spine = axes.spines["left"]
    return to_hex(spine.get_edgecolor()), spine.get_linewidth()


def outlines(axes: Axes) -> list[tuple[float, float, float, float]]:
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [(*box.get_xy(), box.get_width(), box.get_height()) for box in boxes]


def caption_fits(figure: Figure) -> bool:
    """Whether the lines below the maps lie inside the figure, and below its axes and legends."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    lines = [text for text in figure.texts if text.get_color() == GREY]
    boxes = [line.get_window_extent(canvas.get_renderer()) for line in lines]
    lowest = min(axes.get_window_extent().y0 for axes in figure.axes)
    lowest = min([lowest, *(legend.get_window_extent().y0 for legend in figure.legends)])
    width = figure.get_size_inches()[0] * figure.dpi
    return all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= lowest for box in boxes)


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize(
    ("num_classes", "images", "runs"),
    [
        *((1, 1, ("",)), (2, 2, ("",)), (7, 1, ("",)), (8, 1, ("",)), (31, 1, ("",))),
        *((1, 1, ("a", "b")), (6, 1, ("runs/mlc_nc-of-a-long-study/s0", "erm")), (20, 1, ("a",))),
    ],
)
def test_words_of_rows_neither_overlap_nor_leave_the_figure(
    num_classes: int, images: int, runs: tuple[str, ...]
) -> None:
    names = long_names(num_classes)
    rows = [map_row(list(range(num_classes)), run=run, seed=image) for image in range(images) for run in runs]
    figure = class_map_grid(rows, names, groups=thirds(num_classes), map_size=(7, 7), method="smoothgradcam++")
    assert len(figure.axes) == len(rows) * (1 + num_classes) + 1
    assert clipped_words(figure) == []
    assert caption_fits(figure)
    assert overlapping_words(figure) == []
    assert figure.get_size_inches()[0] <= 7.0 + 1e-9


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [2, 20, 80])
def test_words_of_groups_neither_overlap_nor_leave_the_figure(num_classes: int) -> None:
    names = long_names(num_classes)
    figure = class_map_groups(map_row(list(range(num_classes))), names, groups=thirds(num_classes), map_size=(7, 7))
    assert len(figure.axes) == 1 + num_classes + 1
    assert clipped_words(figure) == []
    assert caption_fits(figure)
    assert overlapping_words(figure) == []


def test_a_few_of_a_thousand_classes_are_drawn_by_their_own_names_and_groups() -> None:
    names = [f"class {index}" for index in range(1000)]
    figure = class_map_grid([map_row([999, 3], true=[999])], names, groups=thirds(1000))
    assert [axes.get_title() for axes in figure.axes[1:3]] == ["✓ class 999", "class 3"]
    assert figure.axes[1].title.get_color() == COLOURS["tail"]
    assert frame(figure.axes[1]) == (COLOURS["tail"].lower(), 2.0)
    assert frame(figure.axes[2])[1] == 0.4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["head", "tail"]


def test_scores_and_shares_stand_below_as_far_as_there_is_room() -> None:
    row = map_row([0, 1, 2], true=[0])
    (_, first, second, *_) = class_map_grid([row], ["a", "b", "c"]).axes
    assert row.scores is not None
    assert first.get_xlabel() == f"{row.scores[0]:.2f} · 37% in box"
    assert second.get_xlabel() == f"{row.scores[1]:.2f}"
    crowded = class_map_grid([map_row(list(range(20)), true=[0])], [str(i) for i in range(20)]).axes[1]
    assert "in box" not in crowded.get_xlabel()


def test_boxes_lie_on_the_edges_of_the_pixels() -> None:
    row = map_row([0, 1], true=[0])
    picture, first, second, *_ = class_map_grid([row], ["a", "b"]).axes
    assert outlines(picture) == outlines(first) == [(1.5, 2.5, 6.0, 6.0)]  # imshow has the edge of a pixel at -0.5
    assert outlines(second) == []


@pytest.mark.parametrize("scale", ["map", "common"])
def test_colours_reach_from_zero_to_the_maximum_that_the_caption_names(scale: Literal["map", "common"]) -> None:
    rows = [map_row([0, 1], seed=seed) for seed in range(2)]
    figure = class_map_grid(rows, ["a", "b"], scale=scale, method="cam", map_size=(3, 4))
    drawn = [axes.images[1] for axes in (*figure.axes[1:3], *figure.axes[4:6])]
    highest = [float(row.maps[place].max()) for row in rows for place in range(2)]
    expected = highest if scale == "map" else [max(highest)] * 4
    np.testing.assert_allclose([image.get_clim() for image in drawn], [(0, value) for value in expected])
    assert all(np.asarray(image.get_array()).min() == 0 for image in drawn)
    caption = " ".join(text.get_text() for text in figure.texts)
    assert caption.startswith("Maps: cam, 3 x 4, enlarged bilinearly to 12 x 16 px; colours from 0 to the maximum of")
    assert ("each map" in caption) == (scale == "map")
    end = figure.axes[-1].texts[-1].get_text()
    assert end == ("max" if scale == "map" else f"{max(highest):.3g}")


def test_a_map_without_anything_positive_is_drawn_dark() -> None:
    row = MapRow("a", np.zeros((4, 4, 3), np.uint8), -np.ones((1, 4, 4)), [0], np.array([False]))
    image = class_map_grid([row], ["cat"]).axes[1].images[1]
    assert np.asarray(image.get_array()).max() == 0
    assert image.get_clim() == (0, 1)


def test_groups_stand_in_their_order_with_true_labels_first() -> None:
    row = map_row([0, 1, 2, 3, 4], true=[1, 4])
    figure = class_map_groups(row, list("abcde"), groups={"tail": [3, 4], "head": [0, 1]})
    assert [axes.get_title() for axes in figure.axes[1:-1]] == ["✓ e", "d", "✓ b", "a", "c"]
    assert [text.get_text() for text in figure.texts[:3]] == ["tail", "head", "other"]


def test_the_table_has_what_is_drawn() -> None:
    rows = [map_row([2, 0], true=[2], run=run) for run in ("x", "y")]
    table = class_map_data(rows, ["cat", "dog", "cow"], groups={"head": [0], "tail": [2]})
    assert table["run"].tolist() == ["x", "x", "y", "y"]
    assert table[["class", "group", "true"]].to_numpy().tolist()[:2] == [["cow", "tail", True], ["cat", "head", False]]
    assert rows[0].scores is not None
    assert table["score"].tolist()[:2] == rows[0].scores.tolist()
    assert table["max"][0] == rows[0].maps[0].max()
    assert (table["energy"][0], math.isnan(table["energy"][1])) == (0.37, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": np.zeros((2, 4, 5))}, r"'a': `maps` has shape \[2, 4, 5\] and `image` \[4, 4, 3\], with 1 classes"),
        ({"true": np.zeros(3, bool)}, r"`true` has shape \[3\], but there are 1 classes"),
        ({"scores": np.zeros(2)}, r"`scores` has shape \[2\]"),
        ({"energy": np.zeros(2)}, r"`energy` has shape \[2\]"),
    ],
)
def test_shapes_that_do_not_fit_are_told(change: dict[str, object], message: str) -> None:
    fitting: dict[str, object] = {
        "image_id": "a", "image": np.zeros((4, 4, 3), np.uint8), "maps": np.zeros((1, 4, 4)), "classes": [0],
        "true": np.zeros(1, bool),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        MapRow(**{**fitting, **change})  # type: ignore[arg-type]


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(ValueError, match=r"image 'photograph.*' has 101 maps; at most 100"):
        class_map_grid([map_row(list(range(101)))], long_names(101))
    with pytest.raises(ValueError, match="has a map of class 7: 3 names"):
        class_map_grid([map_row([7])], list("abc"))
    with pytest.raises(ValueError, match=r"there are 0 images, with \[\] maps"):
        class_map_grid([], list("abc"))
    with pytest.raises(ValueError, match="scale is 'log'"):
        class_map_grid([map_row([0])], list("abc"), scale="log")  # type: ignore[arg-type]
