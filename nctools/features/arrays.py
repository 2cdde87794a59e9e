"""Reads and writes named arrays: ``.npz`` and ``.safetensors``. Nothing that a file holds is ever run."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nctools.errors import StoreError

SUFFIXES = (".npz", ".safetensors")
# About how much of the arrays goes to a feature file at once.
BATCH_BYTES = 64 * 2**20
Array = NDArray[np.generic]


def check_suffix(path: str | os.PathLike[str]) -> str:
    """Tell the kind of a file of arrays by its name.

    Args:
        path: The file.

    Returns:
        ``".npz"`` or ``".safetensors"``.

    Raises:
        StoreError: For any other name.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise StoreError(f"{path} ends in {suffix!r}: name a file that ends in {' or '.join(SUFFIXES)}")
    return suffix


def write_arrays(path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
    """Write arrays under their names.

    Args:
        path: The file, of either kind.
        arrays: Name and array, one after the other. An ``.npz`` file is written array by array; safetensors needs all
            of them in memory.
    """
    if check_suffix(path) == ".safetensors":
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(array) for name, array in arrays}, path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, Array]:
    """Read all arrays of a file.

    Args:
        path: The file, of either kind.

    Returns:
        Name -> array; bfloat16, which NumPy does not have, as float32.

    Raises:
        StoreError: If the file is missing, damaged or no such file, holds Python objects, or more than the free memory.
    """
    reader = _read_safetensors if check_suffix(path) == ".safetensors" else _read_npz
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise StoreError(f"no file at {path}: name the file that holds the arrays") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{path} cannot be read ({line}): save the arrays again") from error


def as_bytes(document: object) -> NDArray[np.uint8]:
    """Write a document as an array.

    Args:
        document: Ready for JSON.

    Returns:
        Its JSON text, one byte each, in ASCII.
    """
    return np.frombuffer(json.dumps(document).encode("ascii"), dtype=np.uint8)


def from_bytes(array: Array) -> object:
    """Read what ``as_bytes`` wrote.

    Args:
        array: The bytes.

    Returns:
        The document.

    Raises:
        ValueError: If it is no such array.
    """
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError(f"{array.dtype} {list(array.shape)} is no JSON text in bytes")
    document: object = json.loads(array.tobytes())
    return document


def text_list(array: Array) -> list[str]:
    """Read names, from an array of strings, of numbers, or of the bytes of a JSON list.

    Args:
        array: The array.

    Returns:
        The names.

    Raises:
        ValueError: If it is no list of names.
    """
    if array.dtype == np.uint8:
        found = from_bytes(array)
        if not isinstance(found, list):
            raise ValueError("its JSON text is no list")
        return [str(name) for name in found]
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise ValueError(f"{array.dtype} {list(array.shape)} is no list of names")
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in array.tolist()]


def needed(arrays: Mapping[str, Array], *names: str) -> Array:
    """Find an array that must be there.

    Args:
        arrays: Name -> array.
        names: What it may be called; the first that is there is taken.

    Returns:
        The array.

    Raises:
        ValueError: If there is none.
    """
    for name in names:
        if name in arrays:
            return arrays[name]
    raise ValueError(f"there is no array named {' or '.join(names)}")


def _read_npz(path: Path) -> dict[str, Array]:
    # Opened here, because NumPy leaves a damaged archive open.
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _check_memory(path, sum(entry.file_size for entry in archive.infolist()))
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array without a name, so it is a .npy file")
        with loaded:
            return {name: _one(loaded, name) for name in loaded}


def _check_memory(path: Path, size: int) -> None:
    # Unpacked, so that a small file that unpacks to a huge one is refused, too.
    free = _free_bytes()
    if free is not None and size > free:
        raise StoreError(
            f"{path} holds {size / 2**30:.1f} GiB of arrays, but {free / 2**30:.1f} GiB of memory are free: "
            "split it, or use a machine with more memory"
        )


def _free_bytes() -> int | None:
    # Linux says what it could give; elsewhere nothing is checked.
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return None


def _one(loaded: np.lib.npyio.NpzFile, name: str) -> Array:
    try:
        array: object = loaded[name]
    except ValueError as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"the array {name!r} holds Python objects, which are never loaded because they can run code; give it "
                "a dtype of numbers or strings"
            ) from error
        raise
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name!r} in it is no array")
    return array


def _read_safetensors(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _check_memory(path, path.stat().st_size)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy() for name, tensor in tensors.items()
    }
