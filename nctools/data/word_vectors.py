"""Files of word vectors in text (GloVe, word2vec, fastText): the vectors of the words that class names consist of.

Such files have up to millions of lines; only those of the words that are looked for are taken apart.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.text_files import read_text, shortened
from nctools.errors import DatasetError

_BREAKS = re.compile(r"[\s_-]+")
# VOC writes these as one word, which no vocabulary has.
_SPELLED_OUT = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}
# Near misses are looked for among words of the same first letter and about the same length: there may be millions.
_LENGTHS_APART = 2
_LONGEST_LINE = 2**20
# gzip, zip, bzip2, xz
_PACKED = (b"\x1f\x8b", b"PK", b"BZ", b"\xfd7")


def read_word_vectors(path: Path, class_names: Sequence[str]) -> NDArray[np.float64]:
    r"""Read the vectors of classes from ``word v1 v2 ...`` lines, with or without word2vec's first line.

    A class that the file has as a whole (``traffic_light``) gets that vector, others the mean of their words'. Where
    the file has no word in the case of the name, another case will do.

    Args:
        path: The file, in UTF-8.
        class_names: Names of the C classes.

    Returns:
        ``[C, d]``.

    Raises:
        DatasetError: If it is no such file, lacks a word, or the line of a word that is needed is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "words.txt"
        ...     _ = file.write_text("2 2\ndining 1 0\ntable 0 1\n")
        ...     read_word_vectors(file, ["diningtable"])
        array([[0.5, 0.5]])
    """
    width = _width(path)
    wanted = {key for name in class_names for key in (*_whole(name), *_words(name))}
    found: dict[str, tuple[bool, NDArray[np.float64]]] = {}
    exact = {word for name in class_names for word in (name, *_BREAKS.split(name))}
    for number, word, rest in _lines(path):
        key = word.casefold()
        if key not in wanted or (key in found and (found[key][0] or word not in exact)):
            continue
        values = rest.split()
        if len(values) > width:  # a word with a blank in it, as GloVe's largest file has
            continue
        found[key] = (word in exact, _numbers(values, width, f"{path}, line {number} ({word})"))
    vectors = {key: vector for key, (_, vector) in found.items()}
    return np.stack([_vector(name, vectors, path) for name in class_names])


def _width(path: Path) -> int:
    with path.open("rb") as stream:
        line = stream.readline(_LONGEST_LINE)
    if b"\0" in line:
        raise DatasetError(
            f"{path} is binary: give word vectors as text (`word v1 v2 ...`), "
            "or a matrix as .safetensors, .npy, .npz or .pt"
        )
    if line[:2] in _PACKED or not line.strip():
        read_text(path)  # says how it is packed, or that it is empty
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[1])
    if len(fields) < 2 or not _is_number(fields[-1]):
        shown = shortened(line.decode("utf-8", "replace").strip())
        raise DatasetError(f"{path}, line 1: {shown} is no line of word vectors (`word v1 v2 ...`)")
    return len(fields) - 1


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[int, str, bytes]]:
    # Only line feeds end a line: some words are made of other characters that Python counts as line ends.
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            parts = line.split(None, 1)
            if len(parts) == 2:
                yield number, parts[0].decode("utf-8", "replace"), parts[1]


def _numbers(values: Sequence[bytes], width: int, place: str) -> NDArray[np.float64]:
    if len(values) != width:
        raise DatasetError(
            f"{place}: {len(values)} values instead of {width}: the line is not whole, get the file again"
        )
    try:
        return np.array([float(value) for value in values])
    except ValueError as error:
        raise DatasetError(f"{place}: {error}: give numbers separated by blanks") from error


def _vector(name: str, vectors: dict[str, NDArray[np.float64]], path: Path) -> NDArray[np.float64]:
    whole = next((vectors[key] for key in _whole(name) if key in vectors), None)
    if whole is not None:
        return whole
    words = _words(name)
    for word in words:
        if word not in vectors:
            part = "" if words == [name.casefold()] else f" ({word!r})"
            near = _near(word, path)
            hint = f"; did you mean {' or '.join(near)}?" if near else "."
            raise DatasetError(
                f"{path} has no vector for class {name!r}{part}{hint} Add a line for it, or bring a matrix with names "
                "(.safetensors, .npz, .pt)"
            )
    mean: NDArray[np.float64] = np.stack([vectors[word] for word in words]).mean(0)
    return mean


def _whole(name: str) -> list[str]:
    plain = name.strip().casefold()
    return list(dict.fromkeys([plain, _BREAKS.sub("_", plain)]))


def _words(name: str) -> list[str]:
    plain = name.strip().casefold()
    return [word for word in _BREAKS.split(_SPELLED_OUT.get(plain, plain)) if word]


def _near(word: str, path: Path) -> list[str]:
    alike = {
        found.casefold()
        for _, found, _ in _lines(path)
        if abs(len(found) - len(word)) <= _LENGTHS_APART and found[:1].casefold() == word[:1]
    }
    return difflib.get_close_matches(word, sorted(alike), n=3, cutoff=0.6)
