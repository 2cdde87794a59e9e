"""Reads the split files that published code ships as pickles: counts and groups of classes, without running anything.

The files of DB loss, MLC-NC, COMIC and CPRFL hold dicts, lists, sets and NumPy arrays of numbers. A pickle can name any
function; here it can name six, all of which are replaced by ones that do no more than those files need.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nctools.errors import DatasetError


class _RefusedError(Exception):
    """Something in the file that is not read; the text says what."""


class _Dtype:
    """Stands for ``numpy.dtype`` while a pickle is read: numbers and fixed strings only."""

    def __init__(self, name: object = "", *flags: object) -> None:
        # Old NumPy pickled bytes where today's has text.
        self.name = name.decode("latin1") if isinstance(name, bytes) else name
        self.order = "="

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, item size, alignment, flags, ...)
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise _RefusedError("a structured NumPy dtype")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        self.order = order if order in {"<", ">"} else "="

    def resolved(self) -> np.dtype[np.generic]:
        kinds = {"b1": 1, "i": 8, "u": 8, "f": 8, "S": 2**16, "U": 2**16}
        kind, size = (self.name[:1], self.name[1:]) if isinstance(self.name, str) else ("", "")
        kind = "b1" if self.name == "b1" else kind
        if kind not in kinds or not size.isdecimal() or not 0 < int(size) <= kinds[kind]:
            raise _RefusedError(f"a NumPy dtype {self.name!r}")
        return np.dtype(str(self.name)).newbyteorder("<" if self.order == "<" else ">" if self.order == ">" else "=")


class _Array:
    """Stands for ``numpy.ndarray`` while a pickle is read; ``numbers`` after that."""

    numbers: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None = None

    def __setstate__(self, state: object) -> None:
        # (version, shape, dtype, Fortran order, bytes)
        if not isinstance(state, tuple) or len(state) != 5:
            raise _RefusedError("a NumPy array of an unknown form")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or not isinstance(shape, tuple):
            raise _RefusedError("a NumPy array of objects")
        flat = np.frombuffer(data, dtype.resolved())
        self.numbers = flat.reshape(shape, order="F" if fortran else "C").copy()


def read_published_pickle(content: bytes, path: Path) -> dict[str, object]:
    """Read a published split file (``class_freq.pkl``, ``class_split.pkl``, ``terse_gt_2012.pkl``, ...).

    Args:
        content: The bytes of the file.
        path: The file, for messages.

    Returns:
        Its content: dicts, lists, sets and NumPy arrays of numbers; NumPy scalars become those of today's NumPy.

    Raises:
        DatasetError: If it is no pickle of a dict, or names anything but NumPy arrays, sets and plain values. Nothing
            in it is run.
    """
    try:
        document = _plain(_Unpickler(io.BytesIO(content)).load())
    except _RefusedError as error:
        raise DatasetError(
            f"{path} was not read: it holds {error}, which no published split file does: get it from its source"
        ) from error
    except Exception as error:  # damaged bytes make the reader fail in many ways
        text = _beginning(content)
        reason = f"it is text that begins with {text!r}" if text else " ".join(str(error).split())[:160]
        raise DatasetError(f"{path} is not a readable pickle: {reason or type(error).__name__}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path} holds a {type(document).__name__}; published split files hold a dict")
    return document


class _Function:
    """A function that a pickle may call but not change: ``BUILD`` would set attributes of a plain one."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> object:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _RefusedError("an attempt to change a function")


class _Unpickler(pickle._Unpickler):
    # The reader written in Python: that in C makes room for every number a file gives to an object, and seven bytes
    # can name one that takes 64 GB.
    def __init__(self, stream: io.BytesIO) -> None:
        # latin1: how NumPy's bytes in pickles of Python 2 must be read.
        super().__init__(stream, encoding="latin1")

    def find_class(self, module: str, name: str) -> object:
        """Give the stand-in for what a pickle names.

        Args:
            module: Module in the file.
            name: Name in it.

        Returns:
            One of six functions and classes.

        Raises:
            _RefusedError: For any other name.
        """
        found = _ALLOWED.get((module, name))
        if found is None:
            raise _RefusedError(f"the name {module}.{name}")
        return found

    def persistent_load(self, identifier: object) -> object:
        """Refuse references to outside of the file.

        Args:
            identifier: In the file.

        Raises:
            _RefusedError: Always.
        """
        raise _RefusedError("a reference to something outside of it")


def _new_array(kind: object = None, shape: object = None, code: object = None) -> _Array:
    return _Array()


def _scalar(dtype: object = None, data: object = None) -> object:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | str):
        raise _RefusedError("a NumPy scalar of an object")
    content = data.encode("latin1") if isinstance(data, str) else data
    resolved = dtype.resolved()
    if len(content) != resolved.itemsize:
        raise _RefusedError(f"a NumPy scalar of {len(content)} bytes")
    value: object = np.frombuffer(content, resolved)[0]
    return value


def _encode(text: object = "", encoding: object = "latin1") -> bytes:
    if encoding not in {"latin1", "latin-1"} or not isinstance(text, str):
        raise _RefusedError(f"a text in the encoding {encoding!r}")
    return text.encode("latin1")


def _plain(value: object, done: dict[int, object] | None = None) -> object:
    # Stand-ins become arrays. What is held twice is converted once: a small file can nest exponentially.
    done = {} if done is None else done
    if id(value) not in done:
        done[id(value)] = _converted(value, done)
    return done[id(value)]


def _converted(value: object, done: dict[int, object]) -> object:
    if isinstance(value, _Array):
        if value.numbers is None:
            raise _RefusedError("a NumPy array without content")
        return value.numbers
    if isinstance(value, _Dtype):
        return value.resolved()
    if isinstance(value, dict):
        return {_plain(key, done): _plain(entry, done) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry, done) for entry in value]
    if isinstance(value, tuple):
        return tuple(_plain(entry, done) for entry in value)
    if isinstance(value, set):
        return {_plain(entry, done) for entry in value}
    return value


def _beginning(content: bytes) -> str:
    # img_id.pkl of COCO-LT is a text file despite its name.
    try:
        text = content[:400].decode("ascii")
    except UnicodeDecodeError:
        return ""
    return text.strip().partition("\n")[0][:40] if all(c.isprintable() or c in "\t\r\n" for c in text) else ""


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Function(_new_array) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Function(_scalar) for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Function(_encode),
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
}
