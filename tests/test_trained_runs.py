from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nctools.errors import CheckpointError, ConfigError
from nctools.methods.checkpoint import Checkpoint, save_checkpoint
from nctools.trained_runs import check_only_seeds_differ, checkpoint_of, trained_runs

CHECKPOINT = Checkpoint(
    method="mlc_nc",
    arguments={"seed": 0},
    state_dict={"weight": torch.zeros(1)},
    ema_state_dict=None,
    class_names=["a", "b"],
    class_counts=[3, 1],
    groups={"head": [0], "tail": [1]},
    dataset="voc_lt",
    preprocessing={},
    epoch=2,
)


def make_run(folder: Path, *, seed: int = 0, files: tuple[str, ...] = ("best.pt", "last.pt"), **config: object) -> Path:
    """A run directory without a training."""
    folder.mkdir(parents=True)
    document = {"method": "mlc_nc", "dataset": "voc_lt", "seed": seed, "arguments": {}, **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    for file in files:
        save_checkpoint(
            dataclasses.replace(CHECKPOINT, seed=seed, arguments={"seed": seed}), folder / "checkpoints" / file
        )
    return folder


def test_one_path_is_a_text_or_a_path(tmp_path: Path) -> None:
    run = make_run(tmp_path / "erm")
    assert trained_runs(str(run)) == trained_runs(run) == trained_runs([run])
    assert [found.folder for found in trained_runs(str(run))] == [run]


def test_a_folder_of_runs_gives_them_by_number(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        make_run(tmp_path / f"s{seed}", seed=seed)
    (tmp_path / "figures").mkdir()
    runs = trained_runs([tmp_path])
    assert [run.name for run in runs] == ["s0", "s2", "s10"]
    assert [run.checkpoint.name for run in runs] == ["best.pt"] * 3
    assert check_only_seeds_differ(runs) == [0, 2, 10]
    with pytest.raises(CheckpointError, match=r"holds 3 runs \(s0, s2, s10\)"):
        checkpoint_of(tmp_path)


def test_a_folder_of_runs_may_hold_a_configuration_of_its_own(tmp_path: Path) -> None:
    make_run(tmp_path / "s0")
    (tmp_path / "config.yaml").write_text("seeds: [0]", encoding="utf-8")
    assert [run.name for run in trained_runs([tmp_path])] == ["s0"]


def test_files_are_taken_as_they_are(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    [found] = trained_runs([run / "checkpoints" / "last.pt"])
    assert (found.name, found.folder, found.notes()) == ("run", run, [])
    [lone] = trained_runs(["nothere.pt"])
    assert (lone.name, lone.folder, lone.config(), lone.notes()) == ("nothere.pt", None, None, [])
    assert checkpoint_of("nothere.pt") == Path("nothere.pt")


def test_the_last_checkpoint_stands_in_for_the_best(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", files=("last.pt",))
    [found] = trained_runs([run])
    assert found.notes() == [f"{run} has no best.pt (nothing to validate on), its last.pt is scored"]
    assert trained_runs([run], which="last")[0].notes() == []
    assert checkpoint_of(run) == run / "checkpoints" / "last.pt"


def test_folders_without_runs_or_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no run"):
        trained_runs([tmp_path])
    make_run(tmp_path / "run", files=())
    with pytest.raises(CheckpointError, match=r"run holds no best checkpoint \(.*best.pt does not exist\)"):
        trained_runs([tmp_path / "run"])


def test_an_unfinished_run_is_noted(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", recipe={"epochs": 100})
    (run / "metrics.csv").write_text("epoch,step\n1,5\n37,185\n", encoding="utf-8")
    assert trained_runs([run])[0].notes() == [f"{run} has finished 37 of 100 epochs"]
    (run / "metrics.csv").write_text("epoch,step\n100,500\n", encoding="utf-8")
    assert trained_runs([run])[0].notes() == []


def test_every_differing_key_is_named(tmp_path: Path) -> None:
    runs = trained_runs(
        [
            make_run(tmp_path / "a", recipe={"epochs": 3, "max_lr": 0.1}),
            make_run(tmp_path / "b", seed=1, recipe={"epochs": 4, "max_lr": 0.1}, nc={"every": 2}),
        ]
    )
    with pytest.raises(ConfigError, match=r"\(nc.every: \(not there\) and 2; recipe.epochs: 3 and 4\)"):
        check_only_seeds_differ(runs)


def test_where_runs_were_computed_and_defaults_written_out_make_no_difference(tmp_path: Path) -> None:
    places: list[dict[str, Any]] = [
        {"device": "cpu", "workers": 0, "data_root": "/a", "loggers": [], "trainer": {"devices": 1}},
        {"device": "cuda", "workers": 4, "data_root": "/b", "loggers": ["wandb"], "trainer": {"devices": 2}},
        {"arguments": {"label_embedding": "etf"}},
    ]
    for seed, place in enumerate(places):
        make_run(tmp_path / f"s{seed}", seed=seed, **place)
    assert check_only_seeds_differ(trained_runs([tmp_path])) == [0, 1, 2]
    make_run(tmp_path / "s3", seed=3, trainer={"accumulate_grad_batches": 2})
    with pytest.raises(ConfigError, match=r"\(trainer.accumulate_grad_batches: \(not there\) and 2\)"):
        check_only_seeds_differ(trained_runs([tmp_path]))


def test_checkpoints_alone_are_compared_by_what_they_carry(tmp_path: Path) -> None:
    for seed in (0, 1):
        save_checkpoint(
            dataclasses.replace(CHECKPOINT, seed=seed, arguments={"seed": seed}, epoch=seed), tmp_path / f"{seed}.pt"
        )
    assert check_only_seeds_differ(trained_runs([tmp_path / "0.pt", tmp_path / "1.pt"])) == [0, 1]
    other = dataclasses.replace(CHECKPOINT, seed=2, arguments={"seed": 2, "fla_weight": 0.0})
    save_checkpoint(other, tmp_path / "2.pt")
    with pytest.raises(ConfigError, match=r"arguments.fla_weight: 0.5 and 0.0"):
        check_only_seeds_differ(trained_runs([tmp_path / "0.pt", tmp_path / "2.pt"]))


def test_equal_seeds_and_broken_configurations_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=4), make_run(tmp_path / "b", seed=4)
    with pytest.raises(CheckpointError, match="have the same seed, 4"):
        check_only_seeds_differ(trained_runs([tmp_path]))
    for text, message in (("a: [", "cannot be read"), ("3", "top level is int")):
        (tmp_path / "b" / "config.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            check_only_seeds_differ(trained_runs([tmp_path]))
