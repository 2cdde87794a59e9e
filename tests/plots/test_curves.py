from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from nctools.plots.curve_table import nc_curves_data
from nctools.plots.curves import nc_curves
from nctools.plots.theme import GROUP_COLOURS
from tests.plots.layout import clipped_words, overlapping_words

GROUPS = ("all", "head", "medium", "tail")
METRICS = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")


def nc_table(
    *,
    epochs: range = range(0, 61, 5),
    space: str = "classwise",
    metrics: tuple[str, ...] = METRICS,
    groups: tuple[str, ...] = GROUPS,
    start: float = 50.0,
) -> pd.DataFrame:
    rows = [
        (epoch, space, "train", group, metric, (position + 1) * start * np.exp(-epoch / 12) + 0.05, 20, 4, 775)
        for epoch in epochs
        for position, group in enumerate(groups)
        for metric in metrics
    ]
    columns = ["epoch", "space", "split", "group", "metric", "value", "num_classes", "n_min", "n_max"]
    return pd.DataFrame(rows, columns=columns)


def training_table(epochs: int = 60) -> pd.DataFrame:
    epoch = np.arange(epochs)
    table = pd.DataFrame({"epoch": epoch, "train/loss": 1 / (epoch + 1), "val/mAP": 0.7 * (1 - np.exp(-epoch / 9))})
    for group in GROUPS[1:]:
        table[f"val/mAP_{group}"] = table["val/mAP"] * 0.9
    table.loc[table["epoch"] % 2 == 1, table.columns[2:]] = np.nan
    return table


def drawn_groups(axes: Axes) -> list[str]:
    return [str(line.get_label()) for line in axes.lines if line.get_label() in GROUPS]


def three_runs() -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    collapse = {
        "mlc_nc": nc_table(),
        "class_attention": nc_table(start=60),
        "erm": nc_table(metrics=METRICS[:2], start=90),
    }
    return collapse, {run: training_table() for run in collapse}


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("runs", [1, 2, 3, 4])
def test_there_is_a_column_for_each_run_and_a_row_for_each_metric_and_map(runs: int) -> None:
    collapse = {f"run {i}": nc_table() for i in range(runs)}
    figure = nc_curves(collapse, {run: training_table() for run in collapse})
    assert len(figure.axes) == 4 * runs
    assert [axes.get_title() for axes in figure.axes[:runs]] == [f"run {i} · classwise" for i in range(runs)]
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_without_training_there_is_no_map_row() -> None:
    assert len(nc_curves({"erm": nc_table()}).axes) == 3
    assert len(nc_curves({"erm": nc_table()}, {"erm": pd.DataFrame({"epoch": [1], "train/loss": [2.0]})}).axes) == 3


def test_each_panel_holds_a_line_for_each_group_with_its_colour_and_values() -> None:
    table = nc_table()
    axes = nc_curves({"mlc_nc": table}).axes[0]
    assert drawn_groups(axes) == list(GROUPS)
    for line in axes.lines:
        group = str(line.get_label())
        expected = table[(table["group"] == group) & (table["metric"] == "nc1_pinv")]
        np.testing.assert_array_equal(line.get_xdata(), expected["epoch"])
        np.testing.assert_array_equal(line.get_ydata(), expected["value"])
        assert to_hex(line.get_color()).upper() == GROUP_COLOURS[group].upper()


def test_nc1_is_logarithmic_and_the_others_linear() -> None:
    figure = nc_curves({"erm": nc_table()}, {"erm": training_table()})
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "linear", "linear"]


def test_the_panels_of_a_row_share_their_scale() -> None:
    figure = nc_curves({"a": nc_table(start=1), "b": nc_table(start=80)})
    for row in range(3):
        assert figure.axes[2 * row].get_ylim() == figure.axes[2 * row + 1].get_ylim()


def test_the_limit_at_collapse_is_marked_on_linear_axes() -> None:
    table = nc_table(metrics=("nc2_etf_error", "nc3_alignment", "nc2_mean_angle_deg"))
    figure = nc_curves({"a": table}, metrics=["nc2_etf_error", "nc3_alignment", "nc2_mean_angle_deg"])
    levels = [
        next(line.get_ydata()[0] for line in axes.lines if line.get_label() == "limit at collapse")  # type: ignore[index]
        for axes in figure.axes
    ]
    assert levels == [0.0, 1.0, pytest.approx(np.degrees(np.arccos(-1 / 19)))]
    assert "limit at collapse" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_chance_is_marked_where_it_does_not_squeeze_the_lines() -> None:
    def has_chance(start: float) -> bool:
        figure = nc_curves({"a": nc_table(start=start, groups=("all",))}, metrics=["nc3_self_duality"])
        return "chance" in [str(line.get_label()) for line in figure.axes[0].lines]

    assert has_chance(1.9)
    assert not has_chance(0.1)


