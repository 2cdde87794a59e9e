from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nctools.plots import per_class_data, per_class_values
from tests.plots.layout import clipped_words, overlapping_words


def classes(num_classes: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    counts = np.geomspace(2000, 4, num_classes).round().astype(int)
    return pd.DataFrame(
        {
            "class_name": [f"class number {i}" if i % 3 else f"no. {i}" for i in range(num_classes)],
            "group": np.where(counts >= 100, "head", np.where(counts >= 20, "medium", "tail")),
            "n": counts,
            "nc1_pinv": 10 ** generator.normal(0, 0.4, num_classes) * 30 / counts**0.7,
            "nc2_norm_ratio": generator.normal(1, 0.1, num_classes),
            "nc2_mean_angle_deg": generator.normal(90, 3, num_classes),
        }
    )


def four() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "class_name": ["bus", "cat", "dog", "emu"],
            "group": ["head", "head", "tail", ""],
            "n": [500, 200, 10, 5],
            "nc1_pinv": [0.1, 0.3, 2.0, 4.0],
            "nc4_ncc_accuracy": [1.0, 0.5, 0.75, 0.25],
        }
    )


def names(figure: Figure, panel: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts[1:]]


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("num_classes", [2, 20, 80, 1000])
@pytest.mark.parametrize("runs", [1, 3])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int, runs: int) -> None:
    tables = {f"run {i} · classwise": classes(num_classes, i) for i in range(runs)}
    figure = per_class_values(tables)
    assert len(figure.axes) == 3 * runs
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []
    for axes in figure.axes:
        points = [len(np.asarray(line.get_xdata())) for line in axes.lines if line.get_linestyle() == "None"]
        assert sum(points) == num_classes


def test_points_are_classes_in_the_colour_of_their_group_and_lines_their_mean() -> None:
    axes = per_class_values({"erm": four()}, metrics=["nc1_pinv"]).axes[0]
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    means = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert [np.asarray(line.get_xydata()).tolist() for line in points] == [
        [[500, 0.1], [200, 0.3]],
        [[10, 2.0]],
        [[5, 4.0]],
    ]
    assert [line.get_color() for line in points] == ["#0072B2", "#D55E00", "#757575"]
    assert [np.asarray(line.get_ydata()).tolist() for line in means] == [[0.2, 0.2], [2.0, 2.0]]
    assert [line.get_color() for line in means] == ["#0072B2", "#D55E00"]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_a_limit_at_collapse_is_drawn_on_linear_axes_alone() -> None:
    figure = per_class_values({"erm": four()}, metrics=["nc1_pinv", "nc4_ncc_accuracy"])
    dashed = [[line for line in axes.lines if line.get_linestyle() == "--"] for axes in figure.axes]
    assert dashed[0] == []
    assert np.asarray(dashed[1][0].get_ydata()).tolist() == [1.0, 1.0]
    assert figure.axes[1].get_yscale() == "linear"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["head", "tail", "no group", "mean of a group", "limit at collapse"]


