"""``nctools report``: one self-contained HTML page about one or several runs."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, cast

import typer

from nctools.cli.options import BatchSize, DataRoot, Device, Force, Quiet, Workers
from nctools.cli.output import another_place, input_errors, refuse_to_overwrite, say

if TYPE_CHECKING:
    from nctools.forward_options import ForwardOptions


def run(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, or folders that hold some.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="HTML file. Default: RUN/report.html; of several runs, beside them."),
    ] = None,
    data_root: DataRoot = None,
    batch_size: BatchSize = 256,
    workers: Workers = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write what there is to know about runs into one HTML page: scores, collapse, figures, warnings, comparison.

    The page needs no network and holds all its numbers as JSON. Features that are missing are extracted into the run.

    Example: nctools report runs/erm runs/mlc_nc -o report.html
    """
    from nctools.report.writing import default_target, write_report

    target = out or default_target(runs)
    refuse_to_overwrite(target, force=force)
    options: ForwardOptions = {
        "data_root": data_root,
        "batch_size": batch_size,
        "workers": workers,
        "device": device,
    }
    with input_errors(), another_place(target), redirect_stderr(cast("TextIO", _NotesOnce(sys.stderr))):
        tell = (lambda line: None) if quiet else say
        write_report(runs, target, overwrite=force, tell=tell, note=lambda line: say(f"note: {line}"), **options)
    sys.stdout.write(f"{target}\n")


class _NotesOnce:
    """The error stream, on which a note that several figures have in common is said once.

    Args:
        stream: Where everything else goes as it is.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said: set[str] = set()

    def write(self, text: str) -> int:
        """Write what is no note, or not said yet."""
        if text.startswith("note: "):
            if text in self._said:
                return len(text)
            self._said.add(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
