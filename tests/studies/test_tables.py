from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nctools.studies.tables import markdown, paired_difference, summary_table, write_tables


def runs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variant": ["b", "a", "b", "a", "b", "a"],
            "space": "x",
            "seed": [0, 0, 1, 1, 2, 2],
            "test mAP all": [60.0, 50.0, 64.0, 56.0, 62.0, np.nan],
            "nc1_pinv all": [1.0, 2.0, 1.0, 2.0, 1.0, 2.0],
        }
    )


def test_mean_and_spread_are_those_of_a_sample_in_the_order_of_the_variants() -> None:
    table = summary_table(runs(), by=("variant", "space"))
    assert table["variant"].tolist() == ["b", "a"]
    assert table["n"].tolist() == [3, 3]
    assert table["test mAP all mean"].tolist() == [62.0, 53.0]
    assert table["test mAP all sd"].tolist() == pytest.approx([2.0, np.std([50, 56], ddof=1)])
    assert "seed mean" not in table.columns


def test_differences_are_taken_seed_by_seed() -> None:
    table = paired_difference(runs(), "a", ["test mAP all"])
    assert table["variant"].tolist() == ["b"]
    assert table["n"].tolist() == [2], "the seed without a value of the reference is left out"
    assert table["test mAP all mean"].tolist() == [9.0]
    assert table["test mAP all sd"].tolist() == pytest.approx([np.sqrt(2)])
    assert table["test mAP all above"].tolist() == [2]


def test_every_column_counts_the_seeds_that_it_has() -> None:
    table = paired_difference(runs(), "a")
    assert table["n"].tolist() == [3]
    assert table[["test mAP all n", "nc1_pinv all n"]].to_numpy().tolist() == [[2, 3]]
    assert markdown(table).splitlines()[-1] == "| b | 3 | +9.0 ± 1.4 (2/2) | -1.00 ± 0.00 (0/3) |"
    assert markdown(summary_table(runs())).splitlines()[-1] == "| a | 3 | 53.0 ± 4.2 (n = 2) | 2.00 ± 0.00 |"
    nothing = summary_table(runs().assign(**{"test mAP all": np.nan}))
    assert markdown(nothing).splitlines()[-1] == "| a | 3 | - | 2.00 ± 0.00 |"


def test_an_unknown_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="reference is 'c'; the variants are: b, a"):
        paired_difference(runs(), "c")


def test_a_single_seed_has_no_spread_in_markdown() -> None:
    lines = markdown(summary_table(runs()[:2])).splitlines()
    assert lines == [
        "| variant | n | test mAP all | nc1_pinv all |",
        "| --- | --- | --- | --- |",
        "| b | 1 | 60.0 | 1.00 |",
        "| a | 1 | 50.0 | 2.00 |",
    ]


def test_markdown_counts_the_seeds_above_and_shows_a_missing_value() -> None:
    table = pd.DataFrame({"variant": ["a"], "n": [5], "x mean": [-0.5], "x sd": [0.25], "x above": [1], "y": [np.nan]})
    assert markdown(table).splitlines()[-1] == "| a | 5 | -0.50 ± 0.25 (1/5) | - |"


def test_a_table_without_rows_says_so_and_can_be_read_again(tmp_path: Path) -> None:
    made = write_tables({"none": runs()[:0], "bare": pd.DataFrame()}, tmp_path)
    assert pd.read_csv(made[0]).columns.tolist() == runs().columns.tolist()
    assert pd.read_csv(made[2]).empty
    assert {path.read_text(encoding="utf-8") for path in (made[1], made[3])} == {
        "no rows: nothing was validated, or measured\n"
    }


def test_tables_are_written_for_machines_and_for_readers(tmp_path: Path) -> None:
    made = write_tables({"one": runs(), "two": summary_table(runs())}, tmp_path / "tables")
    assert [path.name for path in made] == ["one.csv", "one.md", "two.csv", "two.md"]
    pd.testing.assert_frame_equal(pd.read_csv(made[0]), runs())
    assert "± 2.0" in made[3].read_text(encoding="utf-8")
