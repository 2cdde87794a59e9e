"""Average precision: nctools against scikit-learn, torchmetrics, and the loop that released code of the field runs.

    python analysis/benchmarks/average_precision.py            # 5000 x 80, per class and per image, a minute
    python analysis/benchmarks/average_precision.py --full     # 100000 x 1000 per class as well, ten minutes
    python analysis/benchmarks/average_precision.py --quick    # seconds: does it run?

One thread; the ways take turns in one process and are timed in its CPU seconds (median). Scores are probabilities in
float32, labels long-tailed. ``loop of argsorts`` takes one class at a time: argsort, cumulative sum, mean precision; of
tied samples it takes what a reversed argsort gives, which promises no order. ``one call per image`` is scikit-learn
called for each image, as in released code of MLC-NC. Agreement is the largest difference of any class (or of the mean
over images) from scikit-learn.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _machine import machine_facts, markdown, number, one_thread
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from nctools.evaluation import average_precision, g_map

Scores = NDArray[np.float32]
Labels = NDArray[np.bool_]
Way = Callable[[Scores, Labels], NDArray[np.float64]]
EXPECTED = "scikit-learn"


@dataclass(frozen=True)
class Case:
    """What is compared: sizes, and what is ranked."""

    title: str
    samples: int
    classes: int
    rarest: float
    ways: Mapping[str, Way]
    runs: int


def made_up(case: Case) -> tuple[Scores, Labels]:
    """Labels whose frequency falls geometrically over the classes, and scores that know something of them."""
    rng = np.random.default_rng(0)
    labels = rng.random((case.samples, case.classes), np.float32) < np.geomspace(0.3, case.rarest, case.classes)
    labels[0] = True
    logits = rng.standard_normal((case.samples, case.classes), np.float32) + 1.5 * labels.astype(np.float32) - 2
    return (1 / (1 + np.exp(-logits))).astype(np.float32), labels


def by_nctools(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """The package."""
    return average_precision(scores, labels)


def by_scikit_learn(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """All classes in one call."""
    return np.asarray(average_precision_score(labels, scores, average=None))


def by_torchmetrics(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """Exact: no thresholds."""
    # The public name first: it repairs a torchvision that does not fit torch, which torchmetrics imports.
    from nctools import NeuralCollapse  # noqa: F401, I001
    from torchmetrics.functional.classification import multilabel_average_precision

    found = multilabel_average_precision(
        torch.from_numpy(scores), torch.from_numpy(labels).long(), scores.shape[1], average="none", thresholds=None
    )
    return np.asarray(found.double().numpy())


def by_loop(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """One class at a time."""
    result = np.empty(scores.shape[1])
    steps = np.arange(1, len(scores) + 1)
    for column in range(scores.shape[1]):
        ranked = labels[np.argsort(scores[:, column])[::-1], column]
        found = np.cumsum(ranked)
        result[column] = np.where(ranked, found / steps, 0).sum() / found[-1]
    return result


def images_by_nctools(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """G-mAP."""
    return np.array([g_map(scores, labels)])


def images_one_by_one(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """One call of scikit-learn for each image that has a label."""
    values = [average_precision_score(row, of) for row, of in zip(labels, scores, strict=True) if row.any()]
    return np.array([np.mean(values)])


PER_CLASS: dict[str, Way] = {
    "nctools": by_nctools,
    EXPECTED: by_scikit_learn,
    "torchmetrics (exact)": by_torchmetrics,
    "loop of argsorts": by_loop,
}
PER_IMAGE: dict[str, Way] = {"nctools": images_by_nctools, f"{EXPECTED}, one call per image": images_one_by_one}


def cases(options: argparse.Namespace) -> list[Case]:
    """What was asked for."""
    if options.quick:
        quick = [Case("500 x 20, per class", 500, 20, 0.01, PER_CLASS, 2)]
        return [*quick, Case("100 x 20, per image", 100, 20, 0.01, PER_IMAGE, 2)]
    found = [
        Case("5000 x 80, per class", 5000, 80, 0.002, PER_CLASS, options.runs),
        Case("5000 x 80, per image (G-mAP)", 5000, 80, 0.002, PER_IMAGE, options.runs),
    ]
    if options.full:
        found.append(Case("100000 x 1000, per class", 100_000, 1000, 0.0005, PER_CLASS, min(options.runs, 3)))
    return found


def compare(case: Case) -> list[dict[str, str | float]]:
    """Run the ways in turn: a row for each."""
    scores, labels = made_up(case)
    seconds: dict[str, list[float]] = {name: [] for name in case.ways}
    values: dict[str, NDArray[np.float64]] = {}
    for _ in range(case.runs):
        for name, way in case.ways.items():
            gc.collect()
            started = time.process_time()
            values[name] = way(scores, labels)
            seconds[name].append(time.process_time() - started)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    expected = next(value for name, value in values.items() if name.startswith(EXPECTED))
    return [
        {
            "case": case.title,
            "way": name,
            "cpu_seconds": taken,
            "ratio_to_nctools": taken / medians["nctools"],
            "difference": float(np.abs(values[name] - expected).max()),
        }
        for name, taken in medians.items()
    ]


def report(rows: Sequence[Mapping[str, str | float]]) -> str:
    """Write the rows as a table in Markdown."""
    return markdown(
        [
            {
                "case": str(row["case"]),
                "way": str(row["way"]),
                "CPU seconds": number(float(row["cpu_seconds"])),
                "to nctools": number(float(row["ratio_to_nctools"]), ".1f"),
                "from scikit-learn": number(float(row["difference"]), ".0e"),
            }
            for row in rows
        ]
    )


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="small cases, two runs")
    sizes.add_argument("--full", action="store_true", help="100000 x 1000 as well")
    parser.add_argument("--runs", type=int, default=5, help="runs of each way (default 5; of the large case at most 3)")
    parser.add_argument("--out", type=Path, help="folder for average_precision.csv and average_precision.md")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}: give at least 1")
    for ways in (PER_CLASS, PER_IMAGE):  # load everything before anything is measured
        small = made_up(Case("", 20, 3, 0.2, ways, 1))
        for way in ways.values():
            way(*small)
    one_thread()
    facts = machine_facts()
    print(f"{facts}\n")
    rows = []
    for case in cases(options):
        print(f"{case.title} ...", file=sys.stderr)
        rows += compare(case)
    print(report(rows))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.out / "average_precision.csv", index=False)
        head = f"# Average precision\n\n{facts}. Median CPU seconds of {options.runs} runs.\n\n"
        (options.out / "average_precision.md").write_text(head + report(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
