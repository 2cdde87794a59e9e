"""Training any method with Lightning: configuration, callbacks, run directory.

Importing this folder first makes sure that torchvision, which Lightning imports, works beside a CPU-only torch.
"""

from __future__ import annotations

from nctools._torchvision_guard import import_torchvision

import_torchvision()

from nctools.training.config import (  # noqa: E402
    TrainConfig,
    check_config,
    make_config,
    with_settings,
)
from nctools.training.config_file import load_config, save_config  # noqa: E402
from nctools.training.data_module import RunDataModule, evaluation_loader  # noqa: E402
from nctools.training.fit import train  # noqa: E402
from nctools.training.module import MethodModule  # noqa: E402
from nctools.training.nc_callback import NeuralCollapseCallback  # noqa: E402

__all__ = [
    "MethodModule",
    "NeuralCollapseCallback",
    "RunDataModule",
    "TrainConfig",
    "check_config",
    "evaluation_loader",
    "load_config",
    "make_config",
    "save_config",
    "train",
    "with_settings",
]
