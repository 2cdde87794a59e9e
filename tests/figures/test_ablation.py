from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nctools.errors import ConfigError
from nctools.figures import ablation_of
from nctools.plots.theme import use_style
from tests.plots.layout import clipped_words, overlapping_words

GROUPS = ("all", "head", "medium", "tail")
VARIANTS = ("mlc_nc", "without L_FLA", "label embedding trainable")


def runs() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [{"variant": variant, "method": "mlc_nc", "seed": seed} for variant in VARIANTS for seed in range(3)]
    table = pd.DataFrame(rows)
    for group in GROUPS:
        for ending in ("", " ema"):
            table[f"test mAP {group}{ending}"] = 60 + 10 * generator.random(len(table))
        table[f"nc1_pinv {group}"] = generator.random(len(table))
    return table.assign(**{"nc1_pinv all untrained": 110.0})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "parts_runs.csv"
    runs().to_csv(path, index=False)
    return path


def diamonds(figure: Figure) -> list[list[float]]:
    drawn = [next((line for line in axes.lines if line.get_marker() == "D"), None) for axes in figure.axes]
    return [[] if line is None else np.asarray(line.get_xdata()).tolist() for line in drawn]


def test_every_run_of_the_table_is_drawn_group_by_group(table: Path) -> None:
    figure, data = ablation_of(table)
    assert [axes.get_title() for axes in figure.axes] == list(GROUPS)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(VARIANTS)
    assert len(data) == len(VARIANTS) * 3 * len(GROUPS)
    tail = data[(data["variant"] == "without L_FLA") & (data["group"] == "tail")]
    expected = runs()[runs()["variant"] == "without L_FLA"]["test mAP tail"]
    assert tail["value"].tolist() == pytest.approx(expected.tolist())
    assert diamonds(figure) == [[], [], [], []]
    for name in ("screen", "paper"):
        with use_style(name):
            styled = ablation_of(table).figure
        assert clipped_words(styled) == []
        assert overlapping_words(styled) == []


def test_averaged_weights_and_metrics_have_columns_of_their_own(table: Path) -> None:
    averaged = ablation_of(table, weights="ema").data
    assert averaged["group"].unique().tolist() == list(GROUPS)
    assert averaged["value"].iloc[0] == pytest.approx(runs()["test mAP all ema"].iloc[0])
    figure, metric = ablation_of(table, measure="nc1_pinv")
    assert metric["group"].unique().tolist() == list(GROUPS)
    assert figure.get_supxlabel() == "nc1_pinv"


def test_the_papers_values_of_the_study_are_open_diamonds(table: Path) -> None:
    summary = pd.DataFrame({"variant": VARIANTS, "n": 3, "test mAP all mean": 60.0})
    summary["paper: test mAP all"] = [84.37, np.nan, 83.5]
    summary.to_csv(table.with_name("parts_map.csv"), index=False)
    figure, data = ablation_of(table)
    assert diamonds(figure)[0] == [84.37, 83.5]
    chosen = data[data["group"] == "all"].drop_duplicates("variant").set_index("variant")["paper"]
    assert chosen["mlc_nc"] == 84.37
    assert np.isnan(chosen["without L_FLA"])
    assert diamonds(ablation_of(table, measure="nc1_pinv").figure) == [[], [], [], []]
    summary.drop(columns="paper: test mAP all").to_csv(table.with_name("parts_map.csv"), index=False)
    assert "paper" not in ablation_of(table).data.columns


def test_a_table_without_runs_is_an_error_that_says_which_one_is_wanted(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"9 rows and no column 'test F1 GROUP'.*NAME_runs\.csv"):
        ablation_of(table, measure="test F1")
    summary = tmp_path / "parts_map.csv"
    pd.DataFrame({"variant": ["a"], "n": 3, "test mAP all mean": 60.0}).to_csv(summary, index=False)
    with pytest.raises(ConfigError, match="1 rows and no column seed"):
        ablation_of(summary)
    with pytest.raises(ConfigError, match="does not exist"):
        ablation_of(tmp_path / "none.csv")
