from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nctools.studies.plan import StudyRun, plan_runs
from nctools.studies.published import printed_values, with_other_sets, with_printed
from nctools.studies.tables import markdown
from nctools.studies.variants import VARIANTS


def runs_on(dataset: str) -> list[StudyRun]:
    return plan_runs(list(VARIANTS.values()), dataset=dataset, seeds=[0, 1], out=Path("nowhere"))


def test_the_papers_rows_stand_beside_the_variants_that_repeat_them() -> None:
    table = printed_values(runs_on("voc_lt"))
    tail: dict[str, float] = dict(table[table["group"] == "tail"][["variant", "value"]].itertuples(index=False))
    assert tail == {
        "mlc_nc": 90.31,
        "without L_FLA": 84.98,
        "without L_FPC": 89.34,
        "without BEC": 84.96,
        "label embedding trainable": 90.14,
        "erm": 65.31,
    }
    assert list(dict.fromkeys(table["group"])) == ["all", "head", "medium", "tail"]


def test_on_other_data_there_is_nothing_to_put_beside() -> None:
    printed = printed_values(runs_on("digits_lt"))
    assert printed.empty
    summary = pd.DataFrame({"variant": ["mlc_nc"]})
    assert with_printed(summary, printed).columns.tolist() == ["variant"]


def test_the_angles_of_figure_three_are_found_by_metric() -> None:
    table = printed_values(runs_on("voc_lt"), "nc2_mean_angle_raw_deg")
    assert dict(table[["variant", "value"]].itertuples(index=False)) == {
        "mlc_nc": 78.0,
        "label embedding trainable": 43.0,
    }


def test_a_value_stands_in_a_column_of_its_own() -> None:
    printed = printed_values(runs_on("voc_lt"))
    table = with_printed(pd.DataFrame({"variant": ["mlc_nc", "class_attention"]}), printed)
    assert table["paper: test mAP all"].tolist() == [84.37, pytest.approx(float("nan"), nan_ok=True)]


def other_sets(dataset: str = "digits_lt", only_printed: tuple[str, ...] = ()) -> pd.DataFrame:
    runs = runs_on(dataset)
    summary = pd.DataFrame({"variant": [run.variant.name for run in runs[:10]], "n": 2, "x mean": 1.0, "x n": 2})
    return with_other_sets(summary, runs, ["voc_lt", "coco_lt"], only_printed=only_printed)


def totals(table: pd.DataFrame) -> dict[str, list[str]]:
    return {row["variant"]: [row["paper VOC-LT"], row["paper COCO-LT"]] for row in table.to_dict("records")}


def test_totals_of_other_data_sets_stand_in_columns_that_name_them() -> None:
    table = other_sets()
    assert table.columns.tolist() == ["variant", "n", "x mean", "x n", "paper VOC-LT", "paper COCO-LT"]
    rows = totals(table)
    assert rows["mlc_nc"] == ["84.37", "60.52"]
    assert rows["erm"] == ["70.86", "41.27"]
    assert list(totals(table.dropna())) == ["mlc_nc", "erm"], "the parts of MLC-NC are no methods of their own"


def test_methods_without_runs_have_rows_that_say_what_is_recalled_and_what_is_no_map() -> None:
    table = other_sets(only_printed=("pg", "cae_net"))
    assert table["n"].tolist() == [2] * 10 + [0, 0]
    assert table["x n"].tolist() == [2] * 10 + [0, 0]
    rows = totals(table)
    assert rows["pg (printed only)"] == ["80.37 (recalled)", "54.43 (recalled)"]
    assert rows["cae_net (printed only)"] == ["72.7 weighted F1", "50.9 weighted F1"]
    written = markdown(table).splitlines()
    assert written[-2] == "| pg (printed only) | 0 | - | 80.37 (recalled) | 54.43 (recalled) |"
    assert written[2] == "| mlc_nc | 2 | 1.00 | 84.37 | 60.52 |"


def test_the_data_set_of_the_runs_is_no_other_one() -> None:
    assert "paper VOC-LT" not in other_sets("voc_lt").columns
