"""Opens a feature file on first use in each process and turns what HDF5 says into one clear error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from nctools.errors import StoreError
from nctools.features.compression import PLUGIN, PLUGIN_ATTRIBUTE, load_plugin
from nctools.features.writer import FORMAT, FORMAT_VERSION

_T = TypeVar("_T")
# Room for one chunk of each class of a file with all pairs.
CACHE_BYTES = 64 * 2**20
_KEYS = {
    *("class_names", "dtype", "groups", "layers", "model"),
    *("num_images", "pairs", "places", "provenance", "single_label"),
}


class FeatureFile:
    """A file that is open only where and while it is read. Pickling and forking drop the open handle.

    Args:
        path: The file; it need not exist yet.

    Attributes:
        path: Its absolute path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._handle: h5py.File | None = None
        self._process = 0
        self._seen: tuple[int, int] | None = None

    def read(self, function: Callable[[h5py.File], _T]) -> _T:
        """Call a function with the open file.

        Args:
            function: Reads something; it must hand out no object of h5py.

        Returns:
            What the function returned.

        Raises:
            StoreError: If the file is missing, unreadable or damaged, or another file has taken its place.
            ModuleNotFoundError: If its features are compressed and hdf5plugin, which reads them, is not installed.
        """
        file = self._open()
        try:
            return function(file)
        except (OSError, KeyError, RuntimeError, ValueError, AttributeError, TypeError) as error:
            raise StoreError(
                f"{self.path} is damaged or incomplete ({_one_line(error)}): extract the features again"
            ) from error

    def close(self) -> None:
        """Close the file. Reading opens it again; closing twice is harmless."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_handle": None}

    def _open(self) -> h5py.File:
        if self._handle is not None and self._process == os.getpid():
            return self._handle
        self.close()  # A handle that came through a fork.
        try:
            stat = self.path.stat()
            self._handle = h5py.File(self.path, "r", rdcc_nbytes=CACHE_BYTES)
            library = self._handle.attrs.get(PLUGIN_ATTRIBUTE)
        except FileNotFoundError as error:
            raise StoreError(
                f"no feature file at {self.path}: make one with nctools.extract or `nctools extract`"
            ) from error
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be read as an HDF5 file ({_one_line(error)}): "
                "name a feature file, or extract the features again if this one is damaged"
            ) from error
        seen = (stat.st_mtime_ns, stat.st_size)
        if self._seen not in {None, seen}:
            self.close()
            raise StoreError(f"{self.path} was replaced since this FeatureStore was made: make a new FeatureStore")
        if library == PLUGIN:  # only this one, whatever a file asks for
            try:
                load_plugin(f"reading {self.path}, whose features are compressed,")
            except ModuleNotFoundError:
                self.close()
                raise
        self._seen, self._process = seen, os.getpid()
        return self._handle


def read_description(file: h5py.File) -> dict[str, object]:
    """Read the JSON description of a feature file.

    Args:
        file: An open HDF5 file.

    Returns:
        The description as ``FeatureWriter.finish`` wrote it.

    Raises:
        StoreError: If the file is no feature file, or one of a version that this nctools does not read.
        KeyError: If the description is incomplete.
    """
    name, version = file.attrs.get("format"), file.attrs.get("format_version")
    if name != FORMAT:
        raise StoreError(
            f"{file.filename} is an HDF5 file but not a feature file of nctools (its attribute `format` is {name!r}): "
            "make one with nctools.extract or `nctools extract`"
        )
    _check_version(file.filename, version)
    check_own_data(file)
    document: dict[str, object] = json.loads(file["metadata"].asstr()[()])
    missing = sorted(_KEYS - set(document))
    if missing:
        raise KeyError(f"its description lacks {', '.join(missing)}")
    return document


def _check_version(name: str, version: object) -> None:
    if not isinstance(version, (int, np.integer)) or version < 1:
        raise StoreError(
            f"{name} has the format version {version!r}, but there are only whole numbers from 1: "
            "the file is damaged or was changed by another program: extract the features again"
        )
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{name} has format version {version}, but this nctools reads up to {FORMAT_VERSION}: "
            "upgrade nctools, or extract the features again"
        )


def check_own_data(group: h5py.Group) -> None:
    """Refuse a file whose data lie in other files, which reading it would open.

    Args:
        group: An open file, or a group in it.

    Raises:
        StoreError: If there is a link to elsewhere, or a data set of external or virtual storage.
    """
    for name in group:
        outside = not isinstance(group.get(name, getlink=True), h5py.HardLink)
        held = None if outside else group[name]
        if isinstance(held, h5py.Dataset):
            outside = bool(held.external) or held.is_virtual
        if outside:
            raise StoreError(
                f"{group.file.filename} keeps {group.name.rstrip('/')}/{name} in another file, which is not read: "
                "extract the features again, or copy them into one file"
            )
        if isinstance(held, h5py.Group):
            check_own_data(held)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
