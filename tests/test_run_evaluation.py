"""Runs are scored one by one and averaged; what they share is told once."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nctools.errors import UnknownNameError
from nctools.evaluation.summary import evaluate_scores
from nctools.methods import Checkpoint, build, save_checkpoint
from nctools.run_evaluation import RunEvaluation, RunEvaluations, evaluate_runs

CLASSES = [f"c{place}" for place in range(20)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints of two seeds, as a training of no steps would leave them."""
    from nctools.data import load_dataset

    images = load_dataset("digits_lt", "train")
    folder = tmp_path_factory.mktemp("files")
    preprocessing = {"mean": [0.115, 0.102, 0.108], "std": [0.136, 0.091, 0.123], "augmentation": "none"}
    for seed in range(2):
        torch.manual_seed(seed)
        state = build("erm", num_classes=20, backbone="small").state_dict()
        found = Checkpoint(
            method="erm",
            arguments={"backbone": "small"},
            state_dict=state,
            ema_state_dict=state,
            class_names=list(images.class_names),
            class_counts=list(images.class_counts),
            groups=dict(images.groups),
            dataset="digits_lt",
            preprocessing=dict(preprocessing),
            epoch=0,
            seed=seed,
        )
        save_checkpoint(dataclasses.replace(found), folder / f"{seed}.pt")
    return [folder / "0.pt", folder / "1.pt"]


def made_up(seed: int) -> RunEvaluation:
    rng = np.random.default_rng(seed)
    targets = rng.random((30, 20)) < 0.4
    groups = {"head": [0, 1], "tail": [2, 3]}
    found = evaluate_scores(torch.tensor(rng.random((30, 20))), torch.tensor(targets).float(), CLASSES, groups)
    return RunEvaluation(f"s{seed}", Path(f"{seed}.pt"), seed, {"raw": found})


def test_means_are_those_of_the_runs() -> None:
    runs = [made_up(seed) for seed in range(3)]
    found = RunEvaluations(runs)
    assert found.weights == ["raw"]
    values = [run.evaluations["raw"].mean_average_precision["tail"] for run in runs]
    assert found.mean_average_precision("raw")["tail"] == pytest.approx(np.mean(values))
    assert found.means("raw")["mean_average_precision.tail"].sd == pytest.approx(np.std(values, ddof=1))
    assert list(found.mean_average_precision("raw")) == ["all", "head", "tail"]


def test_one_run_has_no_spread_and_its_document_has_every_value() -> None:
    found = RunEvaluations([made_up(0)])
    assert math.isnan(found.means("raw")["mean_average_precision.all"].sd)
    document: dict[str, Any] = found.to_document()
    [run] = document["runs"]
    assert (run["run"], run["checkpoint"], run["seed"], list(run["weights"])) == ("s0", "0.pt", 0, ["raw"])
    assert set(document["summary"]["raw"]) == set(found.runs[0].evaluations["raw"].values())


def test_one_run_tells_data_and_model_once_for_both_kinds_of_weights(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate_runs(files[:1], kinds=["raw", "ema"], progress=True, batch_size=1000)
    assert found.weights == ["raw", "ema"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["data:", "loaded", "scoring:", "scoring:"]
    assert lines[0].startswith("data: digits_lt test, 1000 images, 20 classes")


def test_several_runs_tell_data_once_and_a_short_line_each(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate_runs(files, kinds=["raw", "ema"], progress=True, batch_size=1000)
    data, *others = capsys.readouterr().err.splitlines()
    assert data.startswith("data: digits_lt test, 1000 images")
    assert others == ["scoring 0.pt", "scoring 1.pt"]
    assert [run.seed for run in found.runs] == [0, 1]
    alone = evaluate_runs(str(files[1])).runs[0].evaluations["raw"]
    assert found.runs[1].evaluations["raw"].mean_average_precision == alone.mean_average_precision
    assert capsys.readouterr().err == ""


def test_a_wrong_protocol_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol of average precision 'voc12'"):
        evaluate_runs(["no_such.pt"], protocol="voc12")  # type: ignore[arg-type]
