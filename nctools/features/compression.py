"""The compression of features in a file, and the library that two of its kinds need for writing and for reading."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Literal, get_args

Compression = Literal["zstd", "blosc", "gzip", "lzf"]
# Attribute of a file whose features cannot be read without a library.
PLUGIN_ATTRIBUTE = "needs_library"
PLUGIN = "hdf5plugin"
_WITH_PLUGIN = ("zstd", "blosc")


def needs_plugin(compression: Compression | None) -> bool:
    """Tell whether a compression needs hdf5plugin, for writing and for reading.

    Args:
        compression: Its name, or None.

    Returns:
        True for ``"zstd"`` and ``"blosc"``; HDF5 has the others itself.
    """
    return compression in _WITH_PLUGIN


def dataset_options(compression: Compression | None) -> dict[str, object]:
    """Give what ``h5py.Group.create_dataset`` is to be told.

    Args:
        compression: ``"zstd"`` (level 3), ``"blosc"`` (lz4 after a bit shuffle), ``"gzip"`` (level 1), ``"lzf"``, or
            None.

    Returns:
        Keyword arguments; none without compression.

    Raises:
        ValueError: If there is no such compression.
        ModuleNotFoundError: If it needs hdf5plugin, which is not installed.

    Example:
        >>> dataset_options("gzip"), dataset_options(None)
        ({'compression': 'gzip', 'compression_opts': 1}, {})
    """
    if compression is None:
        return {}
    if compression not in get_args(Compression):
        raise ValueError(f"compression is {compression!r}; it is None or one of: {', '.join(get_args(Compression))}")
    if compression == "gzip":
        return {"compression": "gzip", "compression_opts": 1}
    if not needs_plugin(compression):
        return {"compression": compression}
    plugin = load_plugin(f"compression={compression!r}")
    chosen = plugin.Zstd(clevel=3) if compression == "zstd" else plugin.Blosc("lz4", shuffle=plugin.Blosc.BITSHUFFLE)
    return {"compression": chosen.filter_id, "compression_opts": chosen.filter_options}


def load_plugin(what: str) -> ModuleType:
    """Import hdf5plugin, which makes its filters known to HDF5 in this process.

    Args:
        what: What needs it, for the message.

    Returns:
        The module.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    try:
        return importlib.import_module(PLUGIN)
    except ModuleNotFoundError as error:
        if error.name != PLUGIN:
            raise
        raise ModuleNotFoundError(
            f"{what} needs the library {PLUGIN}, which is not installed: pip install {PLUGIN}", name=PLUGIN
        ) from error
