"""On what a training is computed: device, number of processes, precision, as Lightning wants them."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from nctools.errors import ConfigError
from nctools.training.config import TrainConfig
from nctools.training.placement import Place


def on_gpu(config: TrainConfig, place: Place) -> bool:
    """Tell whether a training is computed on GPUs.

    Args:
        config: The run's configuration.
        place: The place of this process.

    Returns:
        False: on the CPU, or on what else Lightning finds.

    Raises:
        ConfigError: If there are fewer GPUs than are asked for.
    """
    if config.device == "cpu":
        return False
    if not torch.cuda.is_available():
        if config.device == "cuda":
            raise ConfigError("device is 'cuda', but torch sees no CUDA device: use 'auto' or 'cpu'")
        return False
    seen = torch.cuda.device_count()
    if seen < place.local_size:
        raise ConfigError(
            f"{place.local_size} processes on this machine need as many GPUs, but torch sees {seen} (under SLURM each "
            "task must see all of its machine: --gpus-per-node, not --gpus-per-task): lower trainer.devices, or "
            "choose device cpu"
        )
    return True


def trainer_settings(config: TrainConfig, place: Place, *plugins: object) -> dict[str, Any]:
    """Give the arguments of Lightning's ``Trainer`` that say where and how precisely it computes.

    Args:
        config: The run's configuration.
        place: The place of this process.
        *plugins: What else is plugged in.

    Returns:
        Keyword arguments.
    """
    gpu, several = on_gpu(config, place), place.size > 1
    return {
        "accelerator": "gpu" if gpu else "cpu" if several or config.device == "cpu" else "auto",
        "devices": place.local_size,
        "num_nodes": place.nodes,
        # Warm-up phases leave parts without gradient.
        "strategy": "ddp_find_unused_parameters_true" if several else "auto",
        "plugins": [_Joined(place) if several else LightningEnvironment(), *plugins],
        "accumulate_grad_batches": config.trainer.accumulate_grad_batches,
        "precision": precision_of(config, gpu=gpu),
        # The samplers of a run divide an epoch between the processes themselves.
        "use_distributed_sampler": False,
    }


def precision_of(config: TrainConfig, *, gpu: bool) -> str:
    """Give the precision that is computed in.

    Args:
        config: The run's configuration.
        gpu: Whether on a GPU.

    Returns:
        That of the recipe; float32 in place of float16 where there is no GPU: a CPU is faster and more exact in it.
    """
    return "32-true" if config.recipe.precision == "16-mixed" and not gpu else config.recipe.precision


def check_compiler(*, gpu: bool) -> None:
    """Compile something small, so that a machine that cannot is known before a run is opened.

    Args:
        gpu: Whether for a GPU.

    Raises:
        ConfigError: If ``torch.compile`` finds no compiler; its own words are in it.
    """
    values = torch.ones(8, device="cuda" if gpu else "cpu")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's about itself
            torch.compile(lambda tensor: tensor.sin() + 1)(values)
    except RuntimeError as error:
        reason = " ".join(str(error).split()).partition(" Set TORCHDYNAMO")[0]  # advice for those who mend PyTorch
        raise ConfigError(
            f"trainer.compile is on, but torch.compile does not work here ({reason[:300]}): install "
            f"{'Triton and a C compiler' if gpu else 'a C++ compiler, such as g++'}, or leave it off"
        ) from error


def notes_of(config: TrainConfig, place: Place, *, gpu: bool) -> list[str]:
    """Say where a training is computed otherwise than its configuration says.

    Args:
        config: The run's configuration.
        place: The place of this process.
        gpu: Whether on GPUs.

    Returns:
        Sentences.
    """
    notes = []
    used, wanted = precision_of(config, gpu=gpu), config.recipe.precision
    if used != wanted:
        notes.append(f"precision {wanted} is for GPUs: this training computes in {used}")
    devices = config.trainer.devices * config.trainer.num_nodes
    if devices not in {1, place.size}:
        notes.append(f"{place.size} processes were started, so the {devices} of the configuration do not count")
    return notes


def as_started(config: TrainConfig, place: Place) -> TrainConfig:
    """Write down how many processes there are.

    Args:
        config: The run's configuration.
        place: The place of this process.

    Returns:
        The configuration with their number.
    """
    counts = {"devices": place.local_size, "num_nodes": place.nodes}
    return config.model_copy(update={"trainer": config.trainer.model_copy(update=counts)})


class _Joined(ClusterEnvironment):
    """Tells Lightning that the processes are there and know each other."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise RuntimeError("the processes have met already")

    @property
    def main_port(self) -> int:
        raise RuntimeError("the processes have met already")

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._place.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self._place.local_rank

    def node_rank(self) -> int:
        return self._place.rank // self._place.local_size
