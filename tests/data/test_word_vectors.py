"""Word vectors in text: names are put together out of words, whatever the case and the links between them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from nctools.data.word_vectors import read_word_vectors
from nctools.errors import DatasetError

GLOVE = "the 1 0 0\ntraffic 2 0 0\nlight 0 4 0\ndining 1 1 1\ntable 3 1 -1\ncat -1e-1 .5 2\ntv 1 0 1\nmonitor 1 2 1\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def reference(text: str, words: list[str]) -> list[float]:
    rows = [[float(value) for value in line.split()[1:]] for line in text.splitlines() if line.split()[0] in words]
    return [sum(row[place] for row in rows) / len(words) for place in range(len(rows[0]))]


@pytest.mark.parametrize("header", ["", "8 3\n"])
@pytest.mark.parametrize("name", ["traffic light", "Traffic_Light", " traffic-light ", "TRAFFIC  LIGHT"])
def test_a_name_of_several_words_is_their_mean(header: str, name: str, tmp_path: Path) -> None:
    found = read_word_vectors(written(tmp_path / "glove.txt", header + GLOVE), ["cat", name])
    np.testing.assert_allclose(found, [reference(GLOVE, ["cat"]), reference(GLOVE, ["traffic", "light"])])


def test_names_that_voc_writes_as_one_word_are_spelled_out(tmp_path: Path) -> None:
    found = read_word_vectors(written(tmp_path / "glove.txt", GLOVE), ["diningtable", "tvmonitor"])
    expected = [reference(GLOVE, ["dining", "table"]), reference(GLOVE, ["tv", "monitor"])]
    np.testing.assert_allclose(found, expected)


def test_an_entry_for_the_whole_name_comes_before_its_words(tmp_path: Path) -> None:
    file = written(tmp_path / "w.vec", GLOVE + "traffic_light 9 9 9\ndiningtable 7 7 7\n")
    np.testing.assert_array_equal(read_word_vectors(file, ["traffic light", "diningtable"]), [[9] * 3, [7] * 3])


def test_the_case_of_the_name_comes_before_other_cases(tmp_path: Path) -> None:
    file = written(tmp_path / "w.txt", "CAT 1 1\nCat 2 2\ncat 3 3\nDOG 4 4\nDog 5 5\n")
    np.testing.assert_array_equal(read_word_vectors(file, ["Cat", "dog"]), [[2, 2], [4, 4]])
    np.testing.assert_array_equal(read_word_vectors(file, ["cat"]), [[3, 3]])


def test_words_with_blanks_and_odd_bytes_are_passed_over(tmp_path: Path) -> None:
    content = b"the 1 2\ncat name@domain.com 5 6\n\xff\xfe 1 2\n. . . 3 4\n\x85 1 2\n\ncat 7 8 \r\n"
    (tmp_path / "w.txt").write_bytes(content)
    np.testing.assert_array_equal(read_word_vectors(tmp_path / "w.txt", ["cat"]), [[7, 8]])


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (GLOVE, "cet", r"no vector for class 'cet'; did you mean cat\? Add a line"),
        (GLOVE, "zebra", r"no vector for class 'zebra'\. Add a line for it, or bring a matrix with names"),
        (GLOVE, "trafic light", r"no vector for class 'trafic light' \('trafic'\); did you mean traffic\?"),
        (GLOVE + "dog 1 2\n", "dog", r"line 9 \(dog\): 2 values instead of 3"),
        (GLOVE + "dog 1 2 x\n", "dog", r"line 9 \(dog\): could not convert string to float"),
        ("2 4\ncat 1 2 3\n", "cat", r"line 2 \(cat\): 3 values instead of 4"),
        ("cat\n", "cat", "line 1: 'cat' is no line of word vectors"),
        ('{"cat": [1, 2]}', "cat", "is no line of word vectors"),
        ("", "cat", r"is empty \(0 bytes\)"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        read_word_vectors(written(tmp_path / "w.txt", text), [name])
    assert str(tmp_path / "w.txt") in str(caught.value)


def test_binary_and_packed_files_are_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"3 2\ncat \x00\x00\x80?\x00\x00\x00\x00"[4:] + b"\n")
    (tmp_path / "w.gz").write_bytes(gzip.compress(GLOVE.encode()).replace(b"\0", b"\1"))
    with pytest.raises(DatasetError, match="is binary: give word vectors as text"):
        read_word_vectors(tmp_path / "w.bin", ["cat"])
    with pytest.raises(DatasetError, match="is packed by gzip: unpack it"):
        read_word_vectors(tmp_path / "w.gz", ["cat"])
