"""Class maps: all classes in one call against one forward pass for each class, by hand and by torch-cam.

    python analysis/benchmarks/class_maps.py            # 20 and 80 classes, a few minutes
    python analysis/benchmarks/class_maps.py --full     # 1000 classes as well
    python analysis/benchmarks/class_maps.py --quick    # seconds: does it run?

One thread; the ways take turns in one process and are timed in its CPU seconds (median). Grad-CAM of a batch of images
and of all classes, from a ResNet-18 with a linear classifier (``erm``) and with a class-wise attention head
(``class_attention``). ``by hand`` keeps the map of ``backbone`` in a hook and differentiates one logit, after a forward
pass for each class; ``torch-cam`` does the same through its own hooks; ``torch-cam, graph kept`` runs the model once
and keeps the graph of the whole network. ``nctools`` is told the layer; ``nctools, layer looked for`` is not. Agreement
is the largest difference of any value from the maps by hand, by the largest value. ``extra MiB`` is the most memory
beyond what the process had before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from _machine import Timing, extra_peak_mib, in_turn, machine_facts, markdown, number, one_thread
from torch import Tensor
from torchcam import methods

import nctools
from nctools.methods import Method

Way = Callable[[Method, Tensor], Tensor]
LAYER = "backbone"


@dataclass(frozen=True)
class Case:
    """What is compared."""

    method: str
    backbone: str
    classes: int
    images: int
    size: int

    @property
    def title(self) -> str:
        """One line."""
        return f"{self.method}, {self.backbone}, {self.images} x {self.size} px, C = {self.classes}"


def by_nctools(layer: str | None, model: Method, images: Tensor) -> Tensor:
    """The package."""
    return nctools.class_maps(model, images, method="gradcam", layer=layer).maps


def by_hand(model: Method, images: Tensor) -> Tensor:
    """A forward pass and a backward pass for each class."""
    kept: list[Tensor] = []
    handle = model.get_submodule(LAYER).register_forward_hook(lambda module, args, output: kept.append(output))
    maps, index, count = [], 0, 1
    while index < count:
        logits = model(images).logits
        feature_map = kept.pop()
        (gradient,) = torch.autograd.grad(logits[:, index].sum(), feature_map)
        weights = gradient.mean((2, 3), keepdim=True)
        maps.append((weights * feature_map.detach()).sum(1).relu())
        index, count = index + 1, logits.shape[1]
    handle.remove()
    return torch.stack(maps, 1)


def by_torch_cam(model: Method, images: Tensor) -> Tensor:
    """The same, its hooks."""
    maps, index, count = [], 0, 1
    with methods.GradCAM(model, LAYER) as extractor:
        while index < count:
            logits = model(images).logits
            maps.append(extractor(index, scores=logits, normalized=False)[0])
            index, count = index + 1, logits.shape[1]
    return torch.stack(maps, 1)


def by_torch_cam_at_once(model: Method, images: Tensor) -> Tensor:
    """One forward pass; the graph of the whole network is kept."""
    with methods.GradCAM(model, LAYER) as extractor:
        logits = model(images).logits
        found = [
            extractor(index, scores=logits, normalized=False, retain_graph=True)[0] for index in range(logits.shape[1])
        ]
    return torch.stack(found, 1)


WAYS: dict[str, Way] = {
    "nctools": partial(by_nctools, LAYER),
    "nctools, layer looked for": partial(by_nctools, None),
    "torch-cam, graph kept": by_torch_cam_at_once,
    "torch-cam, one forward per class": by_torch_cam,
    "by hand, one forward per class": by_hand,
}


def cases(options: argparse.Namespace) -> list[Case]:
    """What was asked for."""
    kinds = ("erm", "class_attention")
    if options.quick:
        return [Case(kind, "small", 5, 2, 48) for kind in kinds]
    found = [Case(kind, "resnet18", count, 4, 160) for count in (20, 80) for kind in kinds]
    return found + ([Case(kind, "resnet18", 1000, 4, 160) for kind in kinds] if options.full else [])


def compare(case: Case, runs: int) -> list[dict[str, str | float]]:
    """Run the ways in turn: a row for each."""
    torch.manual_seed(0)
    model = nctools.methods.build(case.method, num_classes=case.classes, backbone=case.backbone).eval()
    images = torch.randn(case.images, 3, case.size, case.size)
    # A thousand forward passes tell nothing that eighty do not.
    ways = {name: way for name, way in WAYS.items() if case.classes < 1000 or "per class" not in name}
    values: dict[str, Tensor] = {}

    def run(name: str) -> None:
        values[name] = ways[name](model, images)

    calls = {name: partial(run, name) for name in ways}
    memory = {name: extra_peak_mib(call) for name, call in calls.items()}
    times: dict[str, Timing] = in_turn(calls, runs, warm_up=False)
    expected = values[next(reversed(ways))]
    return [
        {
            "case": case.title,
            "way": name,
            "cpu_seconds": times[name].cpu,
            "ratio_to_nctools": times[name].cpu / times["nctools"].cpu,
            "extra_mib": memory[name],
            "difference": float((values[name] - expected).abs().max() / expected.abs().max()),
        }
        for name in calls
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
                "extra MiB": number(float(row["extra_mib"]), ".0f"),
                "from by hand": number(float(row["difference"]), ".0e"),
            }
            for row in rows
        ]
    )


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="small cases, one run")
    sizes.add_argument("--full", action="store_true", help="1000 classes as well, from one forward pass alone")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way (default 3)")
    parser.add_argument("--out", type=Path, help="folder for class_maps.csv and class_maps.md")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}: give at least 1")
    one_thread()
    facts = machine_facts()
    print(f"{facts}\n")
    rows = []
    for case in cases(options):
        print(f"{case.title} ...", file=sys.stderr)
        rows += compare(case, 1 if options.quick else options.runs)
    print(report(rows))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.out / "class_maps.csv", index=False)
        head = f"# Class maps\n\n{facts}. Median CPU seconds of {options.runs} runs.\n\n"
        (options.out / "class_maps.md").write_text(head + report(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
