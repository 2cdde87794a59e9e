"""The figures of the studies: what is drawn is what was given, and no word is cut off or covered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from nctools.plots.class_angles import class_angle_lines
from nctools.plots.settings import score_over_setting
from nctools.plots.theme import GROUP_COLOURS
from nctools.plots.value_pairs import value_against_value
from nctools.plots.variants import variant_scores
from tests.plots.layout import clipped_words, overlapping_words

GROUPS = ("all", "head", "medium", "tail")
VARIANTS = ("mlc_nc", "without L_FLA", "label embedding trainable", "class_attention", "erm")


def scores(num_seeds: int = 3, name: str = "variant", values: tuple[object, ...] = VARIANTS) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        {name: value, "group": group, "seed": seed, "value": 50 + 10 * place + generator.standard_normal()}
        for value in values
        for place, group in enumerate(GROUPS)
        for seed in range(num_seeds)
    ]
    return pd.DataFrame(rows)


def pairs() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        {"variant": variant, "metric": metric, "group": group, "value": 10 ** generator.normal(), "score": 60.0 + seed}
        for variant in VARIANTS
        for metric in ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")
        for group in GROUPS
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def classes(num_classes: int = 20, num_seeds: int = 2) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        {"variant": variant, "seed": seed, "class_index": index, "class_name": f"class {index}", "n": 4 + 40 * index}
        | {"group": "tail" if index < num_classes // 2 else "head"}
        | {"raw": 70 + generator.normal(), "centred": 93 + generator.normal()}
        for variant in VARIANTS[:3]
        for seed in range(num_seeds)
        for index in range(num_classes)
    ]
    return pd.DataFrame(rows)


def test_each_seed_the_mean_and_its_spread_are_drawn() -> None:
    data = scores()
    figure = variant_scores(data)
    assert [axes.get_title() for axes in figure.axes] == list(GROUPS)
    tail = data[(data["group"] == "tail") & (data["variant"] == "erm")]["value"]
    axes = figure.axes[3]
    dots = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 3][-1]
    np.testing.assert_allclose(np.asarray(dots.get_xdata()), tail)
    assert to_hex(dots.get_color()).upper() == GROUP_COLOURS["tail"].upper()
    bars = [bar for bar in axes.containers if isinstance(bar, ErrorbarContainer)]
    assert len(bars) == len(VARIANTS)
    (segment,) = bars[-1].lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 0], [tail.mean() - tail.std(), tail.mean() + tail.std()])
    assert axes.yaxis_inverted(), "the first variant stands on top"


def test_the_papers_values_are_open_diamonds_of_their_group() -> None:
    printed = pd.DataFrame({"variant": ["erm", "unknown"], "group": "tail", "value": [65.31, 1.0]})
    figure = variant_scores(scores(), printed)
    diamonds = [next(line for line in axes.lines if line.get_marker() == "D") for axes in figure.axes]
    assert [len(np.asarray(line.get_xdata())) for line in diamonds] == [0, 0, 0, 1]
    assert np.asarray(diamonds[3].get_xdata()).tolist() == [65.31]
    assert [text.get_text() for text in figure.legends[0].get_texts()][-2:] == ["mean of mlc_nc", "paper"]


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_seeds", [1, 5])
def test_words_of_variants_neither_overlap_nor_leave_the_figure(num_seeds: int) -> None:
    figure = variant_scores(scores(num_seeds))
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
def test_a_setting_has_a_tick_for_each_value_and_a_line_for_each_group() -> None:
    printed = pd.DataFrame({"setting": [20, 64], "group": "all", "value": [84.23, 83.84]})
    figure = score_over_setting(scores(3, "setting", (64, 5, 20, 128)), printed, setting="p")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "20", "64", "128"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*GROUPS, "paper"]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert np.asarray(diamonds[0].get_ydata()).tolist() == [84.23, 83.84]
    assert axes.get_ylabel() == "test mAP (%)"
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
def test_values_stand_against_scores_a_panel_for_each_metric_and_group() -> None:
    data, words = pairs(), "ρ all +0.12 [-0.50, +0.61]\nρ inside -0.12 [-0.50, +0.61]"
    figure = value_against_value(data, notes={("nc1_pinv", "all"): words})
    assert len(figure.axes) == 12
    assert [axes.get_xscale() for axes in figure.axes[:3]] == ["log", "linear", "linear"]
    assert figure.axes[0].get_title(loc="left") == words
    drawn = next(line for line in figure.axes[11].lines if line.get_label() == "erm")
    wanted = data[(data["group"] == "tail") & (data["metric"] == "nc3_self_duality") & (data["variant"] == "erm")]
    np.testing.assert_allclose(np.asarray(drawn.get_xdata()), wanted["value"])
    np.testing.assert_allclose(np.asarray(drawn.get_ydata()), wanted["score"])
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [2, 20, 80])
def test_angles_of_classes_stand_in_the_order_of_their_counts(num_classes: int) -> None:
    data = classes(num_classes)
    figure = class_angle_lines(data, {"raw": "uncentred class means", "centred": "centred class means"}, etf_angle=93.0)
    assert [axes.get_title() for axes in figure.axes] == ["uncentred class means", "centred class means"]
    line = next(line for line in figure.axes[1].lines if line.get_label() == "mlc_nc")
    mean = data[data["variant"] == "mlc_nc"].groupby("class_index")["centred"].mean()
    np.testing.assert_allclose(np.asarray(line.get_ydata()), mean.iloc[::-1])
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_the_etf_angle_is_a_line_and_one_seed_has_no_band() -> None:
    figure = class_angle_lines(classes(num_seeds=1), {"raw": "uncentred"}, etf_angle=93.02)
    etf = next(line for line in figure.axes[0].lines if line.is_dashed())
    assert np.asarray(etf.get_ydata()).tolist() == [93.02, 93.02]
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "ETF 93.0°"


def test_group_strips_too_narrow_for_a_name_are_told_in_a_legend() -> None:
    data = classes(80)
    data["group"] = np.where(data["n"] > data["n"].min(), "head", "tail")
    figure = class_angle_lines(data, {"raw": "uncentred", "centred": "centred"}, etf_angle=93.0)
    assert [text.get_text() for text in figure.legends[1].get_texts()] == ["head", "tail"]
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_a_table_without_rows_or_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the table has 0 rows and the columns variant, group, seed, value: "):
        variant_scores(scores()[:0])
    with pytest.raises(ValueError, match=r"give at least one row, and score$"):
        value_against_value(pairs().drop(columns="score"))
