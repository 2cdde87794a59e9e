from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nctools.errors import ConfigError
from nctools.figures import map_bars_of
from nctools.run_scores import RunScores
from tests.figures.score_runs import made_up, run_directory, scored

__all__ = ["scored"]


def test_runs_stand_side_by_side_with_the_scores_of_evaluate(tmp_path: Path, scored: dict[str, RunScores]) -> None:
    scored.update(erm=made_up(0), mlc=made_up(1, shift=4.0))
    paths = [run_directory(tmp_path / name) for name in ("erm", "mlc")]
    figure, data = map_bars_of(paths, per_class=True)
    assert len(figure.axes) == 2
    for run in ("erm", "mlc"):
        found, expected = data[data["run"] == run], scored[run].evaluate()
        groups = found[found["quantity"] == "mAP"].set_index("group")["mean"]
        assert groups.to_dict() == pytest.approx({k: 100 * v for k, v in expected.mean_average_precision.items()})
        classes = found[found["quantity"] == "AP"]
        assert classes["class_name"].tolist() == ["car", "bus", "dog", "cat"]
        assert classes["n"].tolist() == [300, 40, 9, 5]
        assert classes["group"].tolist() == ["head", "medium", "tail", "tail"]
        assert classes["mean"].tolist() == pytest.approx([100 * expected.average_precision[i] for i in (3, 2, 1, 0)])


def test_a_folder_of_seeds_is_one_bar_with_its_spread(tmp_path: Path, scored: dict[str, RunScores]) -> None:
    for seed in range(3):
        scored[f"s{seed}"] = made_up(seed)
        run_directory(tmp_path / "erm" / f"s{seed}", seed=seed)
    _, data = map_bars_of([tmp_path / "erm"])
    values = [100 * scored[f"s{seed}"].evaluate().mean_average_precision["tail"] for seed in range(3)]
    tail = data[data["group"] == "tail"].iloc[0]
    assert (tail["run"], tail["seeds"]) == ("erm", 3)
    assert tail["mean"] == pytest.approx(np.mean(values))
    assert tail["sd"] == pytest.approx(np.std(values, ddof=1))


def test_runs_of_a_folder_that_differ_in_more_than_their_seed_are_an_error(
    tmp_path: Path, scored: dict[str, RunScores]
) -> None:
    scored.update(a=made_up(0), b=made_up(1))
    run_directory(tmp_path / "both" / "a")
    run_directory(tmp_path / "both" / "b", method="mlc_nc", seed=1)
    with pytest.raises(ConfigError, match="method: erm and mlc_nc"):
        map_bars_of([tmp_path / "both"])


def test_runs_with_other_classes_have_groups_in_common_but_no_classes(
    tmp_path: Path, scored: dict[str, RunScores]
) -> None:
    scored.update(a=made_up(0), b=dataclasses.replace(made_up(1), class_names=["w", "x", "y", "z"]))
    paths = [run_directory(tmp_path / name) for name in ("a", "b")]
    assert len(map_bars_of(paths).data) == 8
    with pytest.raises(ConfigError, match=r"b has other classes than .*a: leave --per-class out"):
        map_bars_of(paths, per_class=True)


def test_where_nobody_knows_the_training_counts_classes_stand_in_the_order_of_their_positives(
    tmp_path: Path, scored: dict[str, RunScores]
) -> None:
    scored["a"] = dataclasses.replace(made_up(0), class_counts=None, groups={})
    _, data = map_bars_of([run_directory(tmp_path / "a")], per_class=True)
    classes = data[data["quantity"] == "AP"]
    assert classes["n"].tolist() == sorted(scored["a"].targets.sum(0).tolist(), reverse=True)
    assert data[data["quantity"] == "mAP"]["group"].tolist() == ["all"]
