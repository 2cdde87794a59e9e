"""Scores as tables: a row for each run, mean and spread, the published row below."""

from __future__ import annotations

import math

import pytest
import torch

from nctools.cli.evaluation_table import print_evaluations
from nctools.evaluation.paper_check import PublishedRow, deviations
from nctools.evaluation.summary import evaluate_scores
from nctools.run_evaluation import RunEvaluation, RunEvaluations

ROW = PublishedRow("made_up", "mlc_nc", "voc_lt", "fla_weight=0", {"all": 50.0, "tail": 70.0})


def scored(seed: int, *, positive: bool = True) -> RunEvaluation:
    """Two classes of four images: the first ranked perfectly, of the second a share that depends on the seed."""
    targets = torch.tensor([[1, 0], [1, 1], [0, 0], [0, 0]], dtype=torch.float32)
    if not positive:
        targets[:, 1] = 0
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2 + 0.5 * seed], [0.2, 0.6], [0.1, 0.3]])
    found = evaluate_scores(scores, targets, ["a", "b"], {"head": [0], "tail": [1]})
    return RunEvaluation(f"s{seed}", None, seed, {"raw": found})


def rows(text: str) -> dict[str, list[str]]:
    """Cells by the first one of each row, of equal ones those of the first table."""
    split = [[cell.strip() for cell in line.strip().split("  ") if cell.strip()] for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in reversed(split) if cells}


def test_one_run_has_one_row_of_percent(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluations(RunEvaluations([scored(0)]), title="x.pt", split="test")
    found = capsys.readouterr().out
    assert "x.pt  split: test  (%)" in found
    assert "tie-aware average precision, 2 of 2 classes" in found
    assert rows(found)["raw"][:4] == ["66.67", "100.00", "33.33", "66.67"]
    assert {"raw micro", "raw macro", "raw weighted"} <= rows(found).keys()


def test_calibration_of_each_group_is_printed_with_its_bins(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluations(RunEvaluations([scored(0)]), title="x.pt", split="test")
    table = capsys.readouterr().out.partition("expected calibration error  (%)")[2]
    assert "in 15 bins" in table
    # Every score has a bin of its own: the mean distance from 0 or 1.
    assert rows(table)["raw"] == ["30.00", "15.00", "45.00"]


def test_several_seeds_have_mean_and_spread_of_calibration(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluations(RunEvaluations([scored(0), scored(1)]), title="runs", split="test")
    table = capsys.readouterr().out.partition("expected calibration error  (%)")[2]
    assert rows(table)["raw"][1:] == ["15.00 ± 0.00", f"38.75 ± {100 * 0.125 / math.sqrt(2):.2f}"]


def test_several_runs_have_a_row_each_then_mean_and_spread(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluations(RunEvaluations([scored(0), scored(1)]), title="runs", split="test")
    found = rows(capsys.readouterr().out)
    assert (found["raw s0"][2], found["raw s1"][2]) == ("33.33", "100.00")
    spread = 100 * (1 - 1 / 3) / math.sqrt(2)
    assert found["raw mean ± sd"][2] == f"66.67 ± {spread:.2f}"


def test_the_published_row_stands_below_with_the_difference(capsys: pytest.CaptureFixture[str]) -> None:
    found = RunEvaluations([scored(0)])
    compared = {"raw": deviations(ROW, found.mean_average_precision("raw"))}
    print_evaluations(found, title="x", split="test", paper=(ROW, compared))
    table = rows(capsys.readouterr().out)
    assert table["paper (fla_weight=0)"] == ["50.00", "70.00"]  # the paper prints no value of head
    assert table["raw - paper"] == ["+16.67", "-36.67"]


def test_a_group_without_a_value_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluations(RunEvaluations([scored(0, positive=False)]), title="x", split="test")
    found = capsys.readouterr().out
    assert rows(found)["raw"][2] == "n/a"
    assert "1 of 2 classes" in found
