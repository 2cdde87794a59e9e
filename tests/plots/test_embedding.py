from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from nctools.plots import EmbeddedPoints, embedding, embedding_data
from nctools.plots.mean_names import MOST_NAMED, place_names
from nctools.plots.theme import GROUP_COLOURS
from tests.plots.layout import clipped_words, overlapping_words


def space(num_classes: int, size: int = 1500, seed: int = 0, *, vertices: bool = True) -> EmbeddedPoints:
    """Points around class means; the later a class, the rarer."""
    draw = np.random.default_rng(seed)
    means = 3 * draw.standard_normal((num_classes, 2))
    shares = np.asarray(counts(num_classes)) / sum(counts(num_classes))
    classes = draw.choice(num_classes, size, p=shares)
    points = means[classes] + 0.5 * draw.standard_normal((size, 2))
    return EmbeddedPoints(points, classes, means, 1.2 * means if vertices else None, ("PC 1 (61%)", "PC 2 (12%)"))


def counts(num_classes: int) -> list[int]:
    return [int(count) for count in np.geomspace(775, 4, num_classes).round()]


def names(num_classes: int) -> list[str]:
    return [f"class name {i}" for i in range(num_classes)]


def drawn(axes: Axes, what: str) -> list[PathCollection]:
    return [part for part in axes.collections if isinstance(part, PathCollection) and part.get_label() == what]


def places(parts: list[PathCollection]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(part.get_offsets(), dtype=np.float64) for part in parts])


@pytest.mark.parametrize("num_classes", [2, 20, 80, 1000])
@pytest.mark.parametrize(("panels", "by"), [(1, "group"), (1, "class"), (3, "group"), (4, "class")])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int, panels: int, by: str) -> None:
    spaces = {f"run {i} · classwise": space(num_classes, seed=i, vertices=num_classes < 100) for i in range(panels)}
    figure = embedding(spaces, names(num_classes), counts(num_classes), by=by)  # type: ignore[arg-type]
    assert len(figure.axes) == panels
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.parametrize("by", ["group", "class"])
def test_names_with_dollars_are_no_mathematics(by: str) -> None:
    groups = {"$head_$": [0, 1], "tail": [2]}
    figure = embedding({"$run_$": space(3)}, ["$x_$", "$y^$", "z"], counts(3), by=by, groups=groups)  # type: ignore[arg-type]
    figure.savefig(io.BytesIO())
    (legend,) = figure.legends
    assert ("$x_$" if by == "class" else "$head_$") in [text.get_text() for text in legend.get_texts()]


def test_every_point_is_drawn_once_and_rare_classes_lie_on_top() -> None:
    one = space(20)
    (axes,) = embedding({"run": one}, names(20), counts(20)).axes
    (points,) = drawn(axes, "points")
    order = np.argsort(one.classes, kind="stable")
    assert np.array_equal(points.get_offsets(), one.points[order])
    colours = [to_hex(colour) for colour in points.get_facecolors()]  # type: ignore[attr-defined]
    assert colours[0] == GROUP_COLOURS["head"].lower()
    assert colours[-1] == GROUP_COLOURS["tail"].lower()
    assert points.get_rasterized()
    assert np.allclose(places(drawn(axes, "means")), one.means)
    assert one.vertices is not None
    assert np.allclose(places(drawn(axes, "vertices")), one.vertices)


def test_up_to_20_classes_have_a_mark_of_their_own() -> None:
    (axes,) = embedding({"run": space(20, 6000)}, names(20), counts(20), by="class").axes
    looks = set()
    for part in drawn(axes, "means"):
        outline = part.get_paths()[0].vertices.tobytes()  # type: ignore[union-attr]
        looks |= {(outline, to_hex(colour)) for colour in part.get_facecolors()}  # type: ignore[attr-defined]
    assert len(looks) == 20
    assert len(places(drawn(axes, "points"))) == 6000


def test_more_than_20_classes_are_coloured_by_group() -> None:
    figure = embedding({"run": space(80)}, names(80), counts(80), by="class")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "head", "medium", "tail", "class mean", "nearest ETF",
    ]  # fmt: skip


@pytest.mark.parametrize("num_classes", [2, 20, 21, 1000])
def test_classes_of_one_group_that_nobody_named_are_not_coloured_by_it(num_classes: int) -> None:
    balanced = [50] * num_classes
    figure = embedding({"run": space(num_classes)}, names(num_classes), balanced)
    told = [text.get_text() for text in figure.legends[0].get_texts()][:-2]
    assert told == (names(num_classes) if num_classes <= 20 else ["all"])
    table = embedding_data({"run": space(num_classes)}, names(num_classes), balanced)
    assert set(table["group"]) == {"all"}
    assert overlapping_words(figure) == []


def test_one_group_that_the_user_names_is_kept() -> None:
    figure = embedding({"run": space(3)}, names(3), [50] * 3, groups={"birds": [0, 1, 2]})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["birds", "class mean", "nearest ETF"]


@pytest.mark.parametrize("num_classes", [2, 20, 80, 1000])
@pytest.mark.parametrize("panels", [1, 3, 4])
@pytest.mark.usefixtures("every_style")
def test_the_note_of_shared_features_has_room(num_classes: int, panels: int) -> None:
    spaces = {f"run {i} · penultimate": replace(space(num_classes, 300), by_rarest=i > 0) for i in range(panels)}
    spaces["run 0 · penultimate"] = replace(spaces["run 0 · penultimate"], by_rarest=panels == 1)
    figure = embedding(spaces, names(num_classes), counts(num_classes))
    (note,) = figure.texts
    assert "rarest class" in note.get_text().replace("\n", " ")
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_what_is_named_is_told() -> None:
    (axes,) = embedding({"run": space(80)}, names(80), counts(80)).axes
    written = [text.get_text() for text in axes.texts]
    named = [word for word in written if word.startswith("class")]
    assert 5 < len(named) < 80
    assert f"{len(named)}/80 named" in written
    (alone,) = embedding({"run": space(1000)}, names(1000), counts(1000)).axes
    assert [text.get_text() for text in alone.texts if text.get_text()] == []


