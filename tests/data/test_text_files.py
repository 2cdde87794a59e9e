from __future__ import annotations

from pathlib import Path

import pytest

from nctools.data.text_files import read_text, shortened
from nctools.errors import DatasetError


def test_line_ends_of_every_system_and_a_mark_at_the_beginning_become_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\nd")
    assert read_text(tmp_path / "a.txt") == "a\nb\nc\nd"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b" \n", r"is empty \(2 bytes\)"),
        (b"PK\x03\x04", "is packed by zip: unpack it"),
        (b"\x1f\x8b\x08", "is packed by gzip"),
        (b"caf\xe9s", r"is not text in UTF-8 \(invalid continuation byte at byte 3\)"),
    ],
)
def test_what_is_no_text_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_text(tmp_path / "a.txt")


def test_a_text_may_be_empty_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b" \n")
    assert read_text(tmp_path / "a.txt", empty=True) == " \n"
    with pytest.raises(DatasetError, match=r"b\.txt does not exist"):
        read_text(tmp_path / "b.txt", empty=True)


def test_values_are_shown_up_to_sixty_characters() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shortened(nested) == "nested too deeply to be shown"
    assert (shortened("a"), len(shortened("a" * 100)), shortened("a" * 100)[-3:]) == ("'a'", 60, "...")
