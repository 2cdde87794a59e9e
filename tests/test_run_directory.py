"""Files appear whole or not at all; the newest run is the one whose configuration was written last."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nctools.errors import ConfigError
from nctools.run_directory import newest_run, replace_atomically


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


def test_no_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run found below .*nctools train mlc_nc"):
        newest_run(tmp_path)
