"""Checks that texts and values come back from a JSON file as they were written. Loads no torch."""

from __future__ import annotations

import math


def check_text(value: object, part: str, *, empty: bool = False) -> None:
    """Raise unless a value is a text that a file in UTF-8 can hold.

    Args:
        value: What is looked at.
        part: What it is called in messages, which begin with it.
        empty: Whether it may be empty.

    Raises:
        TypeError: If it is no text.
        ValueError: If it is empty, or holds half of a character (as names of files with broken letters do).

    Example:
        >>> check_text("", "`name`")
        Traceback (most recent call last):
        ValueError: `name`: an empty text names nothing
    """
    if not isinstance(value, str):
        raise TypeError(f"{part}: {value!r} is no text")
    if not value and not empty:
        raise ValueError(f"{part}: an empty text names nothing")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{part}: {value!r} cannot be written as UTF-8: rename it") from error


def check_plain(value: object, part: str) -> None:
    """Raise unless a value holds nothing but what JSON gives back as it was.

    Args:
        value: What is looked at: None, a bool, a finite number, a text, or lists and dicts of those.
        part: What it is called in messages, which begin with it.

    Raises:
        TypeError: If something has another type (a tuple, a NumPy number), or a key is no text.
        ValueError: If a number is not finite or a text cannot be written.

    Example:
        >>> check_plain({"alpha": 6, "counts": (1, 2)}, "`made_by`")
        Traceback (most recent call last):
        TypeError: `made_by`, 'counts': a tuple; give plain numbers, texts, lists and dicts
    """
    if type(value) is dict:
        for key, entry in value.items():
            check_text(key, f"{part}, a key", empty=True)
            check_plain(entry, f"{part}, {key!r}")
    elif type(value) is list:
        for entry in value:
            check_plain(entry, part)
    elif type(value) is str:
        check_text(value, part, empty=True)
    elif type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{part}: {value}, which JSON cannot say")
    elif value is not None and type(value) not in {bool, int}:
        raise TypeError(f"{part}: a {type(value).__name__}; give plain numbers, texts, lists and dicts")
