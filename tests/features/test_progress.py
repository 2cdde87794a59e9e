from __future__ import annotations

import sys

import pytest

from nctools.features.progress import image_progress, progress_of_passes


def run(total: int | None, steps: int, size: int, *, enabled: bool = True) -> None:
    with image_progress(total, enabled=enabled) as advance:
        for _ in range(steps):
            advance(size)


def test_one_line_per_tenth_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(1142, steps=1142, size=1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "extracting: 100 % (1142 of 1142 images)"


def test_few_large_batches_give_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    run(30, steps=2, size=15)
    assert capsys.readouterr().err.splitlines() == [
        "extracting: 50 % (15 of 30 images)",
        "extracting: 100 % (30 of 30 images)",
    ]


@pytest.mark.parametrize(("total", "enabled"), [(None, True), (30, False), (None, False)])
def test_nothing_is_written_when_silenced_or_without_a_total(
    total: int | None, enabled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run(total, steps=3, size=10, enabled=enabled)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_a_terminal_gets_a_bar_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    run(30, steps=3, size=10)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "30/30" in captured.err


def test_a_second_file_is_counted_anew(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [(0, 10), (5, 10), (10, 10), (0, 40), (20, 40), (40, 40), (0, 40), (40, 40)]
    with progress_of_passes(enabled=True, doing="reading labels", what="") as tell:
        for done, total in calls:
            tell(done, total)
    shares = [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert shares == ["50 %", "100 %", "50 %", "100 %", "100 %"]


def test_passes_tell_nothing_until_some_seconds_have_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([100.0, 100.5, 101.9, 102.0, 104.0])
    monkeypatch.setattr("nctools.features.progress.monotonic", lambda: next(now))
    with progress_of_passes(enabled=True, doing="checking", what="images", after=2) as tell:
        for done in (20, 40, 60, 100):
            tell(done, 100)
    assert capsys.readouterr().err.splitlines() == [
        "checking: 60 % (60 of 100 images)",
        "checking: 100 % (100 of 100 images)",
    ]
