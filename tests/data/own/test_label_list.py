from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nctools.data.annotations import Annotations
from nctools.data.own.label_list import read_label_list, read_numbered_list
from nctools.errors import DatasetError
from tests.data.broken_files import mutations


def read(folder: Path, text: str, num_classes: int | None = None) -> Annotations:
    path = folder / "list.txt"
    path.write_bytes(text.encode())
    names = None if num_classes is None else [f"class {index}" for index in range(num_classes)]
    return read_label_list(path, class_names=names)


def told(found: Annotations, folder: Path) -> list[str]:
    return [str(problem).removeprefix(f"{folder / 'list.txt'}, ") for problem in found.problems]


def test_lines_as_lmpt_writes_them(tmp_path: Path) -> None:
    found = read(
        tmp_path, "VOC2007/JPEGImages/000001.jpg 14 11  \r\nVOC2007/JPEGImages/000004.jpg 6 \r\n\r\nb.jpg\r\n", 20
    )
    assert (found.name, found.root, found.problems) == ("list", tmp_path, [])
    assert found.ids == found.files == ["VOC2007/JPEGImages/000001.jpg", "VOC2007/JPEGImages/000004.jpg", "b.jpg"]
    assert found.labels.shape == (3, 20)
    assert [row.nonzero()[0].tolist() for row in found.labels] == [[11, 14], [6], []]
    assert found.class_names[14] == "class 14"


def test_names_of_classes_are_their_indices_if_none_are_given(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeffa.jpg\t2\t0\nb.jpg 2 2")
    assert found.class_names == ["0", "1", "2"]
    assert found.labels.tolist() == [[1, 0, 1], [0, 0, 1]]
    assert read_label_list(tmp_path / "list.txt", root=tmp_path / "x").root == tmp_path / "x"


@pytest.mark.parametrize(
    ("line", "file", "labels"),
    [
        ("my images/a  b.jpg 1 0", "my images/a  b.jpg", [0, 1]),
        ("photo (2).JPEG", "photo (2).JPEG", []),
        ("photo 2.png 2", "photo 2.png", [2]),
        ("000012 1", "000012", [1]),
        ("  x.jpg   0  ", "x.jpg", [0]),
        ("x.jpg +1 0002", "x.jpg", [1, 2]),
        ("2008_000023 2 1", "2008_000023", [1, 2]),
    ],
)
def test_whole_numbers_at_the_end_are_labels_and_the_rest_is_the_path(
    tmp_path: Path, line: str, file: str, labels: list[int]
) -> None:
    found = read(tmp_path, f"{line}\nother.jpg 2\n")
    assert (found.ids, found.problems) == ([file, "other.jpg"], [])
    assert found.labels[0].nonzero()[0].tolist() == labels


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.jpg 3", "line 2: class index 3 is not from 0 to 2"),
        ("a.jpg -1", "line 2: class index -1 is negative"),
        ("a.jpg 1 cat", "line 2: 'cat' is no class index: whole numbers follow the path of the image"),
        ("a.jpg 1.5", "line 2: '1.5' is no class index"),
        ("a.jpg 1 x 2", "line 2: 'x' is no class index"),
        ("a.jpg 1,2", "line 2: '1,2' is no class index"),
        ("first.jpg 1", "line 2: 'first.jpg' was listed before, at line 1"),
        ("a\0.jpg 1", "line 2: 'a\\x00.jpg' is no path of a file"),
        ("a.jpg 99999999999999999999999", "line 2: class index 99999999999999999999999 is not from 0 to 2"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, line: str, problem: str) -> None:
    found = read(tmp_path, f"first.jpg 0\n{line}\nlast.jpg 2\n", 3)
    assert len(found.problems) == 1
    assert told(found, tmp_path)[0].startswith(problem)
    assert found.labels[0].tolist() == [1, 0, 0]
    assert found.labels[-1].tolist() == [0, 0, 1]


def test_an_identifier_is_no_class(tmp_path: Path) -> None:
    assert told(read(tmp_path, "a.jpg 0 20261121\n"), tmp_path) == [
        "line 1: class index 20261121 is too large for a class"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty \(0 bytes\)"),
        ("  \n\n", r"is empty \(4 bytes\)"),
        ("000001\n000002\n", "has no class index on any line; the first is '000001'; each line must be <path of an"),
        ("image,label\na.jpg,1\n", "has no class index on any line; the first is 'image,label'"),
        ('{"a.jpg": [0, 1]}', r"no class index that can be read \(.*line 1: '1\]\}' is no class index"),
        ("a.jpg -1\n", "class index -1 is negative"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, text)


def test_a_line_of_a_million_words_takes_no_time(tmp_path: Path) -> None:
    found = read(tmp_path, "a.jpg" + " 1" * 1_000_000 + " x " + "2 " * 1000 + "\nb.jpg 1\n")
    assert told(found, tmp_path)[0] == "line 1: 'x' is no class index: whole numbers follow the path of the image"


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z ]{0,3}[a-z]/[a-z0-9]{1,4}\.jpg", fullmatch=True).map(str.strip),
                       st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=8))  # fmt: skip
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, images: dict[str, list[int]]) -> None:
    images["last.jpg"] = [3]
    text = "".join(" ".join([file, *map(str, labels)]) + "\n" for file, labels in images.items())
    found = read(tmp_path_factory.getbasetemp(), text, 7)
    assert (found.ids, found.problems) == (list(images), [])
    expected = [[int(index in labels) for index in range(7)] for labels in images.values()]
    np.testing.assert_array_equal(found.labels, expected)


def test_a_hundred_mutated_lists_are_read_or_refused(tmp_path: Path) -> None:
    content = "".join(f"VOC2007/JPEGImages/{number:06d}.jpg {number % 3} {number % 5} \n" for number in range(12))
    path = tmp_path / "list.txt"
    read_well = 0
    for mutated in mutations(content.encode(), 100, seed=2):
        path.write_bytes(mutated)
        try:
            found = read_label_list(path)
        except DatasetError:
            continue
        read_well += 1
        assert found.labels.shape == (len(found.ids), len(found.class_names))
        "".join(map(str, found.problems)).encode()
    assert read_well > 30


def test_the_line_of_each_image_is_known(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\na.jpg 0\na.jpg 1\n\0.jpg 1\nb c.jpg 1\n")
    found, lines = read_numbered_list(tmp_path / "list.txt")
    assert (found.ids, lines) == (["a.jpg", "b c.jpg"], [2, 5])
