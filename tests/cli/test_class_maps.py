"""Class maps on the command line: figures, their arrays, and the table against boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from nctools._torchvision_guard import import_torchvision
from nctools.features.maps import load_class_maps
from tests.cli.conftest import Command
from tests.untrained_runs import untrained_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return untrained_runs(tmp_path_factory.mktemp("runs"))


def test_each_command_draws_the_maps_it_is_called_after(
    nctools_command: Command, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    attention, erm = runs
    for kind, run in (("attention", attention), ("cam", erm), ("gradcam", attention)):
        target = tmp_path / f"{kind}.svg"
        outcome = nctools_command(
            "plot", kind, run, "--images", "test-0001", "--classes", "true", "-o", target, "--npz"
        )
        assert outcome.code == 0, outcome.err
        assert outcome.out.split() == [str(target), str(target.with_suffix(".csv"))]
        assert load_class_maps(target.with_suffix(".npz")).method == kind
        assert pd.read_csv(target.with_suffix(".csv"))["image"].unique().tolist() == ["test-0001"]


def test_a_method_takes_the_place_of_the_name_also_in_that_of_the_file(
    nctools_command: Command, runs: tuple[Path, Path]
) -> None:
    outcome = nctools_command("plot", "gradcam", runs[1], "--method", "gradcam++", "--images", "1", "--npz")
    assert outcome.code == 0, outcome.err
    figures = runs[1] / "figures"
    assert (figures / "gradcam++.png").is_file()
    assert load_class_maps(figures / "gradcam++.npz").method == "gradcam++"
    again = nctools_command("plot", "gradcam", runs[1], "--method", "gradcam++", "--images", "1", "--npz")
    assert again.code == 3
    assert "gradcam++.npz exists already" in again.err


def test_what_is_not_there_is_one_line(nctools_command: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    for arguments, code, message in (
        (("--images", "test-9999"), 2, "unknown image 'test-9999'; did you mean"),
        (("--classes", "3 rad"), 2, "unknown class '3 rad'; did you mean"),
        (("--method", "grandcam"), 2, "unknown method of class maps 'grandcam'; did you mean gradcam"),
        (("--method", "attention"), 3, "no class-wise head"),
        (("--images", "0"), 3, "0 images are wanted"),
    ):
        outcome = nctools_command("plot", "cam", runs[1], *arguments, "-o", target)
        assert (outcome.code, outcome.err.count("\n")) == (code, 1), outcome.err
        assert message in outcome.err
    assert not target.exists()


def test_rows_and_groups_are_drawn_and_a_second_image_without_comma_is_told(
    nctools_command: Command, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    target = tmp_path / "a.svg"
    outcome = nctools_command("plot", "cam", runs[1], "--images", "3,7", "--classes", "head", "-o", target)
    assert outcome.code == 0, outcome.err
    data = pd.read_csv(target.with_suffix(".csv"))
    assert set(data["image"]) == {"test-0003", "test-0007"}
    assert set(data["group"]) == {"head"}
    second = nctools_command("plot", "cam", runs[1], "--images", "test-0003", "test-0007", "-o", tmp_path / "b.svg")
    assert second.code == 3
    assert "commas separate several: --images test-0003,test-0007" in second.err


def test_localise_prints_groups_beside_chance_and_writes_them(
    nctools_command: Command, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    document, table = tmp_path / "a.json", tmp_path / "a.csv"
    outcome = nctools_command(
        "localise", runs[1], "--method", "cam", "--max-images", "40", "--json", document, "--csv", table
    )
    assert outcome.code == 0, outcome.err
    lines = [line.split() for line in outcome.out.splitlines()]
    groups = {line[0]: line for line in lines if line and line[0] in {"all", "head", "medium", "tail"}}
    assert list(groups) == ["all", "head", "medium", "tail"]
    tail = pd.read_csv(table).query("group == 'tail'")
    expected = [f"{100 * value:.1f}" for value in tail[["value", "chance"]].to_numpy(float).ravel().tolist()]
    assert groups["tail"][2:] == expected
    assert expected[1] == "11.1"
    content = json.loads(document.read_text())
    assert (content["command"], content["method"], content["num_images"]) == ("localise", "cam", 40)
    printed = nctools_command("localise", runs[1], "--method", "cam", "--max-images", "40", "--json", "-", "--quiet")
    assert json.loads(printed.out)["groups"] == content["groups"]
    assert nctools_command("localise", runs[1], "--csv", table).code == 3


def test_weights_of_another_program_are_drawn_over_own_images(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_torchvision()
    timm = pytest.importorskip("timm")
    weights = tmp_path / "r10.pth"
    torch.save(timm.create_model("test_resnet", num_classes=2).state_dict(), weights)
    for number in range(4):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (60 * number, 90, 20)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    words = ("--model", "timm:test_resnet", "--model-args", "num_classes=2", "--data", "photos", "--image-size", "32")
    for kind in ("gradcam", "logits", "map-bars"):
        outcome = nctools_command("plot", kind, weights, *words, "-o", f"{kind}.svg", "--mean", "0,0,0")
        assert outcome.code == 0, outcome.err
    assert set(pd.read_csv("gradcam.csv")["class"]) == {"a", "b"}


def test_localise_compares_runs_by_the_first_method_that_all_have(
    nctools_command: Command, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    document, table = tmp_path / "a.json", tmp_path / "a.csv"
    words = ("--max-images", "20", "--quiet", "--csv", table, "--json", document, "--force")
    alone = nctools_command("localise", runs[0], *words)
    assert alone.code == 0, alone.err
    assert "attention maps are taken" in alone.err
    assert json.loads(document.read_text())["method"] == "attention"
    assert pd.read_csv(table)["run"].unique().tolist() == [runs[0].name]
    both = nctools_command("localise", *runs, *words)
    assert both.code == 0, both.err
    assert "no attention maps" in both.err
    content = json.loads(document.read_text())["runs"]
    assert [one["run"] for one in content] == ["class_attention", "erm"]
    method = content[0]["method"]
    assert method in {"cam", "gradcam"}
    assert f"note: {method} maps are taken: --method chooses others" in both.err
    for one in content:
        assert one["method"] == method
        assert f"{one['run']}: {method} maps on digits_lt test" in both.out
        rows = pd.read_csv(table).query(f"run == '{one['run']}'")
        assert rows["value"].tolist() == pytest.approx([row["value"] for row in one["groups"]])
