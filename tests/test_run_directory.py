"""Files appear whole or not at all; the newest run is the one whose configuration was written last."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory, newest_run, remove_half_written, replace_atomically


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old", encoding="utf-8")

    def write_half() -> None:
        with replace_atomically(target) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_the_new_file_replaces_the_old_one_and_folders_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "table.csv"
    for text in ("first", "second"):
        with replace_atomically(target) as temporary:
            assert temporary.suffix == ".csv"
            temporary.write_text(text, encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "second"


def test_a_folder_that_cannot_be_written_to_is_told_by_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str, mode: int = 0) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), name)

    monkeypatch.setattr(os, "mkdir", refused)
    with pytest.raises(OSError, match="Read-only") as caught, replace_atomically(tmp_path / "table.csv"):
        pass
    assert caught.value.filename == str(tmp_path / "table.csv")


def test_the_newest_run_is_found_at_any_depth(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "demo/old", "study/seed0/older")):
        config = tmp_path / name / "config.yaml"
        config.parent.mkdir(parents=True)
        config.touch()
        os.utime(config, (1000 - age, 1000 - age))
    assert newest_run(tmp_path).path == tmp_path / "new"


def test_a_stage_is_part_of_its_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "lws")
    first = RunDirectory(run.stages / "1-erm")
    for age, place in enumerate((first, run)):
        place.path.mkdir(parents=True, exist_ok=True)
        place.config.touch()
        os.utime(place.config, (1000 - age, 1000 - age))
    assert newest_run(tmp_path).path == run.path
    assert (run.title, first.title) == ("lws", "lws/1-erm")
    own = RunDirectory(tmp_path / "stages" / "erm")  # a folder of the user's own with this name
    own.path.mkdir(parents=True)
    own.config.touch()
    assert (newest_run(tmp_path).path, own.title) == (own.path, "erm")
    before = run.can_go_on
    first.checkpoints.mkdir()
    first.state.touch()
    assert (before, run.can_go_on, first.can_go_on) == (False, True, True)


def test_no_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run found below .*nctools train mlc_nc"):
        newest_run(tmp_path)


@pytest.mark.parametrize("named", [False, True])
def test_a_full_disk_is_told_by_the_target_and_leaves_the_old_file(tmp_path: Path, named: bool) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old", encoding="utf-8")

    def fill() -> None:
        with replace_atomically(target) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([str(temporary)] if named else []))

    with pytest.raises(OSError, match=r"No space left on device: '.*/table.csv'$") as caught:
        fill()
    assert caught.value.filename == str(target)
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replace_atomically(tmp_path / "table.csv"):
        (tmp_path / "source.csv").read_text(encoding="utf-8")
    assert caught.value.filename == str(tmp_path / "source.csv")


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with replace_atomically(tmp_path / "last.pt") as temporary:
        temporary.write_text("half", encoding="utf-8")
        shutil.copytree(temporary.parent, tmp_path / "copy")
    (tmp_path / "last.pt").unlink()
    (tmp_path / "copy").rename(temporary.parent)  # as if it had been killed here
    kept = [
        ".hidden",
        ".last.pt.12345678",
        ".lock",
        ".other.pt.abcdefgh/mine.txt",
        ".x.pt.abcdefgh/x.pt/deep",
        "last.pt",
    ]
    for name in kept[:1] + kept[2:]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / kept[1]).write_text("a file", encoding="utf-8")
    (tmp_path / ".empty.csv.a_b_c_d_").mkdir()
    remove_half_written(tmp_path)
    remove_half_written(tmp_path / "nowhere")
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted(kept)
