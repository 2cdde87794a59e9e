"""Label vectors come in the order of the data's classes, or a message says what is wrong with the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from nctools.data.label_vectors import read_label_vectors
from nctools.errors import DatasetError

NAMES = ["cat", "traffic light", "dog"]
ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]])


def safetensors(path: Path, rows: np.ndarray, names: list[str] | None) -> None:
    metadata = None if names is None else {"class_names": json.dumps(names)}
    save_file({"vectors": torch.from_numpy(rows).float().contiguous()}, path, metadata)


def npz(path: Path, rows: np.ndarray, names: list[str] | None) -> None:
    named = {} if names is None else {"class_names": np.array(names)}
    np.savez(path, vectors=rows, **named)  # type: ignore[arg-type]


def torch_file(path: Path, rows: np.ndarray, names: list[str] | None) -> None:
    tensor = torch.from_numpy(rows)
    torch.save(tensor if names is None else {"vectors": tensor, "class_names": names}, path)


WRITERS: dict[str, Callable[[Path, np.ndarray, list[str] | None], None]] = {
    "v.safetensors": safetensors,
    "v.npz": npz,
    "v.pt": torch_file,
    "v.pth": torch_file,
}


@pytest.mark.parametrize("name", list(WRITERS))
def test_named_rows_are_brought_into_the_order_of_the_classes(name: str, tmp_path: Path) -> None:
    own = ["Dog", "zebra", "Traffic_Light", "CAT"]
    WRITERS[name](tmp_path / name, np.array([[5.0, 6.5], [0.0, 0.0], [3.0, 4.0], [1.0, 2.0]]), own)
    found = read_label_vectors(tmp_path / name, NAMES)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ROWS)


@pytest.mark.parametrize("name", ["v.npy", *WRITERS])
def test_rows_without_names_are_those_of_the_classes_in_order(name: str, tmp_path: Path) -> None:
    if name == "v.npy":
        np.save(tmp_path / name, ROWS)
    else:
        WRITERS[name](tmp_path / name, ROWS, None)
    np.testing.assert_array_equal(read_label_vectors(tmp_path / name, NAMES), ROWS)


@given(order=st.permutations(range(6)))
def test_the_order_in_the_file_does_not_matter(order: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("order") / "v.npz"
    names, rows = [f"class {index}" for index in range(6)], np.arange(1.0, 13).reshape(6, 2)
    npz(path, rows[order], [names[index] for index in order])
    np.testing.assert_array_equal(read_label_vectors(path, names), rows)


def test_one_array_alone_is_the_vectors_and_integers_are_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", glove=np.array([[1, 2]], dtype=np.int64))
    torch.save(torch.ones(1, 2, dtype=torch.bfloat16), tmp_path / "v.pt")
    np.testing.assert_array_equal(read_label_vectors(tmp_path / "v.npz", ["a"]), [[1, 2]])
    np.testing.assert_array_equal(read_label_vectors(tmp_path / "v.pt", ["a"]), [[1, 1]])


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        (ROWS[:2], None, r"holds 2 vectors without names, but the data set has 3 classes"),
        (ROWS, ["cat", "trafic light", "dog"], r"no vector for class 'traffic light'; did you mean trafic light\?"),
        (ROWS, ["cat", "dog"], "holds 3 vectors but 2 names"),
        (ROWS, ["cat", "dog", "Cat"], "names 'cat' 2 times"),
        (ROWS[0], None, r"array of float64 with shape \[2\]"),
        (ROWS[:, :0], None, r"with shape \[3, 0\]"),
        (ROWS > 0, None, "an array of bool"),
        (np.where(ROWS == 4, np.nan, ROWS), None, "the vector of class 'traffic light' holds nan at place 1"),
        (np.where(ROWS == 5, 1e60, ROWS), None, "the vector of class 'dog' holds inf at place 0"),
        (ROWS * [[1], [1], [0]], None, "the vector of class 'dog' has length 0"),
    ],
)
def test_what_does_not_fit_is_named(rows: np.ndarray, names: list[str] | None, message: str, tmp_path: Path) -> None:
    npz(tmp_path / "v.npz", rows, names)
    with pytest.raises(DatasetError, match=message) as caught:
        read_label_vectors(tmp_path / "v.npz", NAMES)
    assert str(tmp_path / "v.npz") in str(caught.value)


def test_files_of_another_form_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=ROWS, b=ROWS)
    np.savez(tmp_path / "none.npz")
    torch.save({"vectors": [1.0]}, tmp_path / "list.pt")
    save_file({"vectors": torch.ones(3, 2)}, tmp_path / "names.safetensors", {"class_names": "cat, dog"})
    npz(tmp_path / "number.npz", ROWS, None)
    np.savez(tmp_path / "number.npz", vectors=ROWS, class_names=np.arange(3))
    (tmp_path / "short.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "no.safetensors").write_bytes(b"x")
    for name, message in {
        "two.npz": "holds a, b, but no `vectors`",
        "none.npz": "holds nothing, but no `vectors`",
        "list.pt": "holds a list, not vectors",
        "names.safetensors": "`class_names` in the metadata is 'cat, dog', which is no JSON",
        "number.npz": r"`class_names` is \[0, 1, 2\]: give a list of names",
        "short.npy": "cannot be read as plain numbers",
        "no.safetensors": "holds no weights: it is a text file",
        "absent.npy": "is no file: give the path of the label vectors",
        ".": "is no file",
    }.items():
        with pytest.raises(DatasetError, match=message):
            read_label_vectors(tmp_path / name, NAMES)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("name", ["evil.npy", "evil.npz", "evil.pt"])
def test_nothing_is_unpickled(name: str, tmp_path: Path) -> None:
    path, marker = tmp_path / name, tmp_path / "marker"
    content = np.array([Hostile(marker)], dtype=object)
    if name.endswith("npy"):
        np.save(path, content, allow_pickle=True)
    elif name.endswith("npz"):
        np.savez(path, vectors=content)
    else:
        torch.save({"vectors": Hostile(marker)}, path)
    with pytest.raises(DatasetError, match=name):
        read_label_vectors(path, NAMES)
    assert not marker.exists()
