"""A split file comes back as it was written; what is wrong with one is said with its place."""

from __future__ import annotations

import json
import string
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nctools.data.split_file import SplitFile, is_split_file, load_split, save_split
from nctools.errors import DatasetError


def labels_of(*rows: str) -> NDArray[np.uint8]:
    """Rows such as "011"."""
    return np.array([[int(value) for value in row] for row in rows], dtype=np.uint8)


def small_split() -> SplitFile:
    return SplitFile(
        name="small",
        source="voc",
        class_names=["cat", "dog", "Kuh ü"],
        ids=["2008_000023", "2008_000024", "b/ä.jpg"],
        labels=labels_of("110", "000", "001"),
        full_labels=labels_of("111", "010", "001"),
        groups={"head": [0], "tail": [1, 2]},
        made_by={"alpha": 6.0, "seed": 0, "files": [{"name": "img_id.txt"}], "ok": True, "nothing": None},
        notes=["two labels were dropped"],
    )


def assert_same(one: SplitFile, other: SplitFile) -> None:
    for entry in fields(SplitFile):
        a, b = getattr(one, entry.name), getattr(other, entry.name)
        if isinstance(a, np.ndarray):
            assert isinstance(b, np.ndarray)
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b
            assert type(a) is type(b)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def splits(draw: st.DrawFn) -> SplitFile:
    ids = draw(st.lists(texts, min_size=1, max_size=6, unique=True))
    names = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
    bits = st.lists(st.integers(0, 1), min_size=len(ids) * len(names), max_size=len(ids) * len(names))
    full = np.array(draw(bits), dtype=np.uint8).reshape(len(ids), len(names))
    kept = np.array(draw(bits), dtype=np.uint8).reshape(len(ids), len(names))
    members = st.lists(st.integers(0, len(names) - 1), max_size=len(names), unique=True)
    groups = st.none() | st.dictionaries(texts.filter(lambda name: name != "all"), members, max_size=3)
    return SplitFile(
        name=draw(texts),
        source=draw(texts),
        class_names=names,
        ids=ids,
        labels=full * kept,
        full_labels=full if draw(st.booleans()) else None,
        groups=draw(groups),
        made_by=draw(st.dictionaries(texts, plain, max_size=3)),
        notes=draw(st.lists(texts, max_size=2)),
    )


