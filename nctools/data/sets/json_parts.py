"""Reads a large JSON object with its long lists in pieces, so that it never lies in memory as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from nctools.data.annotations import Progress
from nctools.errors import DatasetError

# Entries of a list that are handed over at a time. Few, as each piece then stays in the cache of the processor: of
# 860,000 annotations, pieces of 10,000 take twice as long.
_PIECE = 200
# Characters between two calls of `progress`.
_STEP = 1_000_000
_SPACE = re.compile(r"[ \t\n\r]*")
_MARKS = {",", "]"}
_BLANKS = {" ", "\n", "\r", "\t"}
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
# A document that was cut off fails so near to its end: the rest of a word such as `false` or of a number.
_LAST = 10


class _JsonFormError(Exception):
    """The text is no JSON; the message says why."""


def read_in_parts(
    text: str,
    path: Path,
    takers: Mapping[str, Callable[[list[object], int], None]],
    progress: Progress | None = None,
) -> list[str]:
    """Read a JSON object, and hand over the entries of some of its lists.

    Args:
        text: The document.
        path: Where it comes from, for messages.
        takers: For the name of a list, what is called with the next entries and the place of the first of them,
            counted from 0. What has another name is read, for the sake of its form, and left.
        progress: Called now and then with the characters that were read and the number of them all.

    Returns:
        The names in the object, in their order.

    Raises:
        DatasetError: If the text is no JSON, or no object, if a name occurs twice, or what is to be handed over is no
            list.

    Example:
        >>> read_in_parts('{"a": 1, "b": [2, 3]}', Path("x.json"), {"b": lambda entries, start: print(entries, start)})
        [2, 3] 0
        ['a', 'b']
    """
    try:
        return _Reader(text, path, progress).read(takers)
    except RecursionError as error:
        raise DatasetError(f"{path} is nested too deeply to be read: it is no file of annotations") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} {_refusal(text, error)}") from error
    except _JsonFormError as error:
        raise DatasetError(f"{path} {error}") from error


def first_value(text: str) -> object:
    """Read the first entry of a JSON list, to tell what kind of file it is.

    Args:
        text: The document.

    Returns:
        The entry; None if there is none or it cannot be read.

    Example:
        >>> first_value('[{"score": 1}, {')
        {'score': 1}
    """
    match = re.match(r"\s*\[\s*", text)
    try:
        return json.JSONDecoder().raw_decode(text, match.end())[0] if match else None
    except (ValueError, RecursionError):
        return None


class _Reader:
    """Walks through the members of one object.

    Args:
        text: The document.
        path: For messages.
        progress: Called now and then.
    """

    def __init__(self, text: str, path: Path, progress: Progress | None) -> None:
        self.text = text
        self.path = path
        self.progress = progress
        self.decode = json.JSONDecoder().raw_decode
        self.told = 0

    def read(self, takers: Mapping[str, Callable[[list[object], int], None]]) -> list[str]:
        names: list[str] = []
        position = self._after("{", self._skip(0))
        while self.text[position : position + 1] != "}":
            if names:
                position = self._after(",", position)
            name, position = self._value(position)
            if not isinstance(name, str):
                raise json.JSONDecodeError("Expecting property name enclosed in double quotes", self.text, position)
            if name in names and name in takers:
                raise _JsonFormError(f"has two members {name!r}: remove one of them")
            names.append(name)
            position = self._after(":", self._skip(position))
            position = self._list(name, position, takers[name]) if name in takers else self._value(position)[1]
            position = self._skip(position)
        end = self._skip(position + 1)
        if end < len(self.text):
            raise json.JSONDecodeError("Extra data", self.text, end)
        self._tell(end, every=0)
        return names

    def _list(self, name: str, position: int, take: Callable[[list[object], int], None]) -> int:
        if self.text[position : position + 1] != "[":
            value, _ = self._value(position)
            raise _JsonFormError(f'has {_KINDS.get(type(value), "null")} as "{name}", where a list must be')
        position = self._skip(position + 1)
        if self.text[position : position + 1] == "]":
            return position + 1
        start, piece = 0, []
        text, value = self.text, self._value  # looked up once, not a million times
        while True:
            entry, position = value(position)
            piece.append(entry)
            mark = text[position : position + 1]
            if mark not in _MARKS:
                position = self._skip(position)
                mark = text[position : position + 1]
            if mark == "]" or len(piece) == _PIECE:
                take(piece, start)
                start, piece = start + len(piece), []
                self._tell(position)
            if mark == "]":
                return position + 1
            if mark != ",":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
            position += 1
            if text[position : position + 1] in _BLANKS:
                position = self._skip(position)

    def _value(self, position: int) -> tuple[object, int]:
        try:
            value: tuple[object, int] = self.decode(self.text, position)
        except json.JSONDecodeError:
            raise
        except ValueError as error:  # an integer of thousands of digits
            raise _JsonFormError(f"holds a number that cannot be read near character {position}: {error}") from error
        return value

    def _after(self, mark: str, position: int) -> int:
        if self.text[position : position + 1] != mark:
            raise json.JSONDecodeError(f"Expecting {mark!r}", self.text, position)
        return self._skip(position + 1)

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _tell(self, position: int, every: int = _STEP) -> None:
        if self.progress is not None and position >= self.told + every:
            self.progress(position, len(self.text))
            self.told = position


def _refusal(text: str, error: json.JSONDecodeError) -> str:
    # A text that never ends can only be found at the end of the document.
    if error.pos >= len(text) - _LAST or error.msg.startswith("Unterminated string"):
        return (
            f"is cut off: it ends within the JSON, after {len(text):,} characters ({error.msg} at character "
            f"{error.pos:,}): was the disk full, or the download or the unpacking stopped? Get it again"
        )
    return f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno} (character {error.pos:,})"
