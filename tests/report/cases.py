"""Runs made by hand, with every kind of value that a page has to show; no training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import nctools
from nctools.collapse.result import CollapseResult
from nctools.data.description import describe_labels
from nctools.evaluation import evaluate_scores
from nctools.report.collect import RunRecord
from nctools.report.run_facts import RunFacts

HOSTILE = "<script>alert(1)</script>"
NAMES = (HOSTILE, 'cat & "dog"', "owl", "newt")
COUNTS = (120, 40, 12, 3)
GROUPS = {"head": [0], "medium": [1], "tail": [2, 3]}


def run_record(
    name: str = "erm",
    *,
    method: str = "erm",
    seed: int = 0,
    spread: float = 0.5,
    skill: float = 1.0,
    names: tuple[str, ...] = NAMES,
    notes: tuple[str, ...] = (),
) -> RunRecord:
    """A run whose features spread by ``spread`` around their class means and whose scores know ``skill``."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.full((count,), index) for index, count in enumerate(COUNTS)])
    features = torch.eye(4).repeat(1, 2)[labels] + spread * torch.randn(len(labels), 8, generator=generator)
    targets = torch.nn.functional.one_hot(labels, 4)
    result = nctools.measure(features, targets, groups=GROUPS, split="train", references=["random"])
    for row in result.parts[0].class_rows:
        assert isinstance(row, dict)
        row["class_name"] = names[int(row["class_index"])]
    noise = torch.rand(targets.shape, generator=generator)
    scores = ((skill * targets + noise) / (1 + skill)).numpy()
    config: dict[str, object] = {"method": method, "dataset": "toy", "seed": seed, "recipe": {"epochs": 2}}
    checkpoint: dict[str, object] = {
        "epoch": 2,
        "class_names": list(names),
        "class_counts": list(COUNTS),
        "groups": GROUPS,
    }
    facts = RunFacts(name, Path("runs") / name, config, {"torch": "2.0"}, checkpoint, 2, 3.5, "2026-01-01")
    return RunRecord(
        facts,
        evaluate_scores(scores, targets.numpy(), names, GROUPS),
        "best.pt of epoch 2, test images",
        result,
        "175 training images, epoch 2",
        describe_labels(np.asarray(targets), names, GROUPS, name="toy", split="train"),
        list(notes),
    )


def with_collapse(
    record: RunRecord, metric: str, value: float, random: float, *, space: str = "features", width: int = 8
) -> RunRecord:
    """The run with another value of a metric in every group, and another one of random features."""
    assert record.collapse is not None
    (part,) = record.collapse.parts
    rows = [{**row, "value": value} if row["metric"] == metric else dict(row) for row in part.rows]
    references = {
        name: {group: {**values, metric: random} for group, values in groups.items()}
        for name, groups in part.references.items()
    }
    settings = {**part.settings, "num_features": width}
    changed = replace(part, space=space, rows=rows, references=references, settings=settings)
    return replace(record, collapse=CollapseResult([changed]))