def test_the_limit_of_an_angle_follows_from_the_classes_with_images() -> None:
    table = four().assign(nc2_mean_angle_deg=[100.0, 110.0, 105.0, 100.0], n=[500, 200, 10, 0])
    axes = per_class_values({"erm": table}, metrics=["nc2_mean_angle_deg"]).axes[0]
    (limit,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert np.asarray(limit.get_ydata()) == pytest.approx(120.0)


def test_all_of_a_few_classes_are_named_and_the_extremes_of_many() -> None:
    assert sorted(names(per_class_values({"erm": four()}, metrics=["nc1_pinv"]))) == ["bus", "cat", "dog", "emu"]
    table = classes(80)
    table.loc[40, "nc2_norm_ratio"] = 3.0
    found = names(per_class_values({"erm": table}, metrics=["nc2_norm_ratio"]))
    assert found[0] == "class n…ber 40"
    assert len(found) == 6


def test_runs_of_a_row_share_their_scale_and_only_the_outer_axes_are_labelled() -> None:
    figure = per_class_values({"a": classes(20, 1), "b": classes(20, 2)}, metrics=["nc1_pinv", "nc2_norm_ratio"])
    first, second, third, _ = figure.axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_xlim() == third.get_xlim()
    assert [axes.get_ylabel() for axes in figure.axes] == ["NC1 → 0\nnc1_pinv", "", "NC2 → 1\nnc2_norm_ratio", ""]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", *["training images of the class"] * 2]


def test_the_note_gives_the_rank_correlation_and_the_classes_without_a_point() -> None:
    table = pd.concat([four(), four().assign(n=[0, 7, 8, 9], nc1_pinv=[1.0, np.nan, np.inf, 0.0])])
    figure = per_class_values({"erm": table}, metrics=["nc1_pinv"])
    assert figure.axes[0].texts[0].get_text() == "ρ = −1.00 · 4 of 8 without a value"
    data = per_class_data({"erm": table}, metrics=["nc1_pinv"])
    assert data["drawn"].tolist() == [True] * 4 + [False] * 4


def test_ranks_are_compared_as_spearman_does_also_with_ties() -> None:
    from scipy.stats import spearmanr

    table = classes(60).assign(n=np.random.default_rng(5).integers(1, 9, 60))
    data = per_class_data({"erm": table}, metrics=["nc1_pinv"])
    assert data["spearman"].iloc[0] == pytest.approx(spearmanr(table["n"], table["nc1_pinv"]).statistic, rel=1e-12)
    assert per_class_data({"erm": table.assign(n=5)})["spearman"].isna().all()


def test_the_data_list_every_class_with_the_mean_of_its_group() -> None:
    data = per_class_data({"erm": four(), "mlc": four()}, metrics=["nc4_ncc_accuracy", "nc1_pinv"])
    assert data.columns.tolist() == [
        "run", "metric", "class_name", "group", "n", "value", "drawn", "group_mean", "spearman",
    ]  # fmt: skip
    assert data["metric"].unique().tolist() == ["nc4_ncc_accuracy", "nc1_pinv"]
    assert data["group_mean"][:4].tolist() == [0.75, 0.75, 0.75, 0.25]
    assert len(data) == 16


def test_the_usual_metrics_are_taken_as_far_as_a_run_has_them() -> None:
    assert per_class_data({"a": classes(5)})["metric"].unique().tolist() == [
        "nc1_pinv", "nc2_norm_ratio", "nc2_mean_angle_deg",
    ]  # fmt: skip
    other = four().drop(columns="nc1_pinv")
    assert per_class_data({"a": other})["metric"].unique().tolist() == ["nc4_ncc_accuracy"]
    figure = per_class_values({"a": other, "b": classes(5)}, metrics=["nc1_pinv"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["not measured\nin this space"]


def test_a_space_is_chosen_where_there_are_several() -> None:
    table = pd.concat([four().assign(space="first"), four().assign(space="second", nc1_pinv=9.0)])
    assert per_class_data({"a": table}, metrics=["nc1_pinv"])["value"].tolist() == [0.1, 0.3, 2.0, 4.0]
    assert per_class_data({"a": table}, metrics=["nc1_pinv"], space="second")["value"].tolist() == [9.0] * 4
    with pytest.raises(ValueError, match="run 'a' has no space 'third'; it has: first, second"):
        per_class_data({"a": table}, space="third")


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="no run"):
        per_class_values({})
    with pytest.raises(ValueError, match="run 'a' lacks the column group, n"):
        per_class_values({"a": four().drop(columns=["group", "n"])})
    with pytest.raises(ValueError, match="no class has a value of nc3_x; classes have: nc1_pinv, nc4_ncc_accuracy"):
        per_class_values({"a": four()}, metrics=["nc3_x"])
    with pytest.raises(ValueError, match="no class of a has a value of any metric"):
        per_class_values({"a": four()[["class_name", "group", "n"]]})
    with pytest.raises(ValueError, match="no class of a has images and a finite value of nc1_pinv"):
        per_class_values({"a": four().assign(n=0)}, metrics=["nc1_pinv"])


def test_groups_stand_in_their_usual_order_with_their_marker_and_only_where_they_have_a_point() -> None:
    table = four().assign(group=["tail", "medium", "head", "birds"], n=[5, 50, 0, 500])
    (legend,) = per_class_values({"erm": table}, metrics=["nc1_pinv"]).legends
    shown = {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}
    assert list(shown) == ["medium", "tail", "birds", "mean of a group"]
    assert [handle.get_marker() for handle in list(shown.values())[:3]] == ["s", "^", "D"]  # type: ignore[union-attr]
