"""The ``nctools`` command: registers the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from nctools import __version__
from nctools._factories import is_factory
from nctools.cli import convert, data, demo, doctor, evaluate, extract, listings, localise, measure, report, train
from nctools.cli.output import notes_of, say
from nctools.cli.plot import app as plot
from nctools.errors import MissingExtraError, NctoolsError, UnknownNameError

EPILOG = (
    "Exit codes: 0 done; 1 internal error; 2 wrong usage; 3 input missing or unreadable; 4 a check failed; "
    "5 a library is not installed; 130 interrupted."
)

app = typer.Typer(
    name="nctools",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    help="Neural collapse for long-tailed, multi-label image classification: train, extract, measure, see.",
)
app.command("demo", short_help="The main job on embedded data: train, measure, compare, draw.")(demo.run)
app.command("train", short_help="Train a method; writes a run directory.")(train.run)
app.command("extract", short_help="Features of a checkpoint to HDF5, through hooks.")(extract.run)
app.command("measure", short_help="NC1 to NC4 of a checkpoint or feature file, by group.")(measure.run)
app.command("evaluate", short_help="mAP by group, G-mAP, F1 and calibration of runs and checkpoints.")(evaluate.run)
app.command("localise", short_help="Class maps against boxes: energy and pointing game, by group.")(localise.run)
app.add_typer(plot.app, name="plot", short_help="Figures: curves, angles, embedding, scores, class maps, ...")
app.command("report", short_help="One HTML page about runs: scores, collapse, figures.")(report.run)
app.add_typer(data.app, name="data", short_help="List and describe data sets.")
app.command("methods", short_help="List the training methods.")(listings.list_methods)
app.command("losses", short_help="List the losses.")(listings.list_losses)
app.command("metrics", short_help="List the NC metrics.")(listings.list_metrics)
app.command("explain", short_help="Formula and source of a metric or loss; parts of a method.")(listings.explain)
app.command("convert", short_help="Files of weights of other programs to safe, plain ones.")(convert.run)
app.command("doctor", short_help="Check the installation.")(doctor.run)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nctools {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    imported: Annotated[
        list[str] | None,
        typer.Option(
            "--import", metavar="MODULE:CLASS", help="Import a method of your own, whose checkpoints are to be read."
        ),
    ] = None,
) -> None:
    """Options that stand before the command; ``main`` reads ``--debug`` itself, as it sees errors of any command."""
    for name in imported or []:
        from nctools.methods.own_methods import import_method

        if not is_factory(name):
            raise typer.BadParameter(f"{name!r} is not of the form MODULE:CLASS, such as my_module:MyMethod")
        import_method(name)


def main() -> None:
    """Run the command line; every error becomes one line on stderr and an exit code."""
    try:
        app()
    except Exception as error:
        code = _report(error)
        for note in notes_of(error):
            say(note)
        raise SystemExit(code) from None


def _report(error: Exception) -> int:
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    if isinstance(error, UnknownNameError):
        say(f"error: {error}")
        return 2
    if isinstance(error, MissingExtraError):
        say(f"error: {error}")
        return 5
    if isinstance(error, NctoolsError):
        say(f"error: {error}")
        return 3
    if isinstance(error, ModuleNotFoundError):
        say(f"error: the library {error.name!r} is not installed: pip install {error.name}")
        return 5
    if isinstance(error, OSError):
        say(f"error: {error.strerror or error}: {error.filename or 'a file'}")
        return 3
    line = " ".join(str(error).split())
    say(f"internal error: {type(error).__name__}: {line} (traceback: nctools --debug ...)")
    return 1
