"""The first UMAP of a process: nctools with exact neighbours against a plain call of umap-learn.

    python analysis/benchmarks/embedding.py            # 6,000 x 768, a few minutes
    python analysis/benchmarks/embedding.py --full     # 50,000 x 768 as well, ten minutes
    python analysis/benchmarks/embedding.py --quick    # 300 x 16: does it run?

Each fit runs in a process of its own, from the start of Python, as a user's first plot does: most of its time is the
import and the compilation of umap-learn. One thread, a fixed seed, 15 neighbours; the ways take turns, and a small fit
of each before them brings all files into the page cache. The rows are normal around 80 normal means;
``kept neighbours`` is the share of each row's 15 nearest rows that are among its 15 nearest in the plane, on average
over 500 rows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _machine import machine_facts, markdown, number, one_thread
from numpy.typing import NDArray

CLASSES, NEIGHBOURS = 80, 15
# Neither imports anything that the other way alone needs.
_ENDS = """
import sys, time
import numpy as np
rows = np.load(sys.argv[1])
{fit}
np.save(sys.argv[2], points)
print(time.process_time())
"""
WAYS = {
    "nctools": _ENDS.format(
        fit="""
import torch
from nctools.features import reduce
torch.set_num_threads(1)
points = reduce(rows, method="umap", seed=0, n_neighbours=15).points
"""
    ),
    "umap-learn": _ENDS.format(
        fit="""
import umap
points = umap.UMAP(n_neighbors=15, random_state=0, n_jobs=1).fit_transform(rows)
"""
    ),
}
Rows = NDArray[np.float32]


def made_up(size: int, width: int) -> Rows:
    """Draw rows around class means."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((CLASSES, width), np.float32)
    rows: Rows = means[rng.integers(0, CLASSES, size)] + rng.standard_normal((size, width), np.float32)
    return rows


def in_process(way: str, rows: Rows, folder: Path) -> dict[str, float]:
    """Run one way in a fresh process: seconds of the whole process, and how well it did."""
    given, made = folder / "rows.npy", folder / "points.npy"
    np.save(given, rows)
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    command = [sys.executable, "-W", "ignore", "-c", WAYS[way], str(given), str(made)]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | threads)
    wall = time.perf_counter() - started
    kept = kept_neighbours(rows, np.load(made))
    return {"cpu_seconds": float(done.stdout.split()[-1]), "wall_seconds": wall, "kept_neighbours": kept}


def kept_neighbours(rows: Rows, points: NDArray[np.floating]) -> float:
    """Give the share of near rows that are near in the plane."""
    asked = np.random.default_rng(1).permutation(len(rows))[:500]
    near = [
        torch.cdist(torch.from_numpy(whole[asked]), torch.from_numpy(whole)).topk(NEIGHBOURS + 1, largest=False)[1]
        for whole in (rows, np.asarray(points, np.float32))
    ]
    shared = [len(set(a[1:]) & set(b[1:])) for a, b in zip(near[0].tolist(), near[1].tolist(), strict=True)]
    return statistics.fmean(shared) / NEIGHBOURS


def compare(size: int, width: int, runs: int) -> list[dict[str, str | float]]:
    """Run the ways in turn: a row for each."""
    rows = made_up(size, width)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            in_process(way, rows[:100, :8], Path(folder))
        for turn in range(runs):
            for way in list(WAYS)[:: 1 - 2 * (turn % 2)]:
                found[way].append(in_process(way, rows, Path(folder)))
                print(f"{size} x {width}, {way}: {found[way][-1]['cpu_seconds']:.1f} CPU seconds", file=sys.stderr)
    medians = {
        way: {key: statistics.median(one[key] for one in taken) for key in taken[0]} for way, taken in found.items()
    }
    return [
        {
            "case": f"{size} x {width}",
            "way": way,
            **values,
            "cpu_ratio": values["cpu_seconds"] / medians["nctools"]["cpu_seconds"],
            "wall_ratio": values["wall_seconds"] / medians["nctools"]["wall_seconds"],
        }
        for way, values in medians.items()
    ]


def report(rows: Sequence[Mapping[str, str | float]]) -> str:
    """Write the rows as a table in Markdown."""
    return markdown(
        [
            {
                "case": str(row["case"]),
                "way": str(row["way"]),
                "CPU seconds": number(float(row["cpu_seconds"])),
                "wall seconds": number(float(row["wall_seconds"])),
                "CPU to nctools": number(float(row["cpu_ratio"]), ".2f"),
                "wall to nctools": number(float(row["wall_ratio"]), ".2f"),
                "kept neighbours": number(float(row["kept_neighbours"]), ".3f"),
            }
            for row in rows
        ]
    )


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="300 x 16, one run")
    sizes.add_argument("--full", action="store_true", help="50,000 x 768 as well")
    parser.add_argument("--runs", type=int, default=3, help="processes of each way (default 3; of the large case one)")
    parser.add_argument("--out", type=Path, help="folder for embedding.csv and embedding.md")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}: give at least 1")
    one_thread()
    busy = f"load at the start {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    facts = f"{machine_facts()}; {busy}"
    print(f"{facts}\n")
    rows = compare(300, 16, 1) if options.quick else compare(6000, 768, options.runs)
    if options.full:
        rows += compare(50_000, 768, 1)
    print(report(rows))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.out / "embedding.csv", index=False)
        head = f"# First UMAP of a process\n\n{facts}. Medians of {options.runs} processes of each way.\n\n"
        (options.out / "embedding.md").write_text(head + report(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
