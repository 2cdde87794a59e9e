"""Reads the text files that data sets come with, and says what is wrong with one that is none. Loads no torch."""

from __future__ import annotations

import re
from pathlib import Path

from nctools.errors import DatasetError

# First bytes of files that were to be unpacked first. A spreadsheet is a zip archive.
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}

_LONGEST = 60
_NEVER_IN_NAMES = re.compile("[\0\n\r\ud800-\udfff]")


def read_text(path: Path, *, empty: bool = False) -> str:
    r"""Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        empty: Whether it may hold nothing.

    Returns:
        Its content; every line ends in ``\n``, on whatever system it was written.

    Raises:
        DatasetError: If it is missing, empty though it may not be, packed, not in UTF-8, or cannot be read.

    Example:
        >>> read_text(Path("no_such_list.txt"))
        Traceback (most recent call last):
        nctools.errors.DatasetError: no_such_list.txt does not exist
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    for start, packer in _PACKED.items():
        if content.startswith(start):
            raise DatasetError(f"{path} is packed by {packer}: unpack it and give the text file in it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}): save it so") from error
    if not empty and (not text or text.isspace()):
        raise DatasetError(f"{path} is empty ({len(content)} bytes): get it again")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_file_name(name: str) -> bool:
    r"""Tell whether a text can be the path of a file at all.

    Args:
        name: What a list or a JSON document calls a file.

    Returns:
        False if it is empty, or holds line ends, a zero or half a character, which make the calls of the system fail.

    Example:
        >>> is_file_name("a b.jpg"), is_file_name("a.jpg\0"), is_file_name(" ")
        (True, False, False)
    """
    return bool(name) and not name.isspace() and _NEVER_IN_NAMES.search(name) is None


def shortened(value: object) -> str:
    """Show a value that stood in a file, for a message.

    Args:
        value: Of any size.

    Returns:
        Its beginning, at most 60 characters, on one line.

    Example:
        >>> shortened("a"), len(shortened([0] * 1000))
        ("'a'", 60)
    """
    try:
        text = repr(value)
    except RecursionError:
        return "nested too deeply to be shown"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
