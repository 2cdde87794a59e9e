"""Which process of a training this one is, and who starts the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nctools.errors import ConfigError

if TYPE_CHECKING:
    from nctools.training.config_sections import TrainerConfig


@dataclass(frozen=True)
class Place:
    """A process among those of one training.

    Args:
        rank: Its number; process 0 writes the run.
        size: Number of processes.
        local_rank: Its number on its machine.
        local_size: Processes on each machine.
        start: ``"here"``: this process starts the others, if there are any. ``"outside"``: all were started together,
            by torchrun, by ``srun``, or by the first of them.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    start: Literal["here", "outside"] = "here"

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.size // self.local_size


def place_of(chosen: TrainerConfig, environ: Mapping[str, str] = os.environ) -> Place:
    """Find the place of this process.

    Args:
        chosen: The configuration; where processes were started from outside, their number counts.
        environ: Variables, in which torchrun and SLURM tell a process its place.

    Returns:
        The place.

    Raises:
        ConfigError: If the configuration names several machines and nothing was started on them, or if what was
            started is unlike from machine to machine.
    """
    place = _outside(environ)
    if place is not None:
        return place
    if chosen.num_nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes is {chosen.num_nodes}, but only torchrun or srun can start processes on other "
            "machines: start this command by one of them, or set trainer.num_nodes=1"
        )
    return Place(size=chosen.devices, local_size=chosen.devices)


def is_first_process() -> bool:
    """Tell whether this process speaks to the user.

    Returns:
        True in the first of the processes that torchrun or ``srun`` started, and where there is one.
    """
    place = _outside(os.environ)
    return place is None or place.rank == 0


def _outside(environ: Mapping[str, str]) -> Place | None:
    if "RANK" in environ and int(environ.get("WORLD_SIZE", "1")) > 1:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    elif "SLURM_PROCID" in environ and int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        # Of the step, not of the job: a script of sbatch without srun is one process, whatever was asked for.
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NUM_NODES")
    else:
        return None
    missing = [name for name in names if name not in environ]
    if missing:
        raise ConfigError(
            f"{names[0]} is {environ[names[0]]} of {environ[names[1]]} processes, but {', '.join(missing)} is not set"
        )
    rank, size, local_rank, last = (int(environ[name]) for name in names)
    if size % last == 0:
        local_size = last if names[3] == "LOCAL_WORLD_SIZE" else size // last
        place = Place(rank, size, local_rank, local_size, "outside")
    if size % last or rank % place.local_size != local_rank:
        raise ConfigError(
            f"process {rank} of {size} is number {local_rank} on its machine: each machine must have equally many, "
            "numbered machine by machine (srun --ntasks-per-node=N --distribution=block)"
        )
    return place
