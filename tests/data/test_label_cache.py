"""Annotations are kept and found again only for the same files; a damaged or strange file is made anew."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nctools.data import label_cache
from nctools.data.annotations import Annotations, Problem
from nctools.data.label_cache import cached_annotations
from nctools.data.sets.voc import voc_annotations
from nctools.data.sets.voc_folders import find_voc_set
from tests.data.voc_tree import make_voc_tree


@dataclass
class Maker:
    """Makes annotations of ``root`` and counts how often."""

    root: Path
    made: int = 0
    doubtful: bool = True
    problems: int = 0

    def __call__(self) -> Annotations:
        self.made += 1
        labels = np.array([[1, 0, 1], [0, 1, 0]], np.uint8)
        return Annotations(
            *("pets", ["cat", "Käfer", "猫"], ["a", "b"]),
            *(self.root, ["images/a.jpg", "images/b.jpg"], labels),
            labels & np.array([1, 0, 0], np.uint8) if self.doubtful else None,
            [Problem("a.xml", "is wrong")] * self.problems,
        )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "Annotations").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "Annotations" / f"{name}.xml").write_text(name)
    (folder / "list.txt").write_text("a\nb\n")
    return folder


def keep(make: Callable[[], Annotations], data: Path, folder: Path | None, kind: str = "pets") -> Annotations:
    sources = [data / "list.txt", data / "Annotations"]
    return cached_annotations(make, kind=kind, sources=sources, folder=folder, at_least_seconds=0)


def assert_same(found: Annotations, wanted: Annotations) -> None:
    assert (found.name, found.class_names, found.ids) == (wanted.name, wanted.class_names, wanted.ids)
    assert (found.root, found.files, found.problems) == (wanted.root, wanted.files, wanted.problems)
    for mask, other in ((found.labels, wanted.labels), (found.doubtful, wanted.doubtful)):
        assert (mask is None) == (other is None)
        if mask is not None and other is not None:
            assert mask.dtype == np.uint8
            np.testing.assert_array_equal(mask, other)


@pytest.mark.parametrize("doubtful", [True, False])
def test_what_is_kept_comes_back(doubtful: bool, data: Path, tmp_path: Path) -> None:
    make = Maker(data, doubtful=doubtful)
    first = keep(make, data, tmp_path / "cache")
    assert_same(keep(make, data, tmp_path / "cache"), first)
    assert_same(keep(make, data, tmp_path / "cache"), Maker(data, doubtful=doubtful)())
    assert make.made == 1
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".npz"]
    assert sorted(path.name for path in data.iterdir()) == ["Annotations", "list.txt"]


def touch(data: Path) -> None:
    os.utime(data / "Annotations" / "a.xml", ns=(0, 1))


def lengthen(file: Path) -> None:
    """Change the size alone."""
    status = file.stat()
    file.write_text(f"{file.read_text()}c\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def lengthen_list(data: Path) -> None:
    lengthen(data / "list.txt")


def lengthen_entry(data: Path) -> None:
    lengthen(data / "Annotations" / "a.xml")


def rename(data: Path) -> None:
    (data / "Annotations" / "a.xml").rename(data / "Annotations" / "c.xml")


def add(data: Path) -> None:
    (data / "Annotations" / "link.xml").symlink_to(data / "gone")


@pytest.mark.parametrize("change", [touch, lengthen_list, lengthen_entry, rename, add])
def test_any_change_of_the_sources_is_seen(change: Callable[[Path], None], data: Path, tmp_path: Path) -> None:
    make = Maker(data)
    keep(make, data, tmp_path / "cache")
    change(data)
    keep(make, data, tmp_path / "cache")
    assert make.made == 2
    keep(make, data, tmp_path / "cache")
    assert (make.made, len(list((tmp_path / "cache").iterdir()))) == (2, 2)


def test_another_kind_or_format_is_kept_apart(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker(data)
    for kind in ("pets", "pets, lists", "pets"):
        keep(make, data, tmp_path / "cache", kind)
    assert make.made == 2
    monkeypatch.setattr(label_cache, "_FORMAT", 2)
    keep(make, data, tmp_path / "cache")
    assert make.made == 3


def test_data_that_were_moved_are_known_again_at_their_new_place(data: Path, tmp_path: Path) -> None:
    keep(Maker(data), data, tmp_path / "cache")
    moved = tmp_path / "elsewhere" / "data"
    moved.parent.mkdir()
    shutil.move(data, moved)
    make = Maker(data)
    found = keep(make, moved, tmp_path / "cache")
    assert (make.made, found.root) == (0, moved)


def test_relative_paths_stay_relative(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make = Maker(Path("data"))
    for _ in range(2):
        assert keep(make, Path("data"), tmp_path / "cache").root == Path("data")
    assert make.made == 1


def test_a_root_that_is_gone_is_looked_for_anew(data: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    make = Maker(tmp_path / "images")
    keep(make, data, tmp_path / "cache")
    (tmp_path / "images").rmdir()
    keep(make, data, tmp_path / "cache")
    assert make.made == 2


def test_nothing_is_kept_without_a_folder_or_sources(data: Path, tmp_path: Path) -> None:
    make = Maker(data)
    for _ in range(2):
        keep(make, data, None)
        cached_annotations(make, kind="pets", sources=[], folder=tmp_path / "cache", at_least_seconds=0)
        cached_annotations(make, kind="pets", sources=[data / "gone"], folder=tmp_path / "cache", at_least_seconds=0)
    assert make.made == 6
    assert not (tmp_path / "cache").exists()


def test_quick_ones_and_those_with_problems_are_not_kept(data: Path, tmp_path: Path) -> None:
    keep(Maker(data, problems=1), data, tmp_path / "cache")
    cached_annotations(Maker(data), kind="pets", sources=[data], folder=tmp_path / "cache", at_least_seconds=60)
    assert not (tmp_path / "cache").exists()


def test_an_error_of_the_reader_is_passed_on(data: Path, tmp_path: Path) -> None:
    def make() -> Annotations:
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        keep(make, data, tmp_path / "cache")


def test_a_folder_that_cannot_be_written_is_no_error(data: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    make = Maker(data)
    for _ in range(2):
        assert_same(keep(make, data, tmp_path / "cache"), Maker(data)())
    assert make.made == 2


def kept_file(data: Path, tmp_path: Path) -> Path:
    keep(Maker(data), data, tmp_path / "cache")
    return next((tmp_path / "cache").iterdir())


def test_a_damaged_file_is_made_anew_and_replaced(data: Path, tmp_path: Path) -> None:
    file = kept_file(data, tmp_path)
    good = file.read_bytes()
    generator = random.Random(0)
    damaged = [b"", b"PK", b"no zip", good[:-1], good[: len(good) // 2], b"\x80\x04K\x01."]
    for _ in range(100):
        flipped = bytearray(good)
        flipped[generator.randrange(len(good))] ^= 1 << generator.randrange(8)
        damaged.append(bytes(flipped))
    for content in damaged:
        file.write_bytes(content)
        make = Maker(data)
        # A bit in a field that says nothing (a date) may be flipped: then the labels are the same.
        assert_same(keep(make, data, tmp_path / "cache"), Maker(data)())
        assert make.made == 0 or file.read_bytes() != content
    file.write_bytes(b"")
    make = Maker(data)
    for _ in range(2):
        keep(make, data, tmp_path / "cache")
    assert make.made == 1


Parts = dict[str, NDArray[np.generic]]


def text_with(**changes: object) -> Callable[[Parts], Parts]:
    def change(parts: Parts) -> Parts:
        text = json.loads(parts["text"].tobytes()) | changes
        return parts | {"text": np.frombuffer(json.dumps(text).encode(), np.uint8)}

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts | {"more": np.zeros(1)},
        lambda parts: {name: part for name, part in parts.items() if name != "doubtful"},
        lambda parts: parts | {"labels": parts["labels"].astype(np.int64)},
        lambda parts: parts | {"labels": parts["labels"] * np.uint8(2)},
        lambda parts: parts | {"labels": parts["labels"][:1]},
        lambda parts: parts | {"labels": parts["labels"].ravel()},
        lambda parts: parts | {"doubtful": parts["doubtful"][:, :2]},
        lambda parts: parts | {"labels": np.array([{}], dtype=object)},
        lambda parts: parts | {"text": np.frombuffer(b"[1]", np.uint8)},
        lambda parts: parts | {"text": np.frombuffer(b"{", np.uint8)},
        text_with(key="0" * 64),
        text_with(ids=["a", "a"]),
        text_with(ids=["a", 1]),
        text_with(ids="ab"),
        text_with(class_names=["cat", "cat", "dog"]),
        text_with(files=["a.jpg"]),
        text_with(root=1),
        text_with(root="../gone"),
        text_with(name=None),
        text_with(more=1),
    ],
)
def test_a_file_of_another_form_is_made_anew(change: Callable[[Parts], Parts], data: Path, tmp_path: Path) -> None:
    file = kept_file(data, tmp_path)
    with np.load(file) as archive:
        parts = change({name: archive[name] for name in archive.files})
    np.savez_compressed(file, allow_pickle=True, **parts)
    make = Maker(data)
    assert_same(keep(make, data, tmp_path / "cache"), Maker(data)())
    assert make.made == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    ids=st.lists(st.text(max_size=5), unique=True, max_size=4),
    class_names=st.lists(st.text(max_size=5), unique=True, max_size=4),
    bits=st.integers(0, 2**16 - 1),
)
def test_any_texts_and_labels_come_back(
    ids: list[str], class_names: list[str], bits: int, data: Path, tmp_path: Path
) -> None:
    shape = (len(ids), len(class_names))
    labels = (bits >> np.arange(16)[: shape[0] * shape[1]] & 1).astype(np.uint8).reshape(shape)
    wanted = Annotations("any", class_names, ids, data, [f"{name}.jpg" for name in ids], labels)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    for _ in range(2):
        assert_same(keep(lambda: wanted, data, tmp_path / "cache"), wanted)
    assert_same(keep(lambda: replace(wanted, name="made anew"), data, tmp_path / "cache"), wanted)


def test_annotations_of_voc_are_kept(tmp_path: Path) -> None:
    tree = make_voc_tree(tmp_path / "voc")
    made = []

    def make() -> Annotations:
        made.append(1)
        return voc_annotations(tree.root, "2007", "test")

    def read() -> Annotations:
        sources = find_voc_set(tree.root, "2007", "test").label_sources
        cache = tmp_path / "cache"
        return cached_annotations(make, kind="VOC2007 test", sources=sources, folder=cache, at_least_seconds=0)

    assert_same(read(), voc_annotations(tree.root, "2007", "test"))
    assert_same(read(), voc_annotations(tree.root, "2007", "test"))
    assert len(made) == 1
    (tree.voc2007 / "Annotations" / "000001.xml").write_text("<annotation/>")
    assert read().labels[0].sum() == 0
