from __future__ import annotations

from pathlib import Path

import pytest

from nctools.data.own.folder_walk import folder_called, images_in, is_file
from nctools.errors import DatasetError


def test_a_folder_is_found_whatever_the_case_of_its_letters(tmp_path: Path) -> None:
    for name in ("Images", "JPEGImages", ".annotations"):
        (tmp_path / name).mkdir()
    (tmp_path / "labels").touch()
    assert folder_called(tmp_path, "jpegimages", "images") == tmp_path / "JPEGImages"
    assert folder_called(tmp_path, "pictures", "images") == tmp_path / "Images"
    assert folder_called(tmp_path, "annotations") is folder_called(tmp_path, "labels") is None
    with pytest.raises(DatasetError, match="nowhere cannot be read"):
        folder_called(tmp_path / "nowhere", "images")


def test_images_are_files_that_are_not_hidden(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", ".c.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert images_in(tmp_path) == ["a.png", "b.JPG"]
    assert images_in(tmp_path / "nowhere") == []


def test_names_that_lead_nowhere_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    names = ["a", "b", "circle", "x" * 5000, "zero\0", "."]
    assert [is_file(tmp_path / name) for name in names] == [True, False, False, False, False, False]