@given(splits())
@settings(max_examples=80, deadline=None)
def test_what_is_saved_is_loaded(split: SplitFile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.json"
        save_split(split, path)
        assert is_split_file(path)
        assert_same(load_split(path), split)
        assert [file.name for file in Path(folder).iterdir()] == ["split.json"]


def test_the_file_has_a_line_for_each_image_and_its_format_first(tmp_path: Path) -> None:
    save_split(small_split(), tmp_path / "new" / "split.json")
    lines = (tmp_path / "new" / "split.json").read_text(encoding="utf-8").splitlines()
    assert lines[1:3] == ['  "format": "nctools-split",', '  "format_version": 1,']
    assert '    {"id": "2008_000023", "labels": [0, 1], "full_labels": [0, 1, 2]},' in lines
    assert lines[-3:] == ['    {"id": "b/ä.jpg", "labels": [2], "full_labels": [2]}', "  ]", "}"]
    assert len(lines) == 1 + 8 + 1 + 3 + 2


def test_class_counts_and_length() -> None:
    assert small_split().class_counts == [1, 1, 1]
    assert len(small_split()) == 3


def test_groups_become_plain_lists() -> None:
    split = replace(small_split(), groups={"head": (np.int64(2),)})  # type: ignore[dict-item]
    assert split.groups == {"head": [2]}
    assert type(split.groups["head"][0]) is int


def test_an_existing_file_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text("mine")
    with pytest.raises(DatasetError, match=r"split\.json exists already: pass force=True \(--force\)"):
        save_split(small_split(), path)
    assert path.read_text() == "mine"
    save_split(small_split(), path, force=True)
    assert load_split(path).name == "small"
    with pytest.raises(DatasetError, match="exists already and is a folder: name a file"):
        save_split(small_split(), tmp_path, force=True)
    with pytest.raises(DatasetError, match="cannot be written: "):
        save_split(small_split(), path / "below.json")


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"name": ""}, ValueError, "`name`: an empty text"),
        ({"source": 3}, TypeError, "`source`: 3 is no text"),
        ({"class_names": ("cat", "dog", "cow")}, TypeError, "`class_names`: a tuple; it must be a list"),
        (
            {"class_names": ["cat", "dog", "cat"]},
            ValueError,
            "`class_names`, entry 3: 'cat' stands there before, as .* 1",
        ),
        ({"ids": ["a", "a", "b"]}, ValueError, "`ids`, entry 2: 'a' stands there before, as entry 1"),
        ({"ids": ["a", "", "b"]}, ValueError, "`ids`, entry 2: an empty text"),
        ({"ids": ["a", "\ud800", "b"]}, ValueError, "entry 2: .* cannot be written as UTF-8"),
        ({"ids": []}, ValueError, "`ids`: the list is empty"),
        ({"labels": labels_of("110", "000")}, ValueError, r"`labels`: shape \[2, 3\], but there are 3 ids, 3 classes"),
        ({"labels": np.zeros((3, 3))}, TypeError, "`labels`: float64; it must be an array of uint8"),
        ({"labels": [[0]]}, TypeError, "`labels`: list; it must be an array of uint8"),
        ({"labels": labels_of("110", "020", "001")}, ValueError, r'image 2 \("2008_000024"\): labels hold 2 for .dog.'),
        ({"full_labels": labels_of("111", "010", "003")}, ValueError, r'image 3 \("b/ä.jpg"\): full_labels hold 3'),
        (
            {"full_labels": labels_of("111", "010", "110")},
            ValueError,
            r"image 3 .* has the label 'Kuh ü', which its full",
        ),
        ({"groups": {"tail": [3]}}, ValueError, "`groups`: group 'tail' holds class 3, but there are 3 classes"),
        ({"groups": {"tail": ["cat"]}}, TypeError, "`groups`: group 'tail' holds 'cat'"),
        ({"made_by": {"a": {"b": (1,)}}}, TypeError, "`made_by`, 'a', 'b': a tuple; give plain"),
        ({"made_by": {"a": [np.int64(1)]}}, TypeError, "`made_by`, 'a': a int64; give plain"),
        ({"made_by": {"a": float("nan")}}, ValueError, "`made_by`, 'a': nan, which JSON cannot say"),
        ({"made_by": {1: 2}}, TypeError, "`made_by`, a key: 1 is no text"),
        ({"made_by": [1]}, TypeError, "`made_by`: a list; it must be a dict"),
        ({"notes": [7]}, TypeError, "`notes`: 7 is no text"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        replace(small_split(), **change)  # type: ignore[arg-type]


def document() -> dict[str, object]:
    return {
        "format": "nctools-split",
        "format_version": 1,
        "name": "small",
        "source": "voc",
        "class_names": ["cat", "dog"],
        "images": [{"id": "a", "labels": [0]}, {"id": "2008_000023", "labels": [1]}],
    }


def test_a_file_by_hand_needs_four_things_only(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(document(), indent=4, sort_keys=True).encode())
    split = load_split(path)
    assert is_split_file(path)
    assert split.groups is None
    assert split.full_labels is None
    assert split.notes == []
    np.testing.assert_array_equal(split.labels, labels_of("10", "01"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, 'is no split file: it does not say "format": "nctools-split"'),
        ({"format_version": 2}, "is a split file of version 2; this nctools reads version 1"),
        ({"format_version": True}, "of version True"),
        ({"format_version": None}, "of version None"),
        ({"x": 1}, r"split\.json, top level: unknown key 'x'; there are format"),
        ({"name": None}, r"split\.json, `name`: None is no text"),
        ({"images": {}}, "`images` and `class_names` must be lists"),
        ({"images": []}, "`ids`: the list is empty"),
        ({"images": [7]}, "image 1: it must have the keys id, labels and no other"),
        ({"images": [{"id": "a", "labels": []}, {"id": "b"}]}, "image 2: it must have the keys id, labels and no"),
        (
            {"images": [{"id": "a", "labels": [], "full_labels": []}, {"id": "b", "labels": []}]},
            "image 2: it must have the keys id, labels, full_labels and no other",
        ),
        (
            {"images": [{"id": "2008_000023", "labels": [2]}]},
            r'json, image 1 \("2008_000023"\): labels hold class 2, but',
        ),
        ({"images": [{"id": "a", "labels": [-1]}]}, "labels hold class -1, but there are 2, counted from 0"),
        ({"images": [{"id": "a", "labels": [1, 0, 1]}]}, "labels hold class 1 twice"),
        ({"images": [{"id": "a", "labels": [True]}]}, r"labels are \[True\]; they must be a list of class indices"),
        ({"images": [{"id": "a", "labels": "0"}]}, "labels are 0; they must be a list"),
        ({"images": [{"id": 7, "labels": []}]}, "`ids`, entry 1: 7 is no text"),
        (
            {"images": [{"id": "a", "labels": [0], "full_labels": [1]}]},
            "has the label 'cat', which its full labels lack",
        ),
        ({"images": document()["images"], "groups": {"all": [0]}}, "`groups`: group name 'all' is not allowed"),
        ({"groups": [1]}, "`groups`: groups are a list"),
        ({"made_by": None}, "`made_by`: a NoneType"),
        ({"class_names": ["cat", 3]}, "`class_names`, entry 2: 3 is no text"),
    ],
)
def test_errors_of_a_file_name_it_and_the_place(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(document() | change))
    with pytest.raises(DatasetError, match=message) as caught:
        load_split(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (json.dumps(document()).encode()[:-20], "is not valid JSON .*was it cut off"),
        (b"[]", "is no split file"),
        (b"\xff\xfe{", "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
        (b'{"format": "nctools-split", "format": "nctools-split"}', "the key 'format' occurs more than once"),
        (b'{"format": "nctools-split", "format_version": 1}', "the key 'name' is missing"),
        (
            b'{"format": "nctools-split", "format_version": 1, "name": "a", "source": "b", "class_names": ["c"], '
            b'"images": [{"id": "a", "labels": []}], "made_by": {"x": 1e999}}',
            "`made_by`, 'x': inf",
        ),
    ],
)
def test_files_that_are_no_split_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        load_split(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.json does not exist: give a split file"):
        load_split(tmp_path / "a.json")
    with pytest.raises(DatasetError, match="cannot be read: "):
        load_split(tmp_path)
    assert not is_split_file(tmp_path / "a.json")
    assert not is_split_file(tmp_path)


@pytest.mark.parametrize("content", ["", "id,cat\n", '{"images": []}', '{"format": "nctools-splits"}', "\x80\x02}"])
def test_other_files_are_not_taken_for_split_files(content: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(content, encoding="latin1")
    assert not is_split_file(tmp_path / "a")


def test_three_hundred_damaged_files_load_or_are_refused(tmp_path: Path) -> None:
    save_split(small_split(), tmp_path / "split.json")
    content = (tmp_path / "split.json").read_bytes()
    letters = string.printable.encode() + b"\xff\x00"
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.json"
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[place] = letters[rng.integers(0, len(letters))]
        path.write_bytes(bytes(damaged[: rng.integers(1, len(damaged)) if rng.random() < 0.2 else None]))
        is_split_file(path)
        try:
            assert load_split(path).labels.shape[0] == 3
        except DatasetError as error:
            assert str(path) in str(error)  # noqa: PT017 - most of them are refused, some are not
