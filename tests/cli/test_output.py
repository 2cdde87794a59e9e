"""Tables on terminals of any width keep every number whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nctools.cli.output import another_place, notes_of, print_table


@pytest.mark.parametrize("columns", ["200", "80", "30"])
def test_no_number_is_cut_on_a_narrow_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    headings = ["metric", *(f"group{index}\nC=6, n 13..2000" for index in range(4)), "collapse"]
    print_table("title", headings, [["nc2_angle_deviation", *["0.1234 [0.101, 0.151]"] * 4, "↓ 0"]])
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "↓ 0" in printed
    assert "nc2_angle_deviation" in printed
    assert printed.count("0.1234") == printed.count("13..2000") == 4


def test_a_pipe_gets_one_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("title", ["metric", *["all"] * 12], [["nc1_pinv", *["0.1234 [0.101, 0.151]"] * 12]])
    assert max(line.count("[0.101, 0.151]") for line in capsys.readouterr().out.splitlines()) == 12


@pytest.mark.parametrize("writable", [True, False])
def test_a_folder_that_cannot_be_written_to_points_at_out(
    writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: writable)
    with pytest.raises(OSError, match="full") as caught, another_place(tmp_path / "run" / "features" / "train.h5"):
        raise OSError(28, "full")
    assert notes_of(caught.value) == (
        [] if writable else [f"{tmp_path} cannot be written to: --out names another place"]
    )
