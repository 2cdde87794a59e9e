"""Run directories as a training leaves them, without the training."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import torch

from nctools.data.dataset import MultiLabelDataset
from nctools.data.loading import load_dataset, usual_preprocessing
from nctools.methods.assembly import build
from nctools.methods.checkpoint import Checkpoint, save_checkpoint
from nctools.run_directory import RunDirectory
from nctools.training import TrainConfig, make_config, save_config

GROUPS = ("all", "head", "medium", "tail")
STUDY_METRICS = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")


@cache
def training_images() -> MultiLabelDataset:
    return load_dataset("digits_lt")


def small_config(seed: int = 0, **settings: object) -> TrainConfig:
    return make_config("erm", "digits_lt", {"epochs": 3, "every": 1, **settings}, seed=seed)


def write_run(config: TrainConfig, path: Path, *, epochs: int | None = None, scale: float = 1.0) -> RunDirectory:
    """A run of ERM with random weights; mAP rises by 0.1 times ``scale`` for each epoch, NC1 halves."""
    run = RunDirectory(path)
    done = config.recipe.epochs if epochs is None else epochs
    save_config(config, run.config)
    run.environment.write_text("{}", encoding="utf-8")
    images = training_images()
    torch.manual_seed(config.seed)
    state = build("erm", num_classes=20, backbone="small").state_dict()
    for name in ("best", "last"):
        checkpoint = Checkpoint(
            method="erm",
            arguments={"backbone": "small"},
            state_dict=state,
            ema_state_dict=state if config.recipe.ema_decay else None,
            class_names=list(images.class_names),
            class_counts=list(images.class_counts),
            groups=dict(images.groups),
            dataset="digits_lt",
            preprocessing=dict(usual_preprocessing("digits_lt").to_dict()),
            epoch=done,
            seed=config.seed,
            validation={"mAP": 0.1 * done * scale + 0.01 * config.seed},
        )
        save_checkpoint(checkpoint, run.checkpoints / f"{name}.pt")
    rows = []
    for epoch in range(1, done + 1):
        scores = {
            f"{kind}/mAP{ending}": 0.1 * epoch * scale + 0.01 * config.seed
            for kind in ("val", "val_ema")
            for ending in ("", "_head", "_medium", "_tail")
        }
        rows.append({"epoch": epoch, "step": 10 * epoch, "seconds": 30.0, **scores})
    pd.DataFrame(rows).to_csv(run.metrics, index=False)
    if config.nc.every:
        _write_collapse(run, done)
    return run


def _write_collapse(run: RunDirectory, done: int) -> None:
    rows = [
        {"epoch": epoch, "weights": weights, "space": space, "split": "train", "group": group, "metric": metric}
        | {"value": 8.0 / 2**epoch + 100 * (space != "penultimate") + 50 * (weights != "raw")}
        for epoch in range(done + 1)
        for space in ("penultimate", "other")
        for weights in ("raw", "ema")
        for group in GROUPS
        for metric in STUDY_METRICS
    ]
    pd.DataFrame(rows).to_csv(run.collapse, index=False)
