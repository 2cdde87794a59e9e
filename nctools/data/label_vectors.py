"""Label vectors that a user brings: one row for each class of the data, out of a matrix or a file of word vectors.

Nothing is unpickled. Loads no torch but for files that torch wrote.
"""

from __future__ import annotations

import difflib
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nctools.data.text_files import shortened
from nctools.data.word_vectors import read_word_vectors
from nctools.errors import CheckpointError, DatasetError

Vectors = NDArray[np.float32]
Member = TypeVar("Member")
# Shorter vectors have no direction.
_SHORTEST = 1e-12
_LISTED = 5
_BREAKS = re.compile(r"[\s_-]+")


def read_label_vectors(path: str | Path, class_names: Sequence[str]) -> Vectors:
    r"""Read one vector for each class, in the order of the data's classes.

    A file that names its rows may hold more classes than are asked for, in any order; upper and lower case, spaces,
    underscores and dashes in names are the same. One without names has a row for each class, in their order.

    Args:
        path: By its suffix: ``.safetensors`` (tensor ``vectors``, and the names as a JSON list under ``class_names``
            in the metadata), ``.npy``, ``.npz`` (arrays ``vectors`` and ``class_names``), ``.pt`` or ``.pth`` (the
            matrix, or a dictionary of both); any other is read as word vectors in text (GloVe, word2vec), where a
            class of several words gets the mean of their vectors.
        class_names: Names of the C classes.

    Returns:
        ``[C, d]`` float32, as they stand in the file.

    Raises:
        DatasetError: If the file is missing, unreadable or of another form, lacks a class, or holds a vector that is
            not finite or has no direction.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "words.txt"
        ...     _ = file.write_text("traffic 1 0\nlight 0 1\ncat 3 4\n")
        ...     read_label_vectors(file, ["cat", "Traffic_Light"])
        array([[3. , 4. ],
               [0.5, 0.5]], dtype=float32)
    """
    file, names = Path(path), list(class_names)
    if not file.is_file():
        raise DatasetError(f"{file} is no file: give the path of the label vectors, or another label embedding")
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        rows = read_word_vectors(file, names)
    else:
        matrix, own_names = reader(file)
        rows = _aligned(_checked(matrix, file), own_names, names, file)
    with np.errstate(over="ignore"):
        return _with_directions(rows.astype(np.float32), names, file)


def _from_safetensors(path: Path) -> tuple[object, object]:
    from nctools._safe_torch import read_safetensors

    try:
        tensors, metadata = read_safetensors(path)
    except CheckpointError as error:
        raise DatasetError(str(error)) from error
    matrix = _member(tensors, path)
    return matrix.float().numpy(), _names_in_json(metadata.get("class_names"), path)


def _from_npy(path: Path) -> tuple[object, object]:
    return _loaded(path), None


def _from_npz(path: Path) -> tuple[object, object]:
    arrays = _loaded(path)
    if not isinstance(arrays, dict):
        raise DatasetError(f"{path} is no archive of arrays: save it with numpy.savez(path, vectors=...)")
    return _member(arrays, path), arrays.get("class_names")


def _from_torch(path: Path) -> tuple[object, object]:
    import torch

    from nctools._safe_torch import read_torch_file

    try:
        content = read_torch_file(path)
    except CheckpointError as error:
        raise DatasetError(str(error)) from error
    names: object = None
    if isinstance(content, dict):
        names, content = content.get("class_names"), _member(content, path)
    if not isinstance(content, torch.Tensor):
        raise DatasetError(
            f"{path} holds a {type(content).__name__}, not vectors: save a tensor [C, d], or a dictionary with "
            "`vectors` and `class_names`"
        )
    wide = content.dtype in {torch.bfloat16, torch.float16}
    return (content.float() if wide else content).detach().numpy(), names


_READERS: dict[str, Callable[[Path], tuple[object, object]]] = {
    ".safetensors": _from_safetensors,
    ".npy": _from_npy,
    ".npz": _from_npz,
    ".pt": _from_torch,
    ".pth": _from_torch,
}


def _loaded(path: Path) -> object:
    # Never with allow_pickle: an array of Python objects is refused.
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                return {name: loaded[name] for name in loaded.files}
        return np.asarray(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{path} cannot be read as plain numbers ({' '.join(str(error).split())[:120]}): save a matrix of floats"
        ) from error


def _member(members: Mapping[str, Member], path: Path) -> Member:
    # One array alone can only be the vectors.
    others = [name for name in members if name != "class_names"]
    if "vectors" in members:
        return members["vectors"]
    if len(others) == 1:
        return members[others[0]]
    listed = ", ".join(map(str, others[:_LISTED])) or "nothing"
    raise DatasetError(f"{path} holds {listed}, but no `vectors`: save the matrix [C, d] under that name")


def _names_in_json(text: str | None, path: Path) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path}: `class_names` in the metadata is {shortened(text)}, which is no JSON: save a list of names"
        ) from error


def _checked(matrix: object, path: Path) -> NDArray[np.float64]:
    array = np.asarray(matrix)
    if array.dtype.kind not in "fiu" or array.ndim != 2 or 0 in array.shape:
        raise DatasetError(
            f"{path} holds an array of {array.dtype} with shape {list(array.shape)}: "
            "label vectors are a matrix of numbers, a row for each class"
        )
    return array.astype(np.float64)


def _aligned(matrix: NDArray[np.float64], own: object, names: Sequence[str], path: Path) -> NDArray[np.float64]:
    if own is None:
        if len(matrix) != len(names):
            raise DatasetError(
                f"{path} holds {len(matrix)} vectors without names, but the data set has {len(names)} classes: "
                "give a row for each class in their order, or save `class_names` too"
            )
        return matrix
    given = [_plain(name) for name in _name_list(own, path)]
    if len(given) != len(matrix):
        raise DatasetError(f"{path} holds {len(matrix)} vectors but {len(given)} names: give one name for each row")
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(f"{path} names {twice!r} {given.count(twice)} times: give each class one row")
    places = {name: place for place, name in enumerate(given)}
    for name in names:
        if _plain(name) not in places:
            near = difflib.get_close_matches(_plain(name), given, n=3, cutoff=0.6)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            listed = ", ".join(given[:_LISTED]) + (", ..." if len(given) > _LISTED else "")
            raise DatasetError(f"{path} has no vector for class {name!r}{hint} It names {len(given)}: {listed}")
    return matrix[[places[_plain(name)] for name in names]]


def _name_list(own: object, path: Path) -> list[str]:
    found = own.tolist() if isinstance(own, np.ndarray) else own
    if isinstance(found, list | tuple) and all(isinstance(name, str) for name in found):
        return list(found)
    raise DatasetError(f"{path}: `class_names` is {shortened(found)}: give a list of names")


def _plain(name: str) -> str:
    return _BREAKS.sub(" ", name).strip().casefold()


def _with_directions(rows: Vectors, names: Sequence[str], path: Path) -> Vectors:
    for name, row in zip(names, rows, strict=True):
        if not np.isfinite(row).all():
            place = int(np.flatnonzero(~np.isfinite(row))[0])
            raise DatasetError(
                f"{path}: the vector of class {name!r} holds {row[place]} at place {place}: give finite numbers"
            )
        length = float(np.linalg.norm(row.astype(np.float64)))
        if length < _SHORTEST:
            raise DatasetError(
                f"{path}: the vector of class {name!r} has length {length:g}, so it has no direction: give another"
            )
    return rows
