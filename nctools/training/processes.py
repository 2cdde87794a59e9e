"""On what a training is computed: device, number of processes, precision, as Lightning wants them."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from nctools.training.config import TrainConfig
from nctools.training.shared_batch_norm import share_batch_norm


def trainer_settings(config: TrainConfig, network: nn.Module) -> dict[str, Any]:
    """Give the arguments of Lightning's ``Trainer`` that say where and how precisely it computes.

    Args:
        config: The run's configuration.
        network: Its batch norms are made common to all processes where there are several and they are CPUs, which
            Lightning cannot do.

    Returns:
        Keyword arguments.
    """
    chosen = config.trainer
    on_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    several = chosen.devices * chosen.num_nodes > 1
    if several and chosen.sync_batchnorm and not on_gpu:
        share_batch_norm(network)
    precision = config.recipe.precision
    return {
        "accelerator": {"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[config.device],
        "devices": chosen.devices,
        "num_nodes": chosen.num_nodes,
        # Warm-up phases leave parts without gradient.
        "strategy": "ddp_find_unused_parameters_true" if several else "auto",
        "accumulate_grad_batches": chosen.accumulate_grad_batches,
        "sync_batchnorm": several and chosen.sync_batchnorm and on_gpu,
        # float16 is for GPUs: a CPU is faster and more exact in float32.
        "precision": "32-true" if precision == "16-mixed" and not on_gpu else precision,
        # The samplers of a run divide an epoch between the processes themselves.
        "use_distributed_sampler": False,
    }


def is_first_process() -> bool:
    """Tell whether this process writes the run; before a training starts, too, where others were started with it.

    Returns:
        True in the first process of a job, and where there is one.
    """
    return int(getattr(rank_zero_only, "rank", 0)) == 0
