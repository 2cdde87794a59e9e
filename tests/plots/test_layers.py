from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import CenteredNorm, LogNorm
from matplotlib.figure import Figure

from nctools.plots import layer_data, layer_lines, layer_map
from tests.plots.layout import clipped_words, drawn_image, overlapping_words

GROUPS = ("all", "head", "medium", "tail")
METRICS = ("nc1_pinv", "nc1_cdnv", "nc2_etf_error", "nc4_ncc_accuracy")


def result_table(
    layers: tuple[str, ...], groups: tuple[str, ...] = GROUPS, metrics: tuple[str, ...] = METRICS
) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        {
            "space": layer, "split": "train", "group": group, "metric": metric, "num_classes": 20, "n_min": 4,
            "n_max": 700, "value": float(10.0 ** generator.uniform(-4, 4) if metric < "nc2" else generator.uniform()),
        }
        for layer in layers for metric in metrics for group in groups
    ]  # fmt: skip
    return pd.DataFrame(rows)


def notes(figure: Figure) -> list[str]:
    return [axes.texts[0].get_text() for axes in figure.axes]


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize(
    "layers",
    [("penultimate",), ("a", "b"), tuple(f"backbone.layer{i}.1.conv2.norm.activation" for i in range(12))],
)
@pytest.mark.parametrize("groups", [("all",), GROUPS, tuple(f"group {i}" for i in range(9))])
def test_words_of_a_map_neither_overlap_nor_leave_the_figure(layers: tuple[str, ...], groups: tuple[str, ...]) -> None:
    figure = layer_map(result_table(layers, groups))
    assert len(figure.axes) == 4
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("layers", [("a", "b"), tuple(f"backbone.layer{i}.1.conv2" for i in range(12))])
def test_words_of_lines_neither_overlap_nor_leave_the_figure(layers: tuple[str, ...]) -> None:
    figure = layer_lines(result_table(layers))
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_many_layers_fit_a_page_and_only_some_are_named() -> None:
    layers = tuple(f"backbone.layer{i}.1.conv2" for i in range(80))
    lines, heat = layer_lines(result_table(layers)), layer_map(result_table(layers))
    for figure in (lines, heat):
        assert figure.get_size_inches()[1] < 9.1
        assert clipped_words(figure) == []
    for named, said in (
        (lines.axes[-1].get_xticklabels(), lines.axes[-1].get_xlabel()),
        (heat.axes[0].get_yticklabels(), heat.axes[0].get_ylabel()),
    ):
        assert 10 < len(named) < 40
        assert named[-1].get_text() == layers[-1]
        assert "named" in said
    assert overlapping_words(heat) == []
    assert notes(heat)[0] == "→ 0 at collapse (darker), log scale"
    assert all(len(axes.texts) == 1 for axes in heat.axes), "no cell has room for its number"


def test_long_names_are_shortened_but_stay_different() -> None:
    layers = tuple(f"backbone.layer{i}.1.conv2.norm.activation" for i in range(12))
    axes = layer_map(result_table(layers)).axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert len(set(shown)) == 12
    short = layer_map(result_table(("stem", layers[0]))).axes[0].get_yticklabels()
    assert short[0].get_text() == "stem"
    assert "…" in short[1].get_text()


def test_layers_stand_downwards_and_every_value_is_written() -> None:
    table = result_table(("z first", "a last"), ("all", "tail"), ("nc2_etf_error",))
    table["value"] = [0.1, 0.2, 0.3, math.nan]
    (axes,) = layer_map(table).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z first", "a last"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["all", "tail"]
    np.testing.assert_array_equal(drawn_image(axes), [[0.1, 0.2], [0.3, math.nan]])
    assert [text.get_text() for text in axes.texts[1:]] == ["0.1", "0.2", "0.3", "n/a"]
    assert axes.yaxis_inverted()


def test_nc1_has_a_logarithmic_scale_and_each_panel_says_where_collapse_lies() -> None:
    figure = layer_map(result_table(("a", "b"), metrics=(*METRICS, "feature_norm")), metrics=[*METRICS, "feature_norm"])
    assert [isinstance(axes.images[0].norm, LogNorm) for axes in figure.axes] == [True, True, False, False, False]
    assert notes(figure) == [
        "→ 0 at collapse (darker), log scale",
        "→ 0 at collapse (darker), log scale",
        "→ 0 at collapse (darker)",
        "→ 1 at collapse (darker)",
        "",
    ]


