"""NC1 to NC4 from features: nctools against the formulas written out, a public toolkit, and a lower bound.

    python analysis/benchmarks/nc_metrics.py                  # two cases, about two minutes
    python analysis/benchmarks/nc_metrics.py --full           # all four, about twelve minutes
    python analysis/benchmarks/nc_metrics.py --quick          # seconds: does it run?

Six values on one thread: NC1 by pseudo-inverse, quotient and class-distance normalised variance, NC2 and NC3 by the
distance from a simplex ETF, NC4. The ways to them take turns in one process and are timed in its CPU seconds (median).
``two-pass D x D`` computes class means by one-hot products, D x D covariances, a pseudo-inverse and pairwise
differences, in float32. ``neural-collapse toolkit`` is the package ``neural_collapse`` with batches of 128 and tiles
of 64, when it can be imported; the environment variable PEERS may name its folder. ``floor`` reads the features twice
and multiplies them with one [D, 2C] matrix: NC4 needs that product, whatever else is done. Extra peak memory is taken
in a process of its own for each way. Accuracy is the worst relative error against float64, over the six values.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from _machine import extra_peak_mib, machine_facts, markdown, number, one_thread
from _nc_cases import CASES, STATES, Case, Data, State, make_data, reference
from _nc_routes import TOOLKIT, Route, routes

DEFAULT = ("few-classes", "class-wise")
FULL = ("few-classes", "class-wise", "wide", "many-classes")


def cpu_seconds(ways: Mapping[str, Route], data: Data, runs: int) -> dict[str, float]:
    """Run the ways in turn and give the median CPU seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            gc.collect()
            started = time.process_time()
            way(data)
            seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def memory_in_child(case: str, way: str) -> float:
    """Measure the extra peak memory of one way, in MiB, in a process that does nothing else."""
    command = [sys.executable, __file__, "--cases", case, "--memory-of", way]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def errors(ways: Mapping[str, Route], case: Case, state: State) -> dict[str, tuple[float, str]]:
    """Give the worst relative error of each way, and the metric that has it."""
    data = make_data(case, state)
    expected = reference(data)
    worst = {}
    for name, way in ways.items():
        values = way(data)
        off = {metric: abs(value - expected[metric]) / abs(expected[metric]) for metric, value in values.items()}
        if off:
            metric = max(off, key=off.__getitem__)
            worst[name] = (off[metric], metric)
    return worst


def compare(name: str, runs: int, *, memory: bool) -> list[dict[str, str | float]]:
    """Compare all ways on one case: a row for each."""
    case = CASES[name]
    ways = routes(case)
    data = make_data(case)
    seconds = cpu_seconds(ways, data, runs)
    del data
    wrong = {state.name: errors(ways, case, state) for state in STATES}
    rows: list[dict[str, str | float]] = []
    for way, value in seconds.items():
        row: dict[str, str | float] = {"case": name, "sizes": case.title, "way": way, "cpu_seconds": value}
        row["ratio_to_nctools"] = value / seconds["nctools"]
        row["ratio_to_floor"] = value / seconds["floor"]
        row["extra_peak_mib"] = memory_in_child(name, way) if memory else float("nan")
        for state, found in wrong.items():
            row[f"error: {state}"], row[f"worst metric: {state}"] = found.get(way, (float("nan"), ""))
        rows.append(row)
    return rows


def report(rows: Sequence[Mapping[str, str | float]]) -> str:
    """Write the rows as two tables in Markdown: time and memory, accuracy."""
    speed = [
        {
            "case": str(row["sizes"]),
            "way": str(row["way"]),
            "CPU seconds": number(float(row["cpu_seconds"])),
            "to nctools": number(float(row["ratio_to_nctools"]), ".2f"),
            "to the floor": number(float(row["ratio_to_floor"]), ".2f"),
            "extra peak MiB": number(float(row["extra_peak_mib"]), ".0f"),
        }
        for row in rows
    ]
    accuracy = [
        {"case": str(row["sizes"]), "way": str(row["way"])}
        | {
            state.name: f"{number(float(row[f'error: {state.name}']), '.1e')} ({row[f'worst metric: {state.name}']})"
            for state in STATES
        }
        for row in rows
        if row["way"] != "floor"
    ]
    worst = "Worst relative error, and the metric that has it"
    return f"Time and memory\n\n{markdown(speed)}\n{worst}\n\n{markdown(accuracy)}"


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="one small case, three runs, no memory")
    sizes.add_argument("--full", action="store_true", help="all four cases")
    sizes.add_argument("--cases", nargs="+", choices=list(CASES), default=list(DEFAULT))
    parser.add_argument("--runs", type=int, default=5, help="runs of each way (default 5; with --quick 3)")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    parser.add_argument("--out", type=Path, help="folder for nc_metrics.csv and nc_metrics.md")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}: give at least 1")
    if options.quick:
        options.cases, options.runs, options.no_memory = ["quick"], min(options.runs, 3), True
    elif options.full:
        options.cases = list(FULL)
    return options


def main() -> None:
    """Measure, print, and write the tables."""
    options = options_of()
    for way in routes(CASES["quick"]).values():  # load everything before anything is measured
        way(make_data(CASES["quick"]))
    one_thread()
    if options.memory_of:
        case = CASES[options.cases[0]]
        data = make_data(case)
        print(extra_peak_mib(lambda: routes(case)[options.memory_of](data)))
        return
    facts = machine_facts()
    print(f"{facts}\n")
    rows = []
    for name in options.cases:
        print(f"{CASES[name].title} ...", file=sys.stderr)
        rows += compare(name, options.runs, memory=not options.no_memory)
    text = report(rows)
    print(text)
    if not any(str(row["way"]).startswith(TOOLKIT) for row in rows):
        print(f"{TOOLKIT}: not found, left out (PEERS may name the folder of the package neural_collapse)")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.out / "nc_metrics.csv", index=False)
        head = f"# NC metrics from features\n\n{facts}. Median CPU seconds of {options.runs} runs.\n\n"
        (options.out / "nc_metrics.md").write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad():
        main()
