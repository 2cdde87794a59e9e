from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nctools.errors import CheckpointError, ConfigError
from nctools.methods.checkpoint import load_checkpoint, save_checkpoint
from nctools.report import write_report
from nctools.report.collect import collect_runs, run_folders
from nctools.report.writing import default_target
from nctools.run_directory import RunDirectory
from tests.report.conftest import change
from tests.report.html_check import read_page


@pytest.fixture
def run(two_runs: list[Path], report_page: Path, tmp_path: Path) -> RunDirectory:
    """A copy of a run whose features are there already."""
    assert report_page.is_file()
    shutil.copytree(two_runs[0], tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def test_the_page_of_two_runs_is_valid_and_whole(two_runs: list[Path], report_page: Path) -> None:
    reader = read_page(report_page.read_text(encoding="utf-8"))
    assert reader.faults == []
    document = json.loads(reader.scripts[0])
    assert [found["name"] for found in document["runs"]] == ["s0", "s1"]
    assert all(found["missing"] is None for found in document["figures"]), document["figures"]
    # Extracted once, and kept.
    assert all((path / "features/train.h5").is_file() for path in two_runs)
    text = "".join(reader.texts)
    assert "mlc_nc: mean ± sd" in text
    assert "features were extracted to" in text
    assert "differ in their seed alone" in text


def test_missing_images_leave_a_page_that_says_so(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nctools.prepared.load_dataset", gone)
    # Scores that are kept beside the run need no images.
    assert collect_runs([run.path])[0].evaluation is not None
    shutil.rmtree(run.scores)
    (record,) = collect_runs([run.path])
    assert record.evaluation is None
    assert record.scored == "the test images could not be scored: the images are gone"
    # The features are there, so collapse is measured all the same.
    assert record.measured == "1,384 training images, epoch 1"


def test_without_features_the_saved_values_are_told(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nctools.prepared.load_dataset", gone)
    shutil.rmtree(run.features)
    (record,) = collect_runs([run.path])
    assert record.measured == "nc.csv, epoch 1"
    assert record.collapse is not None
    assert record.collapse.to_dict()["all"]["nc1_pinv"] > 0
    page = write_report(run.path)
    assert page == run.path / "report.html"
    reader = read_page(page.read_text(encoding="utf-8"))
    assert reader.faults == []
    missing = {figure["id"]: figure["missing"] for figure in json.loads(reader.scripts[0])["figures"]}
    assert missing["nc-curves"] is None
    assert missing["angles"] == "the images are gone"


@pytest.mark.parametrize("content", ["split,epoch\ntrain\n", "split,epoch\ntrain,\n", "", "epoch\n1\n"])
def test_a_damaged_table_is_told(run: RunDirectory, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr("nctools.prepared.load_dataset", gone)
    shutil.rmtree(run.features)
    run.collapse.write_text(content)
    (record,) = collect_runs([run.path])
    assert record.collapse is None
    assert record.measured.startswith("neural collapse could not be measured: the images are gone; ")


def test_nothing_at_all_is_an_error(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nctools.prepared.load_dataset", gone)
    shutil.rmtree(run.features)
    shutil.rmtree(run.scores)
    run.collapse.unlink()
    with pytest.raises(ConfigError, match=r"nothing to report on: .*the images are gone; neural collapse could not be"):
        collect_runs([run.path])


def test_features_of_another_epoch_are_noted(run: RunDirectory) -> None:
    last = run.checkpoints / "last.pt"
    save_checkpoint(replace(load_checkpoint(last), epoch=7), last)
    with pytest.warns(UserWarning, match=r"train\.h5 was made of epoch 1, .*last\.pt is of epoch 7"):
        (record,) = collect_runs([run.path])
    assert any("was made of epoch 1, the last checkpoint is of epoch 7" in note for note in record.notes)
    assert record.measured == "1,384 training images, epoch 1"


def test_an_unfinished_run_is_noted(run: RunDirectory) -> None:
    change(run, recipe={"epochs": 9})
    table = run.metrics.read_text(encoding="utf-8")
    assert table.splitlines()[-1].startswith("1,")
    (record,) = collect_runs([run.path])
    assert f"{run.path} has finished 1 of 9 epochs" in record.notes


def test_a_damaged_checkpoint_is_told(run: RunDirectory) -> None:
    for path in run.checkpoints.glob("*.pt"):
        path.write_bytes(b"no weights")
    (record,) = collect_runs([run.path])
    assert record.evaluation is None
    assert record.scored == "there is no checkpoint"
    assert any("last.pt" in note for note in record.notes)
    assert record.collapse is not None


def test_folders_of_runs_are_opened_and_each_run_stands_once(two_runs: list[Path]) -> None:
    folder = two_runs[0].parent
    assert run_folders([folder, two_runs[1]]) == two_runs
    assert default_target([folder]) == folder.resolve() / "report.html"
    assert default_target([two_runs[0]]) == two_runs[0] / "report.html"


def test_a_path_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere does not exist: name what"):
        collect_runs([tmp_path / "nowhere"])
    (tmp_path / "file.pt").touch()
    with pytest.raises(ConfigError, match=r"file\.pt is a file, not a run directory"):
        collect_runs([tmp_path / "file.pt"])
    with pytest.raises(CheckpointError, match="holds no run"):
        collect_runs([tmp_path])
    with pytest.raises(ConfigError, match="there is no run to report on"):
        collect_runs([])


def test_a_page_is_never_replaced_unasked(run: RunDirectory) -> None:
    target = run.path / "report.html"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"report\.html exists already"):
        write_report(run.path)
    assert target.read_text(encoding="utf-8") == "mine"


def gone(*_: object, **__: object) -> None:
    raise ConfigError("the images are gone")
