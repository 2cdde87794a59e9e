"""The options that every study's script has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypedDict

from nctools.errors import NctoolsError, UnknownNameError
from nctools.methods.assembly import argument_names
from nctools.studies.plan import Variant
from nctools.training.settings import parse_settings

SMOKE_SETTINGS: dict[str, object] = {"recipe.epochs": 2, "nc.every": 1}
_WARM_UP = "warmup_epochs"


class StudyArguments(TypedDict):
    """What the options say, as the arguments of ``run_study``.

    Keys:
        dataset: Name of the data set, or a path.
        data_root: Its folder.
        seeds: Seeds of each variant.
        out: Folder of runs, tables and figures.
        jobs: Runs at a time; None decides itself.
        settings: Settings of all variants.
        force: Replace runs with other settings.
    """

    dataset: str
    data_root: str | None
    seeds: list[int]
    out: Path
    jobs: int | None
    settings: dict[str, object]
    force: bool


def add_study_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options of a study to a parser.

    Args:
        parser: The script's parser.

    Returns:
        The same parser.

    Example:
        >>> options = add_study_options(argparse.ArgumentParser()).parse_args(["--smoke"])
        >>> study_arguments(options)["seeds"], study_arguments(options)["out"].as_posix()
        ([0], 'runs/studies/digits_lt-smoke')
    """
    add = parser.add_argument
    add("--dataset", default="digits_lt", help="name of a data set, or a split file (default: digits_lt)")
    add("--data-root", help="folder of the data set")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="seeds of each variant (default: 0 1 2 3 4)")
    add(
        "--jobs",
        type=int,
        help="runs at a time, which share the cores (default: number of cores, 1 where there is a GPU; 0: in this "
        "process). One run alone takes all cores; small ones are quicker one on each core, above all on a busy machine",
    )
    add("--out", type=Path, help="folder of runs, tables and figures (default: runs/studies/DATASET)")
    add("--set", dest="settings", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="for all variants")
    add("--only", nargs="+", metavar="NAME", help="these variants alone")
    add(
        "--smoke",
        action="store_true",
        help="two epochs of one seed, losses without warm-up in the second: does it run?",
    )
    add("--force", action="store_true", help="replace runs that were made with other settings")
    return parser


def study_arguments(options: argparse.Namespace) -> StudyArguments:
    """Read the options of a study.

    Args:
        options: What the parser returned.

    Returns:
        Arguments of ``run_study``.
    """
    smoke = bool(options.smoke)
    name = Path(options.dataset).stem + ("-smoke" if smoke else "")
    given = parse_settings(options.settings)
    return StudyArguments(
        dataset=options.dataset,
        data_root=options.data_root,
        seeds=list(options.seeds[:1] if smoke else options.seeds),
        out=options.out or Path("runs") / "studies" / name,
        jobs=options.jobs,
        settings=(SMOKE_SETTINGS if smoke else {}) | given,
        force=bool(options.force),
    )


def run_script(main: Callable[[], int]) -> NoReturn:
    """Run a study's script: what the user can mend is told in one line, an interruption ends quietly.

    Args:
        main: Returns the exit code.

    Raises:
        SystemExit: Always; with 3 after an error of the user's input, with 130 after Ctrl-C.
    """
    try:
        code = main()
    except NctoolsError as error:
        sys.stderr.write(f"error: {error}\n")
        code = 3
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)


def chosen_variants(variants: Sequence[Variant], options: argparse.Namespace) -> list[Variant]:
    """Keep the variants that ``--only`` names; of ``--smoke`` with a warm-up of one epoch, so that every loss is run.

    Args:
        variants: All variants of the study.
        options: What the parser returned.

    Returns:
        Those named, in the order of the study; all where none is named.

    Raises:
        UnknownNameError: If a name is that of no variant; near misses are listed.
    """
    known = [variant.name for variant in variants]
    for name in options.only or []:
        if name not in known:
            raise UnknownNameError("variant", name, known)
    chosen = [variant for variant in variants if not options.only or variant.name in options.only]
    given = {str(setting).partition("=")[0].removeprefix("arguments.") for setting in options.settings}
    return chosen if not options.smoke or _WARM_UP in given else [_warmed_up_at_once(variant) for variant in chosen]


def _warmed_up_at_once(variant: Variant) -> Variant:
    if _WARM_UP not in argument_names(variant.method):
        return variant
    return replace(variant, settings={_WARM_UP: 1, **variant.settings})
