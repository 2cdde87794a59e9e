"""NC metrics of a stream with very many classes: time and memory.

    python analysis/benchmarks/many_classes.py                                                  # seconds
    python analysis/benchmarks/many_classes.py --pairs 5000000 --classes 50000 --width 768      # minutes

The pairs are never held: each pass draws them anew from seeded generators. Features are normal around normal class
means. The default metrics need the class means, one sum for each class, and for ``nc1_pinv`` a second pass; none of
them is about pairs of classes. The time to draw the pairs is told apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial

import torch
from _machine import extra_peak_mib, machine_facts, number, one_thread
from torch import Tensor

from nctools.collapse import CollapseResult, PairSource, compute_metrics, metric_ids

DEFAULT_METRICS = ("nc1_pinv", "nc1_quotient", "nc2_norm_ratio", "nc2_equinorm_cov")
SIGMA = 0.5
BATCH = 8192


class Stream:
    """Pairs drawn anew at each pass.

    Args:
        pairs: How many pairs a pass gives.
        num_classes: C.
        width: D.
        seed: Of everything that is drawn.

    Attributes:
        seconds: Wall time spent on drawing so far.
        passes: Number of passes begun.
    """

    def __init__(self, pairs: int, num_classes: int, width: int, seed: int = 0) -> None:
        self.pairs, self.num_classes, self.width, self.seed = pairs, num_classes, width, seed
        draw = torch.Generator().manual_seed(seed)
        self.means = torch.randn(num_classes, width, generator=draw)
        self.order = torch.randperm(num_classes, generator=draw)
        self.seconds, self.passes = 0.0, 0

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give features, classes and samples, the same ones at each call."""
        self.passes += 1
        draw = torch.Generator().manual_seed(self.seed + 1)
        for start in range(0, self.pairs, BATCH):
            began = time.perf_counter()
            samples = torch.arange(start, min(start + BATCH, self.pairs))
            # Every class comes once before any comes again.
            classes = self.order[samples % self.num_classes]
            features = torch.randn(len(samples), self.width, generator=draw).mul_(SIGMA).add_(self.means[classes])
            self.seconds += time.perf_counter() - began
            yield features, classes, samples

    def expected_nc1(self) -> float:
        """NC1 by pseudo-inverse that is expected of such pairs (inverse Wishart); NaN unless C is well above D."""
        if self.num_classes <= self.width + 2:
            return float("nan")
        per_class = self.pairs / self.num_classes
        within, means = SIGMA**2 * (1 - 1 / per_class), 1 + SIGMA**2 / per_class
        return within / means * self.width / (self.num_classes - self.width - 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--classes", type=int, default=5_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--metrics", nargs="+", default=list(DEFAULT_METRICS), metavar="ID")
    parser.add_argument("--threads", type=int, help="threads of torch (default: one)")
    parser.add_argument("--max-memory", help="limit of compute_metrics, for example 4G (default: none)")
    parser.add_argument("--sample-pairs", type=int, help="NC4 looks at about so many pairs (default: all)")
    options = parser.parse_args()
    if min(options.pairs, options.classes, options.width) < 1 or options.pairs < options.classes:
        parser.error("give at least one class, one feature, and as many pairs as classes")
    try:
        ids = metric_ids(options.metrics, kind="single", no_classifier="there is no classifier here")
    except ValueError as error:
        parser.error(str(error))
    measure(Stream(512, 16, 8), ids)  # load everything before anything is measured
    one_thread()
    if options.threads:
        torch.set_num_threads(options.threads)
    stream = Stream(options.pairs, options.classes, options.width)
    found: list[CollapseResult] = []
    run = partial(measure, stream, ids, max_memory=options.max_memory, sample_pairs=options.sample_pairs)
    started, started_cpu = time.perf_counter(), time.process_time()
    peak = extra_peak_mib(lambda: found.append(run()))
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    table = 8 * options.classes * options.width / 2**20
    lines = {
        "wall seconds": f"{seconds:.2f} ({cpu:.2f} CPU seconds), {stream.seconds:.2f} of them to draw the pairs",
        "pairs per second": f"{options.pairs / seconds:,.0f}, without the drawing "
        f"{options.pairs / max(seconds - stream.seconds, 1e-9):,.0f}",
        "passes": str(stream.passes),
        "extra peak MiB": f"{number(peak, '.0f')} (one float64 table of class means: {table:.0f})",
    }
    print(f"{machine_facts()}\n\n{options.pairs:,} pairs x {options.width}, {options.classes:,} classes")
    for name, text in lines.items():
        print(f"{name:<20} {text}")
    for name, value in found[0].to_dict()["all"].items():
        expected = f" (expected {number(stream.expected_nc1(), '.6g')})" if name == "nc1_pinv" else ""
        print(f"{name:<20} {value:.6g}{expected}")


def measure(
    stream: Stream, ids: list[str], *, max_memory: str | None = None, sample_pairs: int | None = None
) -> CollapseResult:
    """Compute the metrics of a stream."""
    source = PairSource("single", stream.num_classes, stream.width, stream.batches)
    return compute_metrics(source, metrics=ids, groups={}, max_memory=max_memory, sample_pairs=sample_pairs)


if __name__ == "__main__":
    with torch.no_grad():
        main()
