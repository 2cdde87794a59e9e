"""train, extract, measure, evaluate and plot on one short run; then everything that can be wrong with the input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import pandas as pd
import pytest
import torch

import nctools
from nctools.run_directory import RunDirectory
from nctools.training.throughput import COLUMNS
from tests.cli.conftest import Command


def test_train_writes_a_run_and_names_it(nctools_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    outcome = nctools_command(
        "train", "erm", "--dataset", "digits_lt", "--out", out, "--set", "recipe.epochs=1", "--nc-every", 0, "--quiet"
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{out}\n"
    assert (out / "checkpoints" / "last.pt").is_file()
    again = nctools_command("train", "--config", out / "config.yaml", "--out", tmp_path / "again", "--quiet")
    assert again.code == 0, again.err
    first, second = pd.read_csv(out / "metrics.csv"), pd.read_csv(tmp_path / "again" / "metrics.csv")
    times = ["seconds", *(name for name in COLUMNS if name in first)]
    pd.testing.assert_frame_equal(first.drop(columns=times), second.drop(columns=times))


def test_train_dry_run_prints_the_configuration(nctools_command: Command, tmp_path: Path) -> None:
    outcome = nctools_command("train", "mlc-nc", "--dataset", "digits_lt", "--out", tmp_path / "x", "--dry-run")
    assert "fla_reduction: sum_classes" in outcome.out
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mlc_cn", "--dataset", "digits_lt"], 2, "unknown method 'mlc_cn'; did you mean mlc_nc"),
        (["erm", "--dataset", "digit_lt"], 2, "unknown data set 'digit_lt'; did you mean digits_lt"),
        (["erm", "--dataset", "digits_lt", "--set", "epoch=2"], 2, "did you mean recipe.epochs"),
        (["erm", "--dataset", "digits_lt", "--set", "epochs=two"], 2, "recipe.epochs: Input should be a valid integer"),
        (["erm", "--dataset", "digits_lt", "--set", "recipe.sampler=unifrm"], 2, "recipe.sampler: Input should be"),
        (
            ["erm", "--dataset", "digits_lt", "--data-settings", "groups=20,100"],
            2,
            "Invalid value for '--data-settings'",
        ),
        (["erm", "--dataset", "digits_lt", "--set", "epochs"], 2, "is not of the form key=value"),
        (["erm", "--dataset", "digits_lt", "--backbone", "resnet51"], 2, "resnet50"),
        (["mlc_nc", "--dataset", "digits_lt", "--set", "num_features=10"], 3, "num_features"),
        (["erm"], 2, "--dataset"),
        (["erm", "--dataset", "digits_lt", "--device", "tpu"], 2, "device"),
        (["--config", "nothere.yaml"], 3, "nothere.yaml cannot be read"),
    ],
)
def test_train_refuses_wrong_input_and_leaves_nothing(
    arguments: list[str], code: int, message: str, nctools_command: Command, tmp_path: Path
) -> None:
    outcome = nctools_command("train", *arguments, "--out", tmp_path / "run", "--quiet")
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert not (tmp_path / "run").exists()


def test_extract_then_measure_equals_measuring_the_checkpoint(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    last = trained_run.checkpoints / "last.pt"
    assert nctools_command("extract", last, "--out", tmp_path / "train.h5", "--quiet").code == 0
    for name, source in (("direct", last), ("stored", tmp_path / "train.h5")):
        outcome = nctools_command("measure", source, "--json", tmp_path / f"{name}.json", "--quiet")
        assert outcome.code == 0, outcome.err
    direct, stored = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("direct", "stored"))
    assert direct["results"][0]["table"] == stored["results"][0]["table"]
    assert len(direct["inputs"][0]["sha256"]) == 64


def test_measure_prints_every_space_and_group(nctools_command: Command, trained_run: RunDirectory) -> None:
    outcome = nctools_command("measure", trained_run.checkpoints / "last.pt", "--dataset", "digits_lt", "--quiet")
    assert outcome.code == 0, outcome.err
    for text in ("space: classwise", "space: projected", "space: penultimate", "head", "tail", "nc1_pinv", "nc2_noise"):
        assert text in outcome.out


def test_measure_writes_tidy_and_per_class_tables(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    outcome = nctools_command(
        "measure", trained_run.checkpoints / "last.pt", "--space", "classwise", "--quiet",
        "--csv", tmp_path / "nc.csv", "--per-class", tmp_path / "classes.csv", "--json", "-",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["results"][0]["definitions"]["nc1_pinv"]["formula"]
    assert set(pd.read_csv(tmp_path / "nc.csv")["group"]) == {"all", "head", "medium", "tail"}
    assert len(pd.read_csv(tmp_path / "classes.csv")) == 20


def test_measure_shows_intervals_and_references(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    found = nctools_command(
        "measure",
        trained_run.checkpoints / "last.pt",
        "--bootstrap",
        10,
        "--confidence",
        0.9,
        "--seed",
        3,
        "--references",
        "--json",
        tmp_path / "nc.json",
    )
    assert found.code == 0, found.err
    (row,) = [line for line in found.out.splitlines() if line.strip().startswith("nc1_quotient")][:1]
    assert re.search(r"nc1_quotient +[0-9.e+]+ \[[0-9.e+]+, [0-9.e+]+\]", row)
    assert "random" in found.out
    assert "basic 90% interval from 10 bootstrap replicates over images" in found.out
    assert "bootstrap of" in found.err
    (result,) = json.loads((tmp_path / "nc.json").read_text())["results"]
    assert all(set(space["references"]) <= {"random", "etf"} for space in result["spaces"].values())
    assert all(space["settings"]["seed"] == 3 for space in result["spaces"].values())


def test_measure_takes_own_groups(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> None:
    groups = tmp_path / "groups.json"
    groups.write_text('{"even": [0, 2, 4], "odd": [1, 3, 5]}', encoding="utf-8")
    outcome = nctools_command("measure", trained_run.checkpoints / "last.pt", "--groups", groups, "--quiet")
    assert outcome.code == 0, outcome.err
    assert "even" in outcome.out
    assert "tail" not in outcome.out


def test_evaluate_prints_both_weights(nctools_command: Command, trained_run: RunDirectory) -> None:
    outcome = nctools_command("evaluate", trained_run.checkpoints / "best.pt", "--weights", "both")
    assert outcome.code == 0, outcome.err
    for text in ("raw", "ema", "mAP tail", "average mAP", "G-mAP", "ema weighted", "recall", "F1", "tie-aware"):
        assert text in outcome.out


def test_plots_are_written_with_their_data(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> None:
    for kind in ("nc-curves", "angles"):
        outcome = nctools_command("plot", kind, trained_run.path, "-o", tmp_path / f"{kind}.svg")
        assert outcome.code == 0, outcome.err
        assert outcome.out.split() == [str(tmp_path / f"{kind}.svg"), str(tmp_path / f"{kind}.csv")]
        assert len(pd.read_csv(tmp_path / f"{kind}.csv"))
    assert nctools_command("plot", "distribution", "digits_lt", "-o", tmp_path / "d.pdf").code == 0


def test_nc_curves_need_no_more_than_nc_csv(nctools_command: Command, tmp_path: Path) -> None:
    labels = torch.arange(12) % 3
    model, images = torch.nn.Linear(3, 3), torch.eye(3)[labels] + 0.1 * torch.randn(12, 3)
    watch = nctools.watch(model, loader=[(images, labels)], path=tmp_path / "mine" / "nc.csv")
    watch.measure(epoch=0)
    watch.measure(epoch=1, model=torch.nn.Linear(3, 3))
    for weights, epoch in (("raw", 0), ("ema", 1)):
        out = tmp_path / f"{weights}.svg"
        outcome = nctools_command("plot", "nc-curves", tmp_path / "mine", "-o", out, "--weights", weights)
        assert outcome.code == 0, outcome.err
        assert set(pd.read_csv(out.with_suffix(".csv"))["epoch"]) == {epoch}
    assert nctools_command("plot", "nc-curves", tmp_path, "-o", tmp_path / "x.svg").code == 3


def test_plot_takes_the_newest_run(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = nctools_command("plot", "nc-curves")
    assert outcome.code == 3
    assert "no run found below runs/" in outcome.err
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(trained_run.path, target_is_directory=True)
    assert nctools_command("plot", "nc-curves", "-o", "curves.png").code == 0


# --- bad input: one clear line, the right exit code, nothing half-written ---


def _broken(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.write_bytes(b"this is no such file")
    return path


@pytest.mark.parametrize("command", ["measure", "extract", "evaluate"])
@pytest.mark.parametrize("kind", ["missing", "corrupt", "foreign"])
def test_a_bad_checkpoint_is_one_line_and_code_3(
    command: str, kind: str, nctools_command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "bad.pt"
    if kind == "corrupt":
        _broken(tmp_path, "bad.pt")
    if kind == "foreign":
        torch.save({"layer.weight": torch.zeros(2)}, path)
    before = sorted(tmp_path.iterdir())
    outcome = nctools_command(command, path)
    assert (outcome.code, outcome.out) == (3, ""), outcome.err
    assert outcome.err.startswith("error: ")
    assert "bad.pt" in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("content", [None, b"no hdf5"])
def test_a_bad_feature_file_is_one_line_and_code_3(
    content: bytes | None, nctools_command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "bad.h5"
    if content is not None:
        path.write_bytes(content)
    outcome = nctools_command("measure", path)
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert "bad.h5" in outcome.err


def test_nan_in_a_feature_file_names_sample_and_class(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    path = tmp_path / "train.h5"
    assert nctools_command("extract", trained_run.checkpoints / "last.pt", "--out", path, "--quiet").code == 0
    with h5py.File(path, "r+") as file:
        file["layers/classwise/features"][7, 3] = float("nan")
    outcome = nctools_command("measure", path, "--json", tmp_path / "nc.json")
    assert outcome.code == 3
    assert "sample" in outcome.err
    assert "class" in outcome.err
    assert not (tmp_path / "nc.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--metrics", "nc1_pinf"], 2, "did you mean nc1_pinv"),
        (["--space", "projectd"], 2, "did you mean projected"),
        (["--split", "val"], 3, "train, validation, test"),
        (["--dataset", "digits"], 2, "did you mean digits_lt"),
        (["--device", "gpu"], 2, "unknown device 'gpu'"),
        (["--groups", "nothere.json"], 3, "nothere.json"),
    ],
)
def test_measure_refuses_wrong_names(
    arguments: list[str], code: int, message: str, nctools_command: Command, trained_run: RunDirectory
) -> None:
    outcome = nctools_command("measure", trained_run.checkpoints / "last.pt", *arguments, "--quiet")
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert message in outcome.err


def test_an_unknown_layer_lists_near_misses_and_leaves_nothing(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    last, out = trained_run.checkpoints / "last.pt", tmp_path / "f.h5"
    outcome = nctools_command("extract", last, "--layers", "x=clasifier:input", "--out", out, "--quiet")
    assert outcome.code == 2
    assert "did you mean classifier" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_not_overwritten(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    target = tmp_path / "f.h5"
    target.write_text("precious", encoding="utf-8")
    outcome = nctools_command("extract", trained_run.checkpoints / "last.pt", "--out", target, "--quiet")
    assert outcome.code == 3
    assert "--force" in outcome.err
    assert target.read_text(encoding="utf-8") == "precious"
    assert (
        nctools_command("extract", trained_run.checkpoints / "last.pt", "--out", target, "--quiet", "--force").code == 0
    )
    with nctools.FeatureStore(target) as store:
        assert store.layers == ["classwise", "projected", "penultimate"]


def test_a_folder_that_cannot_be_made_is_named(nctools_command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    outcome = nctools_command("data", "describe", "digits_lt", "--json", tmp_path / "file" / "facts.json")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1), outcome.err
    assert str(tmp_path / "file") in outcome.err


def test_a_drawn_table_is_never_replaced(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> None:
    table = tmp_path / "nc.csv"
    table.write_bytes(trained_run.collapse.read_bytes())
    outcome = nctools_command("plot", "nc-curves", table)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "nc-curves.png").is_file()
    refused = nctools_command("plot", "nc-curves", table, "-o", tmp_path / "nc.png", "--force")
    assert refused.code == 3
    assert "name -o FILE.png" in refused.err
    assert table.read_bytes() == trained_run.collapse.read_bytes()


def test_features_are_not_written_under_the_name_of_another_format(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    outcome = nctools_command("extract", trained_run.checkpoints / "last.pt", "--out", tmp_path / "x.npz")
    assert outcome.code == 2
    assert not (tmp_path / "x.npz").exists()