def test_both_axes_have_one_scale_and_hold_everything() -> None:
    wide = space(20)
    flat = replace(wide, points=wide.points * [5, 1], means=wide.means * [5, 1], vertices=None)
    figure = embedding({"a": wide, "b": flat}, names(20), counts(20))
    for axes, one in zip(figure.axes, (wide, flat), strict=True):
        width, height = axes.get_window_extent().size
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert (right - left) / width == pytest.approx((top - bottom) / height)
        x, y = one.every_place().T
        assert left < x.min() <= x.max() < right
        assert bottom < y.min() <= y.max() < top
    (alone,) = embedding({"b": flat}, names(20), counts(20)).axes
    width, height = alone.get_window_extent().size
    assert height == pytest.approx(0.55 * width), "a flat cloud has no white above it"


def test_epochs_share_their_axes() -> None:
    spaces = {f"epoch {i}": space(20, seed=i) for i in range(4)}
    figure = embedding(spaces, names(20), counts(20), common_axes=True)
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [True, False, False, True]


def test_a_plane_without_a_scale_has_no_numbers() -> None:
    (axes,) = embedding({"a": replace(space(2), has_scale=False)}, names(2), counts(2)).axes
    assert list(axes.get_xticks()) == list(axes.get_yticks()) == []


def test_a_class_without_a_mean_has_no_mark() -> None:
    one = space(5)
    one.means[2] = np.nan
    (axes,) = embedding({"a": one}, names(5), counts(5)).axes
    assert len(places(drawn(axes, "means"))) == 4
    table = embedding_data({"a": one}, names(5), counts(5))
    assert "class name 2" not in set(table[table["kind"] == "mean"]["class"])


def test_collapsed_points_are_drawn() -> None:
    means = np.array([[0.0, 0.0], [0.0, 0.0]])
    one = EmbeddedPoints(means, np.array([0, 1]), means)
    assert embedding({"a": one}, names(2), counts(2)).axes[0].get_xlim()[0] < 0


def test_data_are_what_is_drawn() -> None:
    one = replace(space(3, 4), images=["a", "b", "c", "d"], labels=["x"] * 4)
    table = embedding_data({"run": one}, names(3), [500, 50, 5])
    assert table.columns.tolist() == ["run", "kind", "class", "group", "x", "y", "image", "labels"]
    points = table[table["kind"] == "point"]
    assert points[["x", "y"]].to_numpy().tolist() == one.points.tolist()
    assert points["class"].tolist() == [f"class name {c}" for c in one.classes]
    assert points["image"].tolist() == ["a", "b", "c", "d"]
    assert table["kind"].value_counts().to_dict() == {"point": 4, "mean": 3, "etf": 3}
    assert table[table["kind"] == "etf"]["group"].tolist() == ["head", "medium", "tail"]


def test_pdf_and_svg_stay_small_with_many_points() -> None:
    figure = embedding({"run": space(20, 20_000)}, names(20), counts(20))
    for form in ("pdf", "svg"):
        written = io.BytesIO()
        figure.savefig(written, format=form)
        assert len(written.getvalue()) < 500_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": np.zeros((3, 3))}, r"points of 'a' have shape \[3, 3\], not \[3, 2\]"),
        ({"classes": np.zeros(4, int)}, r"classes of 'a' have shape \[4\], not \[1500\]"),
        ({"means": np.zeros((4, 2))}, r"means of 'a' have shape \[4, 2\], not \[2, 2\]"),
        ({"vertices": np.zeros((4, 2))}, r"vertices of 'a' have shape \[4, 2\]"),
        ({"images": ["x"]}, r"images of 'a' have shape \[1\], not \[1500\]"),
        ({"classes": np.full(1500, 2)}, r"classes of 'a' lie in 2\.\.2, but there are 2 classes"),
        ({"points": np.full((1500, 2), np.nan)}, r"points of 'a': .* not all finite"),
    ],
)
def test_parts_that_do_not_fit_are_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        embedding({"a": replace(space(2), **change)}, names(2), counts(2))  # type: ignore[arg-type]


def test_nothing_to_draw_and_unknown_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        embedding({}, names(2), counts(2))
    with pytest.raises(ValueError, match="by is 'image'"):
        embedding({"a": space(2)}, names(2), counts(2), by="image")  # type: ignore[arg-type]


def test_names_avoid_each_other_the_marks_and_the_edge() -> None:
    draw = np.random.default_rng(0)
    marks = draw.uniform(0, 200, (60, 2))
    placed = place_names(names(60), marks, (200, 200), ranked=range(60), mark=2)
    assert len({name.index for name in placed}) == len(placed) > 8
    assert place_names(names(MOST_NAMED + 1), np.zeros((MOST_NAMED + 1, 2)), (9, 9), ranked=range(101), mark=2) == []
    lonely = place_names(
        ["a"], np.array([[50.0, 50.0]]), (100, 100), ranked=[0], mark=2, others=np.array([[58.0, 50.0]])
    )
    assert [name.align for name in lonely] == ["right"]
