"""Time of ``nctools --help`` against a bare typer program with as many commands, alternating in one run.

    python analysis/benchmarks/startup.py

Prints the medians and their ratio; also shows that no heavy library is loaded.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 15
COMMANDS = (
    "demo",
    "train",
    "extract",
    "measure",
    "evaluate",
    "plot",
    "data",
    "methods",
    "metrics",
    "explain",
    "doctor",
)
BARE = """
import typer
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
for name in {names!r}:
    app.command(name, help=name)(lambda: None)
app()
"""
HEAVY = {"torch", "lightning", "pandas", "matplotlib", "timm", "torchvision", "umap", "seaborn", "scipy"}


def seconds(command: list[str]) -> float:
    """Run a command and give its wall time."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"COLUMNS": "120"})
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE.format(names=COMMANDS), encoding="utf-8")
        commands = {
            "bare typer program": [sys.executable, str(bare), "--help"],
            "nctools": [sys.executable, "-c", "from nctools.cli.app import main; main()", "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, command in commands.items():
                times[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<20} {value:.3f} s")
    print(f"{'ratio':<20} {medians['nctools'] / medians['bare typer program']:.2f}")
    code = "import sys; from nctools.cli import app; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    print(f"heavy libraries loaded by the command line: {sorted(HEAVY & set(loaded)) or 'none'}")


if __name__ == "__main__":
    main()
