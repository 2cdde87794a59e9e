"""Data sets for the tests of collapse, made by code, and the comparison of a result with the slow reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.collapse.catalogue import METRICS
from nctools.collapse.compute import compute_metrics
from nctools.collapse.functions import PAIR_FUNCTIONS
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from tests.reference.collapse import Reference, restricted

Kind = Literal["single", "classwise", "shared"]


# What the slow reference knows: everything but two halves of the data, and whole images.
_NOT_REFERENCED = ("crossfit", "mlab_topm_agreement", "mlab_binary_agreement")
REFERENCED: dict[str, list[str]] = {
    kind: [name for name, row in METRICS.items() if kind in row.kinds and not name.endswith(_NOT_REFERENCED)]
    for kind in ("single", "classwise", "shared")
}


@dataclass(frozen=True)
class Case:
    """Arrays as a user has them, and the same pairs one by one in float64."""

    kind: Kind
    features: Tensor
    labels: Tensor
    num_classes: int
    classifier: Tensor

    @property
    def source(self) -> PairSource:
        declared = self.num_classes if self.labels.ndim == 1 else None
        return PairSource.from_arrays(self.features, self.labels, num_classes=declared)

    @property
    def bias(self) -> Tensor:
        return torch.linspace(-0.3, 0.4, self.num_classes, dtype=torch.float64)

    @property
    def ood_mean(self) -> Tensor:
        return torch.linspace(-1.0, 2.0, self.features.shape[-1], dtype=torch.float64)

    def pairs(self) -> list[tuple[NDArray[np.float64], int, int]]:
        rows = self.features.double().numpy()
        if self.labels.ndim == 1:
            return [(rows[i], int(c), i) for i, c in enumerate(self.labels)]
        found = [(int(i), int(c)) for i, c in self.labels.nonzero()]
        return [(rows[i, c] if self.kind == "classwise" else rows[i], c, i) for i, c in found]

    def reference(self, **settings: str | int) -> Reference:
        return Reference(
            self.pairs(),
            self.num_classes,
            classifier=self.classifier.double().numpy(),
            bias=self.bias.numpy(),
            targets=self.labels.numpy().astype(bool) if self.kind == "shared" else None,
            ood_mean=self.ood_mean.numpy(),
            **settings,  # type: ignore[arg-type]
        )


def make_case(
    kind: Kind,
    counts: Sequence[int],
    width: int,
    *,
    seed: int,
    offset: float = 0.0,
    spread: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> Case:
    """Random class means and features; ``counts`` pairs of each class (for shared features: at least)."""
    generator = torch.Generator().manual_seed(seed)
    num_classes = len(counts)
    means = torch.randn(num_classes, width, generator=generator, dtype=torch.float64) + offset
    labels = torch.repeat_interleave(torch.arange(num_classes), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    noise = torch.randn(len(labels), width, generator=generator, dtype=torch.float64)
    classifier = torch.randn(num_classes, width, generator=generator, dtype=torch.float64)
    if kind == "single":
        return Case(kind, (means[labels] + spread * noise).to(dtype), labels, num_classes, classifier)
    targets = torch.nn.functional.one_hot(labels, num_classes)
    second = (torch.arange(num_classes) == (labels + 1)[:, None] % num_classes) & torch.tensor(counts).gt(0)
    targets |= (second & (torch.rand(len(labels), 1, generator=generator) < 0.4)).long()
    if kind == "classwise":
        dense = torch.randn(len(labels), num_classes, width, generator=generator, dtype=torch.float64)
        return Case(kind, (means + spread * dense).to(dtype), targets, num_classes, classifier)
    mixed = targets.double() @ means / targets.sum(dim=1, keepdim=True)
    return Case(kind, (mixed + spread * noise).to(dtype), targets, num_classes, classifier)


def measure(case: Case, **arguments: object) -> CollapseResult:
    """All metrics of a case."""
    known = {"classifier": case.classifier, "bias": case.bias, "ood_mean": case.ood_mean}
    chosen = {"metrics": REFERENCED[case.kind], **known, **arguments}
    return compute_metrics(case.source, **chosen)  # type: ignore[arg-type]


def assert_same(found: float, expected: float, name: str, *, relative: float = 1e-8, absolute: float = 1e-9) -> None:
    """Equal up to rounding; NaN equals NaN."""
    if math.isnan(expected) or math.isinf(expected):
        assert found == expected or (math.isnan(found) and math.isnan(expected)), (name, found, expected)
    else:
        assert abs(found - expected) <= absolute + relative * abs(expected), (name, found, expected)


def assert_matches(
    result: CollapseResult,
    reference: Reference,
    groups: Mapping[str, Sequence[int]],
    *,
    scope: str = "global",
    relative: float = 1e-8,
    absolute: float = 1e-9,
    coarse: bool = False,
    slack: Mapping[str, float] | None = None,
) -> None:
    """Compare every value of a result, by group, class and block, with the slow reference."""
    values = result.to_dict()
    classes = result.per_class
    ties = reference.smallest_margin() < 1e-9
    metrics = [name for name in values["all"] if not (ties and name.startswith("nc4"))]
    assert len(metrics) >= 50
    if coarse:
        # Differences of equal numbers, decided by the last bit.
        metrics = [name for name in metrics if "debiased" not in name]
    everything = list(range(reference.num_classes))
    for name in metrics:
        tolerance = {
            "relative": relative,
            "absolute": 1e-5 if name.endswith("_deg") else (slack or {}).get(name, absolute),
        }
        for group, members in {"all": everything, **groups}.items():
            own = scope == "within" and group != "all"
            whole = METRICS[name].aggregator.startswith("of the whole") and group != "all" and not own
            expected = math.nan if whole else group_value(reference, name, members, own=own)
            assert_same(values[group][name], expected, f"{name} of {group}", **tolerance)
        for c in everything:
            expected = class_value(reference, name, c)
            assert_same(float(classes[name][c]), expected, f"{name} of class {c}", **tolerance)
        if PAIR_FUNCTIONS[name][2] in {"mean", "inside"} if name in PAIR_FUNCTIONS else False:
            for first in groups:
                for second in groups:
                    expected = reference.block(name, groups[first], groups[second])
                    assert_same(
                        block_value(result, name, first, second), expected, f"{name} of {first}|{second}", **tolerance
                    )


def assert_alike(
    first: CollapseResult,
    second: CollapseResult,
    *,
    relative: float,
    absolute: float = 0.0,
    slack: Mapping[str, float] | None = None,
) -> None:
    """Compare every value of two results, by group, class and block; ``slack`` is absolute, by metric."""
    assert list(first.table["metric"]) == list(second.table["metric"])
    for name in dict.fromkeys(first.table["metric"]):
        tolerance = {"rtol": relative, "atol": (slack or {}).get(name, absolute), "err_msg": name}
        tables = [result.table[result.table["metric"] == name] for result in (first, second)]
        np.testing.assert_allclose(tables[0]["value"], tables[1]["value"], **tolerance)
        assert tables[0]["num_used"].tolist() == tables[1]["num_used"].tolist(), name
        if name in first.per_class.columns:
            np.testing.assert_allclose(first.per_class[name], second.per_class[name], **tolerance)
        if name in first.blocks:
            np.testing.assert_allclose(first.blocks[name], second.blocks[name], **tolerance)


def block_value(result: CollapseResult, name: str, first: str, second: str) -> float:
    """One entry of a block."""
    block = result.blocks[name]
    return float(block.to_numpy(float)[list(block.index).index(first), list(block.columns).index(second)])


def class_values(result: CollapseResult, c: int) -> dict[str, float]:
    """The metrics of one class."""
    table = result.per_class
    return {name: float(table[name].to_numpy(float)[c]) for name in table.columns[5:]}


def group_value(reference: Reference, name: str, members: Sequence[int], *, own: bool) -> float:
    if not own:
        return reference.group(name, members)
    if sum(c in reference.features for c in members) < 2:
        return math.nan
    return restricted(reference, members).group(name, range(len(members)))


def class_value(reference: Reference, name: str, c: int) -> float:
    of_rows = name.endswith("_w") and name != "seli_distance_w"
    return reference.x(name, c) if c in reference.features or of_rows else math.nan
