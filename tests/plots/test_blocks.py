from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from nctools.plots import block_data, block_map
from nctools.plots.theme import DOUBLE_COLUMN
from tests.plots.layout import clipped_words, drawn_image, overlapping_words

GROUPS = ("head", "medium", "tail")
TWELVE = ("birds", "vehicles", "people outdoors", "food", "a", "buildings at night", *"uvwxyz")


def matrix(groups: tuple[str, ...], low: float, high: float, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).uniform(np.log10(low), np.log10(high), (len(groups), len(groups)))
    return pd.DataFrame(10 ** ((values + values.T) / 2), index=groups, columns=groups)


def blocks(groups: tuple[str, ...] = GROUPS, seed: int = 0) -> dict[str, pd.DataFrame]:
    return {"nc1_cdnv": matrix(groups, 1e-3, 30, seed), "nc2_mean_angle_deg": matrix(groups, 60, 120, seed)}


def numbers(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_transform() == axes.transData]


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize(
    ("groups", "runs", "metrics"),
    [
        (("all of them",), 1, 2),
        (("head", "tail"), 1, 2),
        (("head", "tail"), 6, 2),
        (GROUPS, 3, 2),
        (TWELVE, 1, 1),
        (tuple(map(str, range(30))), 1, 1),
    ],
)
def test_words_neither_overlap_nor_leave_the_figure(groups: tuple[str, ...], runs: int, metrics: int) -> None:
    found = {f"run {i} · classwise": blocks(groups, i) for i in range(runs)}
    figure = block_map(found, metrics=list(blocks())[:metrics], num_classes=80)
    assert len(figure.axes) == metrics * runs
    assert figure.get_size_inches()[0] <= DOUBLE_COLUMN + 0.01
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_every_cell_carries_its_number_inside_its_borders() -> None:
    figure = block_map({f"run {i}": blocks(TWELVE, i) for i in range(2)}, metrics=["nc1_cdnv"])
    figure.draw_without_rendering()
    for axes in figure.axes:
        drawn = drawn_image(axes)
        cell = axes.get_window_extent().width / 12
        texts = [text for text in axes.texts if text.get_transform() == axes.transData]
        assert len(texts) == 144
        assert max(text.get_window_extent().width for text in texts) < cell
        column, row = (int(place) for place in texts[17].get_position())
        assert float(texts[17].get_text()) == pytest.approx(drawn[row, column], rel=5e-3)


def test_runs_of_a_metric_share_their_colours_and_one_colour_bar() -> None:
    figure = block_map({"erm": blocks(seed=1), "mlc": blocks(seed=2)}, num_classes=20)
    first, second = (axes.images[0].norm for axes in figure.axes[:2])
    assert (first.vmin, first.vmax) == (second.vmin, second.vmax)
    assert figure.axes[0].child_axes == []
    (bar,) = figure.axes[1].child_axes
    assert cast("Axes", bar).get_window_extent().x0 > figure.axes[1].get_window_extent().x1
    assert [axes.get_title() for axes in figure.axes] == ["erm", "mlc", "erm", "mlc"]


def test_a_metric_says_where_collapse_lies() -> None:
    figure = block_map({"erm": blocks()}, num_classes=20)
    heads = [[text.get_text() for text in axes.texts[:2]] for axes in figure.axes]
    assert heads == [
        ["nc1_cdnv", "→ 0 at collapse (darker), log scale"],
        ["nc2_mean_angle_deg", "→ 93.02 at collapse (white)"],
    ]
    assert block_map({"erm": blocks()}).axes[1].texts[1].get_text() == ""  # C is not known


def test_a_cell_without_pairs_is_grey_and_says_so() -> None:
    found = blocks()
    found["nc1_cdnv"].loc["tail", "tail"] = np.nan
    axes = block_map({"erm": found}).axes[0]
    assert np.isnan(drawn_image(axes)[2, 2])
    assert numbers(axes)[-1] == "n/a"
    assert to_hex(tuple(axes.images[0].get_cmap().get_bad().tolist())) == "#c8c8c8"


def test_head_medium_and_tail_bear_their_colours_on_both_axes() -> None:
    axes = block_map({"erm": blocks((*GROUPS, "birds"))}).axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == [*GROUPS, "birds"]
        assert [label.get_color() for label in labels] == ["#0072B2", "#009E73", "#D55E00", "#262626"]


def test_numbers_without_room_are_left_out_but_stand_in_the_data() -> None:
    found = {"erm": blocks(tuple(f"group {i}" for i in range(30)))}
    assert numbers(block_map(found, metrics=["nc1_cdnv"]).axes[0]) == []
    assert len(block_data(found, metrics=["nc1_cdnv"])) == 900


def test_the_data_list_every_ordered_pair_of_groups() -> None:
    found = {"erm": blocks(seed=1), "mlc": blocks(seed=2)}
    data = block_data(found, metrics=["nc2_mean_angle_deg"])
    assert data.columns.tolist() == ["run", "metric", "group_i", "group_j", "value"]
    assert data["metric"].unique().tolist() == ["nc2_mean_angle_deg"]
    assert len(data) == 18
    row = data[(data["run"] == "mlc") & (data["group_i"] == "tail") & (data["group_j"] == "head")]
    assert row["value"].tolist() == [found["mlc"]["nc2_mean_angle_deg"].loc["tail", "head"]]


def test_the_usual_metrics_come_first_and_others_fill_up() -> None:
    found = {"nc2_mean_cos": matrix(GROUPS, 0.1, 0.9), "nc1_cdnv": matrix(GROUPS, 0.1, 9), "x": matrix(GROUPS, 1, 2)}
    assert block_data({"erm": found})["metric"].unique().tolist() == ["nc1_cdnv", "nc2_mean_cos"]
    assert block_data({"erm": {}, "mlc": found})["run"].unique().tolist() == ["mlc"]


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="no run"):
        block_map({})
    with pytest.raises(ValueError, match="no blocks in erm, mlc: measure a metric of pairs, such as nc1_cdnv or nc2_"):
        block_map({"erm": {}, "mlc": {}})
    with pytest.raises(ValueError, match=r"no run has blocks of nc1_pinv; there are: nc1_cdnv, nc2_mean_angle_deg"):
        block_map({"erm": blocks()}, metrics=["nc1_pinv"])
    with pytest.raises(ValueError, match="no run has blocks of no metric"):
        block_map({"erm": blocks()}, metrics=[])
    with pytest.raises(ValueError, match=r"'erm' have rows \['head', 'medium'\] and columns \['head', 'medium', 'tail"):
        block_data({"erm": {"nc1_cdnv": blocks()["nc1_cdnv"].iloc[:2]}})
