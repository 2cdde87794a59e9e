"""One training step of MLC-NC: head and losses against loops, a linear head and a lower bound; or with the backbone.

    python analysis/benchmarks/mlc_nc_step.py                  # head and losses, C = 20 and 80: about two minutes
    python analysis/benchmarks/mlc_nc_step.py --quick          # seconds: does it run?
    python analysis/benchmarks/mlc_nc_step.py --full-step      # with ResNet-50, on the CPU, 8 images
    python analysis/benchmarks/mlc_nc_step.py --device cuda    # with ResNet-50, 64 images; needs a CUDA device

Without the backbone a step starts from maps of 2048 x 7 x 7 for 64 images and ends with the gradients of all
parameters and of the maps, and with the class centres updated. ``nctools`` is the released variant (multihead attention
of width 768). ``loops`` computes the same numbers with the same parameters in the plain loops that code of the field is
written in (``_mlc_nc_loops.py``); before anything is timed, values and gradients of the two must agree to 1e-5.
``paper variant`` has the attention without parameters. ``linear head, BCE`` is a linear layer on the pooled map.
``floor`` does the matrix products of the step alone, into memory that exists: less cannot do it. The ways take turns in
one process on one thread and are timed in its CPU seconds (medians); the quick ones run several times a turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from _machine import Way, in_turn, machine_facts, markdown, number, one_thread
from _mlc_nc_cases import CASES, Case, parts, whole_steps
from _mlc_nc_full_step import full_steps

_AGREEMENT = 1e-5
_TURN = 0.2
# What a part or a step is to reach: times faster than the loops.
_GOALS = {
    ("whole step", 20): 1.7,
    ("whole step", 80): 10.0,
    ("class-wise projection", 20): 100.0,
    ("class-wise projection", 80): 100.0,
    ("collapse calibration (L_FPC)", 20): 300.0,
    ("collapse calibration (L_FPC)", 80): 300.0,
}
Row = dict[str, str | float]


def difference(ours: Way, loops: Way, what: str) -> float:
    """Largest relative difference of the values and gradients that two ways return.

    Raises:
        SystemExit: If it is more than rounding.
    """
    pairs = zip(ours(), loops(), strict=True)  # type: ignore[call-overload]
    found = max(float((a.double() - b.double()).norm() / b.double().norm()) for a, b in pairs)
    if not found <= _AGREEMENT:
        sys.exit(f"{what}: nctools and the loops differ by {found:.1e}, more than {_AGREEMENT:.0e}: nothing was timed")
    return found


def compare_steps(case: Case, runs: int) -> Iterator[Row]:
    """Time whole steps, without the backbone."""
    exact = whole_steps(case, dropout=0.0)
    apart = difference(exact["nctools"], exact["loops"], f"whole step, C={case.classes}")
    timed = in_turn(whole_steps(case), runs, warm_up=False, at_least=_TURN)
    for name, timing in timed.items():
        yield {
            "classes": case.classes,
            "way": name,
            "milliseconds": 1e3 * timing.cpu,
            "ratio_to_nctools": timing.cpu / timed["nctools"].cpu,
            "ratio_to_floor": timing.cpu / timed["floor"].cpu,
            "goal": _GOALS.get(("whole step", case.classes), float("nan")) if name == "loops" else float("nan"),
            "difference": apart if name == "loops" else float("nan"),
        }


def compare_parts(case: Case, runs: int) -> Iterator[Row]:
    """Time the parts of a step, each against its loops."""
    # Few images: at full size the whole step has shown the same, and loops are slow.
    few = parts(replace(case, images=min(case.images, 8)))
    for name, (ours, loops) in parts(case).items():
        apart = difference(*few[name], f"{name}, C={case.classes}")
        timed = in_turn({"nctools": ours, "loops": loops}, runs, warm_up=False, at_least=_TURN)
        yield {
            "classes": case.classes,
            "part": name,
            "nctools_ms": 1e3 * timed["nctools"].cpu,
            "loops_ms": 1e3 * timed["loops"].cpu,
            "times_faster": timed["loops"].cpu / timed["nctools"].cpu,
            "goal": _GOALS.get((name, case.classes), float("nan")),
            "difference": apart,
        }


def table(rows: Sequence[Mapping[str, str | float]], columns: Mapping[str, tuple[str, str]]) -> str:
    """Write rows as a table in Markdown; a column has its heading and the form of its numbers."""
    return markdown(
        [
            {
                heading: str(row[name]) if isinstance(row[name], str) else number(float(row[name]), form)
                for name, (heading, form) in columns.items()
            }
            for row in rows
        ]
    )


_OF_STEPS = {
    "classes": ("C", ".0f"),
    "way": ("way", ""),
    "milliseconds": ("CPU ms a step", ".4g"),
    "ratio_to_nctools": ("to nctools", ".3g"),
    "goal": ("goal", ".3g"),
    "ratio_to_floor": ("to the floor", ".3g"),
    "difference": ("difference", ".0e"),
}
_OF_PARTS = {
    "classes": ("C", ".0f"),
    "part": ("part", ""),
    "nctools_ms": ("nctools, ms", ".3g"),
    "loops_ms": ("loops, ms", ".3g"),
    "times_faster": ("times faster", ".3g"),
    "goal": ("goal", ".3g"),
    "difference": ("difference", ".0e"),
}
_OF_FULL_STEPS = {
    "form": ("form", ""),
    "way": ("way", ""),
    "milliseconds": ("ms a step", ".4g"),
    "images_per_second": ("images a second", ".3g"),
    "percent_of_bare": ("% of the bare backbone's", ".1f"),
}


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--classes", nargs="+", type=int, choices=(20, 80), default=[20, 80])
    parser.add_argument("--runs", type=int, help="turns of each way (default 3; 5 with the backbone)")
    parser.add_argument("--full-step", action="store_true", help="with the backbone")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: with the backbone only")
    parser.add_argument("--images", type=int, help="of a full step (default 8; 64 with cuda)")
    parser.add_argument("--out", type=Path, help="folder for CSV files of the tables")
    options = parser.parse_args(arguments)
    if options.runs is None:
        options.runs = 5 if options.full_step or options.device == "cuda" else 3
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}: give at least 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device is cuda, but torch sees no CUDA device here: nothing can be timed on one")
    return options


def main() -> None:
    """Measure, print, and write the tables."""
    options = options_of()
    one_thread()
    print(f"{machine_facts()}\n", flush=True)
    found: dict[str, list[Row]] = {}
    if options.full_step or options.device == "cuda":
        found["full_step"] = list(full_steps(options.device, options.images, options.runs, quick=options.quick))
        print(table(found["full_step"], _OF_FULL_STEPS))
    else:
        cases = [CASES["quick"]] if options.quick else [CASES[str(classes)] for classes in options.classes]
        found["steps"] = [row for case in cases for row in compare_steps(case, options.runs)]
        print(f"Whole steps without the backbone\n\n{table(found['steps'], _OF_STEPS)}", flush=True)
        found["parts"] = [row for case in cases for row in compare_parts(case, options.runs)]
        print(f"Parts\n\n{table(found['parts'], _OF_PARTS)}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, rows in found.items():
            pd.DataFrame(rows).to_csv(options.out / f"mlc_nc_{name}.csv", index=False)


if __name__ == "__main__":
    main()