def test_the_legend_names_the_metrics_whose_chance_is_drawn() -> None:
    def told(start: float, metrics: tuple[str, ...]) -> list[str]:
        table = nc_table(start=start, groups=("all",), metrics=metrics)
        legend = nc_curves({"a": table, "b": table}, metrics=metrics).figure.legends[0]
        return [text.get_text() for text in legend.get_texts()]

    assert told(1.9, METRICS)[1:] == ["limit at collapse", "chance (NC3)"]
    both = ("nc2_etf_error", "nc3_self_duality", "nc3_alignment", "nc4_agreement")
    assert told(1.9, both)[-1] == "chance (NC3, NC4)"
    assert told(0.1, METRICS)[1:] == ["limit at collapse"], "a chance that is not drawn is not named"


@pytest.mark.usefixtures("every_style")
def test_a_metric_that_a_run_lacks_is_an_empty_panel_that_says_why() -> None:
    figure = nc_curves(*three_runs())
    empty = figure.axes[8]
    assert not empty.lines
    assert [text.get_text() for text in empty.texts] == ["not defined:\nno classifier in this space"]
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_a_metric_that_no_run_has_is_a_row_of_notes() -> None:
    figure = nc_curves({"a": nc_table(), "b": nc_table()}, metrics=["nc1_pinv", "nc1_cdnv", "nc4_agreement"])
    notes = [axes.texts[0].get_text() for axes in figure.axes[2:]]
    assert notes == ["not measured\nin this space"] * 2 + ["not defined:\nno classifier in this space"] * 2


def test_values_that_are_all_nan_are_an_empty_panel() -> None:
    table = nc_table()
    table.loc[table["metric"] == "nc3_self_duality", "value"] = np.nan
    assert not nc_curves({"a": table}).axes[2].lines


def test_a_run_without_map_says_so() -> None:
    collapse, training = three_runs()
    del training["erm"]
    figure = nc_curves(collapse, training)
    assert [text.get_text() for text in figure.axes[11].texts] == ["no validation mAP\nin this run"]


def test_map_is_drawn_in_per_cent_without_the_epochs_that_lack_it() -> None:
    figure = nc_curves({"a": nc_table()}, {"a": training_table()})
    total = next(line for line in figure.axes[3].lines if line.get_label() == "all")
    np.testing.assert_array_equal(total.get_xdata(), np.arange(0, 60, 2))
    assert np.max(np.asarray(total.get_ydata())) == pytest.approx(70, abs=2)


def test_each_run_uses_its_own_first_space_unless_one_is_named() -> None:
    both = pd.concat([nc_table(), nc_table(space="projected", start=9)], ignore_index=True)
    runs = {"mlc_nc": both, "erm": nc_table(space="penultimate")}
    assert [axes.get_title() for axes in nc_curves(runs).axes[:2]] == ["mlc_nc · classwise", "erm · penultimate"]
    named = nc_curves(runs, space="projected")
    assert [bool(axes.lines) for axes in named.axes[:2]] == [True, False]
    assert nc_curves_data(runs, space="projected")["space"].unique().tolist() == ["projected"]


def test_one_split_is_drawn_and_named_where_there_are_several() -> None:
    table = nc_table()
    both = pd.concat([table, table.assign(split="test", value=1.0)], ignore_index=True)
    assert len(nc_curves_data({"a": both})) == len(table)
    figure = nc_curves({"a": both}, split="test")
    assert figure.axes[0].get_title() == "a · classwise · test"
    assert set(np.asarray(figure.axes[0].lines[0].get_ydata())) == {1.0}


def test_raw_weights_are_drawn_unless_averaged_ones_are_asked_for() -> None:
    table = nc_table()
    both = pd.concat([table.assign(weights="ema", value=1.0), table.assign(weights="raw")], ignore_index=True)
    raw = nc_curves_data({"a": both})
    assert raw["value"].tolist() == nc_curves_data({"a": table})["value"].tolist()
    assert set(nc_curves_data({"a": both}, weights="ema")["value"]) == {1.0}
    assert set(nc_curves({"a": both}, weights="ema").axes[0].lines[0].get_ydata()) == {1.0}  # type: ignore[arg-type]
    averaged_alone = both[both["weights"] == "ema"]
    assert set(nc_curves_data({"a": averaged_alone})["value"]) == {1.0}