@pytest.mark.parametrize("metric", ["nc1_pinv", "nc2_etf_error", "nc4_ncc_accuracy"])
def test_the_value_nearest_to_collapse_is_the_darkest(metric: str) -> None:
    table = result_table(("a", "b", "c"), ("all",), (metric,))
    table["value"] = [0.9, 0.5, 0.2]
    image = layer_map(table).axes[0].images[0]
    colours = image.cmap(np.asarray(image.norm(np.array([0.9, 0.5, 0.2]))))
    light = colours[:, :3].sum(axis=1).tolist()
    assert light == sorted(light, reverse=metric != "nc4_ncc_accuracy")


def test_a_linear_scale_reaches_to_the_limit() -> None:
    table = result_table(("a", "b"), ("all",), ("nc2_etf_error", "nc4_ncc_accuracy"))
    table["value"] = [0.8, 0.9, 0.7, 0.95]
    etf, accuracy = (axes.images[0].norm for axes in layer_map(table).axes)
    assert (etf.vmin, etf.vmax, accuracy.vmin, accuracy.vmax) == (0.0, 0.8, 0.9, 1.0)


def test_a_limit_between_the_values_is_white() -> None:
    table = result_table(("a", "b"), ("all",), ("nc2_norm_ratio",))
    table["value"] = [0.6, 1.2]
    figure = layer_map(table, metrics=["nc2_norm_ratio"])
    assert isinstance(figure.axes[0].images[0].norm, CenteredNorm)
    assert notes(figure) == ["→ 1 at collapse (white)"]


def test_zero_infinite_equal_and_absent_values_are_drawn() -> None:
    table = result_table(("a", "b"), ("all", "tail"), ("nc1_cdnv",))
    for values in ([0.0, 1.0, math.inf, math.nan], [0.0] * 4, [2.0] * 4, [math.nan] * 4, [math.inf] * 4):
        table["value"] = values
        figure = layer_map(table)
        assert clipped_words(figure) == []
        layer_lines(table).draw_without_rendering()
    table["value"] = [0.0, 1.0, math.inf, 100.0]
    (axes,) = layer_map(table).axes
    assert [text.get_text() for text in axes.texts[1:]] == ["0", "1", "inf", "100"]
    assert np.isnan(drawn_image(axes)).tolist() == [[False, False], [True, False]]


def test_a_layer_without_the_metric_is_grey() -> None:
    table = result_table(("a", "b"), ("all",))
    table = table[(table["space"] == "b") | (table["metric"] != "nc4_ncc_accuracy")]
    figure = layer_map(table, metrics=["nc4_ncc_accuracy"])
    assert np.isnan(drawn_image(figure.axes[0])).tolist() == [[True], [False]]


def test_lines_stand_over_the_layers_with_a_limit() -> None:
    table = result_table(("a", "b", "c"))
    figure = layer_lines(table)
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear", "linear"]
    lines = {str(line.get_label()): line for line in figure.axes[3].lines}
    assert list(lines) == [*GROUPS, "limit at collapse"]
    drawn = table[(table["metric"] == "nc4_ncc_accuracy") & (table["group"] == "tail")]
    np.testing.assert_array_equal(lines["tail"].get_ydata(), drawn["value"])


def test_the_data_are_the_drawn_rows_with_the_place_of_the_layer() -> None:
    data = layer_data(result_table(("z", "a")), metrics=["nc2_etf_error", "nc1_pinv"])
    assert data.columns.tolist()[:6] == ["layer", "space", "split", "group", "metric", "value"]
    assert data["metric"].unique().tolist() == ["nc2_etf_error", "nc1_pinv"]
    assert data.groupby("space")["layer"].first().to_dict() == {"a": 2, "z": 1}
    assert len(data) == 2 * 2 * 4


def test_the_usual_metrics_are_those_the_table_has() -> None:
    table = result_table(("a",), metrics=("nc1_vci", "nc4_ncc_accuracy", "nc1_pinv"))
    assert layer_data(table)["metric"].unique().tolist() == ["nc1_pinv", "nc4_ncc_accuracy"]
    assert layer_data(result_table(("a",), metrics=("nc1_vci",)))["metric"].unique().tolist() == ["nc1_vci"]


def test_what_does_not_fit_is_an_error() -> None:
    table = result_table(("a",))
    with pytest.raises(ValueError, match="no layer has nc1_pinf; the table has: nc1_pinv"):
        layer_map(table, metrics=["nc1_pinf"])
    with pytest.raises(ValueError, match="lacks the column group"):
        layer_map(table.drop(columns="group"))
    with pytest.raises(ValueError, match="empty"):
        layer_map(table[:0])
    with pytest.raises(ValueError, match="several values"):
        layer_lines(pd.concat([table, table]))
