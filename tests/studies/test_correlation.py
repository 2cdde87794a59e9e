from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from nctools.studies.correlation import epoch_values, over_epochs, over_runs, spearman
from nctools.studies.plan import StudyRun, Variant
from tests.studies.fake_runs import small_config, write_run


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=30))
def test_spearman_is_scipys_also_with_ties(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=float).T
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert np.isnan(spearman(first, second))
    else:
        assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-9)


def test_three_pairs_are_too_few() -> None:
    assert np.isnan(spearman(np.array([1.0, 2, 3]), np.array([1.0, 2, 3])))


def curves(num_runs: int, changes: float) -> pd.DataFrame:
    """NC falls and mAP rises over 40 epochs; their wiggles go together as ``changes`` says, -1 to 1."""
    generator = np.random.default_rng(0)
    parts = []
    for seed in range(num_runs):
        shared, own = generator.standard_normal((2, 40))
        wiggle = changes * shared + np.sqrt(1 - changes**2) * own
        parts.append(
            pd.DataFrame(
                {
                    "variant": "a",
                    "seed": seed,
                    "metric": "nc1_pinv",
                    "group": "all",
                    "epoch": np.arange(40),
                    "value": 100 - 2.0 * np.arange(40) + shared,
                    "val mAP": 1.5 * np.arange(40) + wiggle,
                }
            )
        )
    return pd.concat(parts)


def by_kind(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    names = ["rho", "low", "high", "n", *(["below"] if "below" in table.columns else [])]
    return {str(row["kind"]): {name: float(row[name]) for name in names} for row in table.to_dict("records")}


def test_a_common_trend_shows_in_the_levels_and_not_in_the_changes() -> None:
    table = by_kind(over_epochs(curves(5, 0.0)))
    assert table["levels"]["rho"] < -0.95
    assert table["levels"]["below"] == 5
    assert table["changes"]["low"] < 0.1
    assert table["changes"]["high"] > -0.1


def test_changes_that_go_together_are_found() -> None:
    table = by_kind(over_epochs(curves(5, -0.9)))
    assert table["changes"]["high"] < -0.6
    assert table["changes"]["n"] == 5


def alike(generator: np.random.Generator, num_variants: int, num_seeds: int) -> pd.DataFrame:
    """Six epochs of runs whose NC has nothing to do with mAP, but the same in all runs of a variant."""
    rows = []
    for variant in range(num_variants):
        value, score = generator.standard_normal((2, 6))
        for seed in range(num_seeds):
            shaken = score + 0.3 * generator.standard_normal(6)
            rows += [
                {
                    "variant": f"v{variant}",
                    "seed": seed,
                    "epoch": place,
                    "value": value[place],
                    "val mAP": shaken[place],
                }
                for place in range(6)
            ]
    return pd.DataFrame(rows).assign(metric="nc1_pinv", group="all")


def test_the_interval_over_epochs_holds_zero_as_often_as_it_says_when_runs_of_a_variant_are_alike() -> None:
    generator, hits = np.random.default_rng(3), 0
    for _ in range(80):
        levels = by_kind(over_epochs(alike(generator, 6, 5)))["levels"]
        hits += levels["low"] <= 0 <= levels["high"]
    assert hits / 80 > 0.9


def test_variants_are_counted_not_runs_and_too_few_are_told() -> None:
    generator = np.random.default_rng(0)
    table = over_epochs(alike(generator, 6, 5))
    assert set(table["interval"]) == {"6 variants"}
    assert set(table["n"]) == {30}
    assert set(over_epochs(alike(generator, 1, 5))["interval"]) == {"5 runs of one variant"}
    two = over_epochs(alike(generator, 2, 5))
    assert set(two["interval"]) == {"none: 2 variants, fewer than 3"}
    assert two["low"].isna().all()


@pytest.mark.parametrize(("num_variants", "num_seeds"), [(6, 2), (6, 5), (1, 6)])
def test_the_interval_inside_variants_holds_zero_as_often_as_it_says(num_variants: int, num_seeds: int) -> None:
    generator, hits, repetitions = np.random.default_rng(4), 0, 150
    names = np.repeat([f"v{variant}" for variant in range(num_variants)], num_seeds)
    for _ in range(repetitions):
        noise = generator.standard_normal((2, len(names)))
        table = pd.DataFrame({"variant": names, "nc1_pinv all": noise[0], "test mAP all": noise[1]})
        inside = by_kind(over_runs(table, replicates=2))["inside variants"]
        hits += inside["low"] <= 0 <= inside["high"]
    assert hits / repetitions > 0.91


def test_too_few_seeds_inside_variants_have_no_interval_and_the_reason_is_told() -> None:
    table = over_runs(runs(inside=-1, between=0).query("seed < 3 and variant < 'v2'")).set_index("kind")
    assert table.loc["inside variants", "interval"] == (
        "none: 2 degrees of freedom, fewer than 3: more seeds are needed"
    )
    assert table.loc["inside variants", ["low", "high"]].isna().all()
    assert table.loc["all runs", "interval"] == "none: 2 variants, fewer than 3"


def runs(inside: float, between: float) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = []
    for variant in range(6):
        for seed in range(5):
            step = generator.standard_normal()
            value = 10 * variant + step
            score = 50 + between * 5 * variant + inside * step + 0.01 * generator.standard_normal()
            rows.append({"variant": f"v{variant}", "seed": seed, "nc1_pinv tail": value, "test mAP tail": score})
    return pd.DataFrame(rows)


def test_what_holds_between_variants_need_not_hold_inside_them() -> None:
    table = by_kind(over_runs(runs(inside=-1, between=1)))
    assert table["all runs"]["rho"] > 0.8
    assert table["inside variants"]["rho"] < -0.9
    assert all(row["n"] == 30 and row["low"] < row["high"] for row in table.values())


def test_whole_variants_are_drawn_so_that_the_interval_is_wide() -> None:
    table = by_kind(over_runs(runs(inside=0, between=0)))
    assert table["all runs"]["high"] - table["all runs"]["low"] > 0.4


def test_one_run_has_no_correlation_and_no_interval() -> None:
    table = over_runs(runs(1, 1)[:1])
    assert table[["rho", "low", "high"]].isna().all(axis=None)


def test_validation_is_put_beside_the_collapse_of_the_same_epoch(tmp_path: Path) -> None:
    config = small_config()
    write_run(config, tmp_path / "run")
    run = StudyRun(Variant("plain", "erm"), 0, config, tmp_path / "run")
    table = epoch_values([run], ["nc1_pinv"])
    assert table["epoch"].unique().tolist() == [1, 2, 3], "before training nothing was validated"
    tail = table[table["group"] == "tail"]
    assert tail["val mAP"].tolist() == pytest.approx([10.0, 20.0, 30.0])
    assert tail["value"].tolist() == [4.0, 2.0, 1.0]


def test_no_run_gives_no_rows_and_all_columns() -> None:
    assert epoch_values([]).empty
    for table in (over_epochs(epoch_values([])), over_runs(runs(0, 0), metrics=["unknown"])):
        assert table.empty
        assert {"rho", "low", "high", "n", "interval"} <= set(table.columns)
