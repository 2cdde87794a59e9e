from __future__ import annotations

import os
from pathlib import Path

import pytest

from nctools.data.folder_search import file_names, files_in, folders_below, is_filled
from nctools.errors import DatasetError


def names(folders: list[Path], root: Path) -> list[str]:
    return [folder.relative_to(root).as_posix() for folder in folders]


def test_the_nearest_come_first_and_each_level_is_sorted(tmp_path: Path) -> None:
    for name in ("b/x/deep", "a/y", "a/images/inside", ".hidden/z"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert names(folders_below(tmp_path, 0), tmp_path) == ["."]
    assert names(folders_below(tmp_path, 2), tmp_path) == [".", "a", "b", "a/images", "a/y", "b/x"]
    found = folders_below(tmp_path, 3, closed={"images"})
    assert names(found, tmp_path) == [".", "a", "b", "a/images", "a/y", "b/x", "b/x/deep"]
    assert names(folders_below(tmp_path / "a" / "images", 1, closed={"images"}), tmp_path) == [
        "a/images", "a/images/inside",
    ]  # fmt: skip


def test_links_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "data" / "coco").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "data")
    (tmp_path / "root" / "linked again").symlink_to(tmp_path / "data")
    (tmp_path / "root" / "up").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "root" / "itself").symlink_to(tmp_path / "root" / "itself")
    found = folders_below(tmp_path / "root", 5)
    assert names(found, tmp_path / "root") == [".", "linked", "linked/coco"]


def test_folders_that_may_not_be_read_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lost+found/x", "open"):
        (tmp_path / name).mkdir(parents=True)
    # Root may read every folder, so that rights alone would not do.
    monkeypatch.setattr(os, "access", lambda path, mode: "lost" not in str(path) or Path(path) == tmp_path)
    assert names(folders_below(tmp_path, 2), tmp_path) == [".", "open"]
    with pytest.raises(DatasetError, match=r"lost\+found cannot be read"):
        folders_below(tmp_path / "lost+found", 2)


def test_a_folder_is_filled_if_something_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert [is_filled(tmp_path), is_filled(tmp_path / "a"), is_filled(tmp_path / "b")] == [True, False, False]


def test_files_by_suffix_whatever_its_case(tmp_path: Path) -> None:
    for name in ("b.csv", "A.CSV", "c.tsv", "d.json", ".e.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.csv").mkdir()
    assert [path.name for path in files_in(tmp_path, ".csv", ".tsv")] == ["A.CSV", "b.csv", "c.tsv"]
    (tmp_path / "itself.csv").symlink_to(tmp_path / "itself.csv")
    assert [path.name for path in files_in(tmp_path, ".csv", ".tsv")] == ["A.CSV", "b.csv", "c.tsv"]
    assert file_names(tmp_path) == [".e.csv", "A.CSV", "b.csv", "c.tsv", "d.json"]
    assert (files_in(tmp_path / "nowhere", ".csv"), file_names(tmp_path / "nowhere")) == ([], [])


def test_a_root_that_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        folders_below(tmp_path / "nowhere", 1)
