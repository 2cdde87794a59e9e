"""Split files as published code pickles them are read; a pickle that names anything else is refused, unrun."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from nctools.data.published.pickles import read_published_pickle
from nctools.errors import DatasetError


def read(path: Path) -> dict[str, object]:
    return read_published_pickle(path.read_bytes(), path)


def class_freq() -> dict[str, object]:
    labels = [row.astype(np.int64) for row in (np.arange(12).reshape(4, 3) % 2)]
    counts = np.sum(labels, axis=0)
    return {
        "gt_labels": labels,
        "class_freq": counts,
        "neg_class_freq": 4 - counts,
        "condition_prob": np.asfortranarray(np.arange(9.0).reshape(3, 3) / 9),
    }


def assert_same(found: object, wanted: object) -> None:
    if isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            assert_same(found[key], value)
    elif isinstance(wanted, list):
        assert isinstance(found, list)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype == wanted.dtype
        assert found.flags.writeable
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found == wanted
        assert type(found) is type(wanted)


def with_old_names(content: bytes) -> bytes:
    """What NumPy 1 and Python 2 wrote: the same opcodes with the module names of their day."""
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("old", [True, False])
def test_a_class_freq_file(protocol: int, old: bool, tmp_path: Path) -> None:
    content = pickle.dumps(class_freq(), protocol)
    if protocol == 5:  # NumPy's own form for this protocol names a function that published files never do
        content = pickle.dumps(class_freq(), 3)
    if old and protocol == 2:
        assert b"numpy._core" in content
        content = with_old_names(content)
    (tmp_path / "class_freq.pkl").write_bytes(content)
    assert_same(read(tmp_path / "class_freq.pkl"), class_freq())


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_class_split_file_of_sets_of_numpy_scalars(protocol: int, tmp_path: Path) -> None:
    split = {
        "head": {np.int64(0), np.int64(3)},
        "middle": {np.int64(1)},
        "tail": {np.int64(2)},
        "share": np.float64(0.5),
    }
    (tmp_path / "class_split.pkl").write_bytes(pickle.dumps(split, protocol))
    found = read(tmp_path / "class_split.pkl")
    assert found == split
    assert isinstance(found["share"], np.float64)


def test_a_file_of_python_2(tmp_path: Path) -> None:
    # Protocol 2 as Python 2 wrote it: byte strings, __builtin__.set, numpy.core, and a text dtype code.
    content = (
        b"\x80\x02}q\x00(U\x04headq\x01c__builtin__\nset\nq\x02]q\x03"
        b"(cnumpy.core.multiarray\nscalar\nq\x04cnumpy\ndtype\nq\x05U\x02i8q\x06K\x00K\x01\x87q\x07Rq\x08"
        b"(K\x03U\x01<q\x09NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\nbU\x08\x07\x00\x00\x00\x00\x00\x00\x00q\x0b"
        b"\x86q\x0cRq\x0de\x85q\x0eRq\x0fu."
    )
    (tmp_path / "class_split.pkl").write_bytes(content)
    assert read(tmp_path / "class_split.pkl") == {"head": {7}}


def test_other_dtypes_and_byte_orders(tmp_path: Path) -> None:
    document = {
        "big": np.arange(3, dtype=">i4"),
        "flags": np.array([True, False]),
        "names": np.array(["cat", "dog"]),
        "small": np.arange(3, dtype=np.uint8),
        "one": np.zeros((1, 4), np.float32),
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(document, 2))
    assert_same(read(tmp_path / "a.pkl"), document)


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_file_runs_nothing_and_its_call_is_named(protocol: int, tmp_path: Path) -> None:
    path, marker = tmp_path / "class_freq.pkl", tmp_path / "marker"
    path.write_bytes(pickle.dumps(class_freq() | {"x": Hostile(marker)}, protocol))
    with pytest.raises(DatasetError, match=r"it holds the name (posix|nt)\.system"):
        read(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"x": OrderedDict(a=1)}, "the name collections.OrderedDict"),
        ({"x": np.array([{}, []], dtype=object)}, "a NumPy array of objects|dtype 'O8'"),
        ({"x": np.zeros(2, dtype=[("a", "i4")])}, "a structured NumPy dtype|dtype 'V4'"),
        ({"x": np.datetime64("2020-01-01")}, "dtype 'M8'"),
        ({"x": Path("a")}, "the name pathlib"),
        ([1, 2], "holds a list; published split files hold a dict"),
    ],
)
def test_what_published_files_never_hold_is_refused(document: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(document, 2))
    with pytest.raises(DatasetError, match=message):
        read(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a readable pickle"),
        (b"139\n285\n632\n", "it is text that begins with '139'"),
        (pickle.dumps(class_freq(), 4)[:60], "is not a readable pickle"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", "in the encoding 'rot13'"),
        (b"\x80\x02}X\x01\x00\x00\x00acnumpy\nndarray\n)\x81s.", "an array without content|array without content"),
        (b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.", "an attempt to change a function"),
        (b"\x80\x02]q\x00h\x00a.", "is not a readable pickle"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "a reference to something outside"),
    ],
)
def test_damaged_and_odd_files_are_one_clear_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        read(tmp_path / "a.pkl")
    assert "\n" not in str(caught.value)


def test_exponential_nesting_is_read_in_no_time(tmp_path: Path) -> None:
    nested: list[object] = [1]
    for _ in range(60):
        nested = [nested, nested]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": nested}, 2))
    found = read(tmp_path / "a.pkl")["a"]
    assert isinstance(found, list)
    assert found[0] is found[1]


def test_a_file_cannot_ask_for_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"}r\xff\xff\xff\x7f.")  # object number 2,147,483,647
    assert read(tmp_path / "a.pkl") == {}
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0fx.")  # 1 EB of bytes
    with pytest.raises(DatasetError, match="is not a readable pickle"):
        read(tmp_path / "a.pkl")
