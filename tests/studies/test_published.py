from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nctools.studies.plan import StudyRun, plan_runs
from nctools.studies.published import printed_values, with_printed
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
