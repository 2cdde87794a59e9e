"""Options that the plot commands share: which runs, where the figure goes, how it looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nctools.cli.output import input_errors, refuse_to_overwrite
from nctools.run_directory import newest_run

if TYPE_CHECKING:
    from nctools.figures.drawing import Drawing


class Look(StrEnum):
    """How a figure looks; its content is the same."""

    screen = "screen"
    paper = "paper"


Inputs = Annotated[
    list[Path] | None,
    typer.Argument(help="Run directories, checkpoints or feature files, side by side. Default: the newest run."),
]
ResultInputs = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Run directories, checkpoints, feature files or saved results (.json), side by side. "
        "Default: the newest run."
    ),
]
_FILE: Final = "File (.png, .svg, .pdf; without a suffix what --format says, else .png), or a folder."
# Text, because a path forgets that it ended with a slash.
Out = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help=f"{_FILE} Default: RUN/figures/KIND.png; for checkpoints and files KIND.png in the working folder.",
    ),
]
DataOut = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help=f"{_FILE} Default: for a data set DATASET-SPLIT.png in the working folder, for a run RUN/figures/.",
    ),
]
TableOut = Annotated[
    str | None, typer.Option("-o", "--out", metavar="FILE", help=f"{_FILE} Default: beside the table.")
]
CurvesOut = Annotated[
    str | None,
    typer.Option(
        "-o", "--out", metavar="FILE", help=f"{_FILE} Default: RUN/figures/nc-curves.png; for a table beside it."
    ),
]
LayersOut = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="FILE", help=f"{_FILE} Default: layers.png in the working folder."),
]
SpaceOption = Annotated[str | None, typer.Option("--space", help="Feature space. Default: each run's main space.")]
Formats = Annotated[
    str | None, typer.Option("--format", help="More formats of the same name: png, svg, pdf, separated by commas.")
]

StyleOption = Annotated[
    Look, typer.Option("--style", help="screen, or paper: serif letters for a two-column paper, PNG with 300 dpi.")
]
ScoredRuns = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Run directories, folders of runs with different seeds, or files of weights, side by side. "
        "Default: the newest run."
    ),
]
ScoredSplit = Annotated[str | None, typer.Option("--split", help="train, validation or test. [default: test]")]


def chosen_inputs(inputs: list[Path] | None) -> list[Path]:
    """Return what the user named, else the newest run.

    Args:
        inputs: The command's arguments.

    Returns:
        One path or more.
    """
    return list(inputs or []) or [newest_run().path]


def split_names(names: str | None) -> list[str] | None:
    """Split what the user separated by commas.

    Args:
        names: The option as given.

    Returns:
        The names, or None where the option was left out.
    """
    return [name.strip() for name in names.split(",") if name.strip()] if names else None


def default_target(first: Path, name: str) -> Path:
    """Return where a figure goes that the user gave no name.

    Args:
        first: The first input.
        name: File name, with its suffix.

    Returns:
        A file among the figures of a run, or in the working folder.
    """
    return first / "figures" / name if first.is_dir() else Path(name)


def figure_target(out: str | Path | None, usual: Path | str, formats: str | None) -> Path:
    """Return the file of a figure.

    Args:
        out: What ``--out`` says: a file, with a suffix or without, or a folder, which is there or ends with a slash.
        usual: The file where nothing was said; in a folder the figure has its name.
        formats: What ``--format`` says; the first is the suffix of a file without one.

    Returns:
        The file.

    Example:
        >>> [str(figure_target(out, "runs/erm/figures/cam.png", "pdf,svg")) for out in (None, "a/", "a/b", "a/b.png")]
        ['runs/erm/figures/cam.png', 'a/cam.png', 'a/b.pdf', 'a/b.png']
    """
    if out is None:
        return Path(usual)
    file = Path(out)
    if file.is_dir() or str(out).endswith(("/", os.sep)):
        return file / Path(usual).name
    return file if file.suffix else file.with_suffix(f".{(_names(formats) or ['png'])[0]}")


def _names(formats: str | None) -> list[str]:
    return [name.strip().lstrip(".") for name in (formats or "").split(",") if name.strip()]


def draw_to(
    target: Path, draw: Callable[[], Drawing], *, formats: str | None, force: bool, style: Look = Look.screen
) -> None:
    """Draw, write the figure and its data, and print their paths.

    Args:
        target: File of the figure.
        draw: Makes the drawing; called after the target was found to be free.
        formats: More formats, separated by commas.
        force: Replace files that are there.
        style: What ``--style`` says.
    """
    more = _names(formats)
    for path in (target, *(target.with_suffix(f".{name}") for name in more)):
        refuse_to_overwrite(path, force=force)
    from nctools.figures.drawing import save_drawing
    from nctools.plots.theme import use_style

    with input_errors(), use_style(style.value):
        written = save_drawing(draw(), target, formats=more)
    sys.stdout.write("".join(f"{path}\n" for path in written))
