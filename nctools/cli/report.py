"""``nctools report``: one self-contained HTML page about one or several runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    with input_errors(), another_place(target):
        write_report(runs, target, overwrite=force, tell=(lambda line: None) if quiet else say, **options)
    sys.stdout.write(f"{target}\n")
