"""Two runs that need no training: a class-wise head and a linear one, with weights as they are built."""

from __future__ import annotations

from pathlib import Path

import torch

from nctools.data import load_dataset
from nctools.methods import Checkpoint, build, save_checkpoint


def untrained_runs(folder: Path) -> tuple[Path, Path]:
    """Write run directories of class_attention and erm on digits_lt."""
    train = load_dataset("digits_lt")
    for method in ("class_attention", "erm"):
        torch.manual_seed(0)
        state = build(method, num_classes=20, backbone="small").state_dict()
        found = Checkpoint(
            method=method,
            arguments={"backbone": "small"},
            state_dict=state,
            ema_state_dict=None,
            class_names=list(train.class_names),
            class_counts=list(train.class_counts),
            groups=dict(train.groups),
            dataset="digits_lt",
            preprocessing={"mean": [0.1] * 3, "std": [0.1] * 3, "augmentation": "none"},
            epoch=0,
        )
        (folder / method / "checkpoints").mkdir(parents=True)
        save_checkpoint(found, folder / method / "checkpoints" / "last.pt")
    return folder / "class_attention", folder / "erm"
