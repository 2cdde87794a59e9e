from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from nctools.plots.map_bars import score_bars, score_bars_data
from tests.plots.layout import clipped_words, overlapping_words, shown_tick_labels


def by_class(num_classes: int, runs: int = 2, seeds: int = 1) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    counts = np.geomspace(775, 4, num_classes).round().astype(int)[::-1]
    groups = np.where(counts >= 100, "head", np.where(counts >= 20, "medium", "tail"))
    return pd.DataFrame(
        [
            {
                "run": f"runs/method_{run}",
                "seed": seed,
                "class_index": index,
                "class_name": f"class {index} of it",
                "group": groups[index],
                "n": counts[index],
                "value": 100 * generator.random(),
            }
            for run in range(runs)
            for seed in range(seeds)
            for index in range(num_classes)
        ]
    )


def by_group(classes: pd.DataFrame) -> pd.DataFrame:
    every = pd.concat([classes.assign(group="all"), classes])
    return every.groupby(["run", "seed", "group"], sort=False)["value"].mean().reset_index()


def bars(axes: Axes) -> list[float]:
    return [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize(("num_classes", "runs", "seeds"), [(2, 1, 1), (20, 3, 2), (80, 12, 1), (1000, 2, 1)])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int, runs: int, seeds: int) -> None:
    classes = by_class(num_classes, runs, seeds)
    figure = score_bars(by_group(classes), classes)
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
def test_numbers_over_narrow_bars_do_not_touch() -> None:
    for runs in (2, 3, 4):
        figure = score_bars(by_group(by_class(20, runs, seeds=2)))
        assert clipped_words(figure) == []
        assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
def test_forty_runs_with_long_names_are_still_readable() -> None:
    classes = by_class(20, 40).assign(run=lambda table: "runs/a_folder/with_a_long_name/" + table["run"])
    figure = score_bars(by_group(classes))
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_a_bar_is_the_mean_of_the_seeds_with_a_dot_for_each() -> None:
    table = pd.DataFrame(
        {
            "run": ["a", "a", "b"] * 2,
            "seed": [0, 1, 0] * 2,
            "group": ["all"] * 3 + ["tail"] * 3,
            "value": [60.0, 64, 50, 30, 40, math.nan],
        }
    )
    (axes,) = score_bars(table).axes
    assert bars(axes) == [62, 50, 35]
    assert [text.get_text() for text in axes.texts] == ["62.0", "50.0", "35.0"]
    dots = sorted(
        float(value) for line in axes.lines if line.get_marker() == "o" for value in np.asarray(line.get_ydata())
    )
    assert dots == [30, 40, 60, 64]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["all", "tail"]
    assert "a dot for each seed" in axes.get_title(loc="right")
    assert score_bars(table[table["seed"] == 0]).axes[0].get_title(loc="right") == ""


def test_classes_stand_from_the_most_frequent_to_the_rarest_with_a_dot_for_each_run() -> None:
    classes = by_class(4, runs=2)
    _, axes = score_bars(by_group(classes), classes).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [f"class {i} of it" for i in (3, 2, 1, 0)]
    first, second = axes.lines[:2]
    expected = classes[classes["run"] == "runs/method_0"].sort_values("n", ascending=False)["value"]
    assert np.asarray(first.get_ydata()).tolist() == expected.tolist()
    assert (np.asarray(first.get_xdata()) < np.asarray(second.get_xdata())).all()


def test_of_many_classes_a_line_is_the_mean_of_25_neighbours() -> None:
    classes = by_class(1000, runs=1)
    _, axes = score_bars(by_group(classes), classes).axes
    dots, line = (np.asarray(line.get_ydata()) for line in axes.lines[:2])
    assert line[500] == pytest.approx(dots[488:513].mean())
    assert line[0] == pytest.approx(dots[:13].mean())
    assert shown_tick_labels(axes.xaxis) == []
    assert axes.get_xlabel() == "1000 classes, most frequent first; line: mean of 25 classes"


def test_a_class_without_positives_has_no_dot_and_a_name() -> None:
    classes = by_class(20, runs=1)
    classes.loc[classes["class_index"] == 7, "value"] = math.nan
    _, axes = score_bars(by_group(classes), classes).axes
    assert np.isnan(np.asarray(axes.lines[0].get_ydata())).sum() == 1
    assert len(shown_tick_labels(axes.xaxis)) == 20


def test_the_data_hold_bars_and_classes_in_drawn_order() -> None:
    classes = by_class(3, runs=2, seeds=2)
    table = score_bars_data(by_group(classes), classes)
    assert table.columns.tolist() == ["quantity", "run", "group", "class_name", "n", "mean", "sd", "seeds"]
    each = table[table["quantity"] == "AP"]
    assert each["class_name"].tolist() == [f"class {i} of it" for i in (2, 1, 0)] * 2
    assert each["n"].tolist() == [775, 56, 4] * 2
    values = classes[(classes["class_index"] == 2) & (classes["run"] == "runs/method_0")]["value"]
    assert each["mean"].iloc[0] == pytest.approx(values.mean())
    assert each["sd"].iloc[0] == pytest.approx(values.std())
    assert set(table["seeds"]) == {2}
    assert score_bars_data(by_group(by_class(3, runs=1)))["sd"].isna().all()


def test_a_table_without_a_column_or_a_row_is_an_error() -> None:
    classes = by_class(3)
    with pytest.raises(ValueError, match="give at least one row, and seed"):
        score_bars(by_group(classes).drop(columns="seed"))
    with pytest.raises(ValueError, match="has 0 rows"):
        score_bars(by_group(classes), classes[:0])