def test_weights_that_no_table_has_are_named() -> None:
    with pytest.raises(ValueError, match=r"swa weights \(there are: raw\)"):
        nc_curves_data({"a": nc_table().assign(weights="raw")}, weights="swa")
    with pytest.raises(ValueError, match=r"ema weights \(there are: none\)"):
        nc_curves_data({"a": nc_table()}, weights="ema")


def test_an_unnamed_split_and_space_survive_a_csv_file(tmp_path: Path) -> None:
    table = nc_table().assign(split="", space="")
    table.to_csv(tmp_path / "nc.csv", index=False)
    read = pd.read_csv(tmp_path / "nc.csv")
    assert len(nc_curves_data({"a": read})) == len(table)
    assert nc_curves({"a": read}).axes[0].get_title() == "a"


def test_the_data_are_tidy_and_the_later_of_two_measurements_counts() -> None:
    table = nc_table(epochs=range(0, 11, 5))
    again = table[table["epoch"] == 10].assign(value=7.0)
    data = nc_curves_data({"a": pd.concat([table, again])}, {"a": training_table(4)})
    assert data.columns.tolist() == [
        *("run", "space", "split", "group", "metric", "epoch", "value", "num_classes", "n_min", "n_max"),
    ]
    assert not data.duplicated(["run", "metric", "group", "epoch"]).any()
    assert set(data["value"][(data["epoch"] == 10) & (data["metric"] != "mAP_percent")]) == {7.0}
    assert len(data) == 3 * 4 * 3 + 2 * 4


def test_groups_that_a_run_lacks_are_left_out() -> None:
    figure = nc_curves({"a": nc_table(groups=("all",))}, metrics=METRICS[:2])
    assert drawn_groups(figure.axes[0]) == ["all"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["all", "limit at collapse"]


@pytest.mark.usefixtures("every_style")
def test_zero_and_infinite_values_do_not_break_the_log_axis() -> None:
    table = nc_table(groups=("all",), metrics=("nc1_pinv",))
    table.loc[[0, 1], "value"] = [0.0, np.inf]
    (line,) = nc_curves({"a": table}, metrics=["nc1_pinv"]).axes[0].lines
    assert len(np.asarray(line.get_ydata())) == len(table) - 2
    figure = nc_curves({"a": table.assign(value=0.0)}, metrics=["nc1_pinv"])
    assert not figure.axes[0].lines
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize("spread", [1.02, 1.5, 5, 40, 1e9])
def test_a_log_axis_of_any_range_has_ticks_that_do_not_touch(spread: float) -> None:
    table = nc_table(groups=("all",), metrics=("nc1_pinv",)).iloc[:2].assign(value=[0.37 * spread, 0.37])
    figure = nc_curves({"a": table}, metrics=["nc1_pinv"])
    low, high = figure.axes[0].get_ylim()
    assert sum(low <= tick <= high for tick in figure.axes[0].get_yticks()) >= 2
    assert overlapping_words(figure) == []


def test_one_measured_epoch_is_enough() -> None:
    figure = nc_curves({"a": nc_table(epochs=range(1))}, {"a": training_table(1)})
    assert clipped_words(figure) == []


@pytest.mark.usefixtures("every_style")
def test_a_long_run_name_and_a_long_metric_name_fit() -> None:
    metric = "nc2_angle_deviation_debiased"
    runs = {f"runs/voc_lt-mlc_nc-resnet50-seed{i}-a-very-long-name": nc_table(metrics=(metric,)) for i in range(3)}
    figure = nc_curves(runs, metrics=[metric, metric])
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_no_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="no run"):
        nc_curves({})


def test_a_missing_column_is_named_with_its_run() -> None:
    with pytest.raises(ValueError, match=r"'erm' lacks the column split.*epoch, space, group"):
        nc_curves({"erm": nc_table().drop(columns="split")})


def test_nothing_to_draw_names_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"nc1_pinf.*metrics: nc1_pinv, .*spaces: classwise"):
        nc_curves({"erm": nc_table()}, metrics=["nc1_pinf"])
    with pytest.raises(ValueError, match="no run has a finite value"):
        nc_curves({"erm": nc_table().iloc[:0]})
    with pytest.raises(ValueError, match="at least one name"):
        nc_curves({"erm": nc_table()}, metrics=[])
