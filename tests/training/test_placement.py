"""Each process knows its place from what torchrun or SLURM tell it; SLURM's job is not SLURM's step."""

from __future__ import annotations

import pytest

from nctools.errors import ConfigError
from nctools.training.config_sections import TrainerConfig
from nctools.training.placement import Place, is_first_process, place_of

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SRUN = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_NODES": "2"}


def test_a_process_alone_starts_the_others_itself() -> None:
    assert place_of(TrainerConfig(), {}) == Place(0, 1, 0, 1, "here")
    assert place_of(TrainerConfig(devices=4), {}) == Place(0, 4, 0, 4, "here")


@pytest.mark.parametrize("environ", [TORCHRUN, SRUN])
def test_the_place_is_what_torchrun_or_srun_say(environ: dict[str, str]) -> None:
    place = place_of(TrainerConfig(devices=3), environ)
    assert place == Place(5, 8, 1, 4, "outside")
    assert place.nodes == 2


def test_a_script_of_sbatch_without_srun_is_one_process() -> None:
    job = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0", "SLURM_JOB_NUM_NODES": "2"}
    assert place_of(TrainerConfig(devices=2), job).start == "here"
    assert place_of(TrainerConfig(), SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) == Place()


def test_several_machines_need_somebody_who_starts_processes_there() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.num_nodes is 2, but only torchrun or srun"):
        place_of(TrainerConfig(num_nodes=2), {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SLURM_LOCALID": "0"}, "process 5 of 8 is number 0 on its machine"),  # numbered round the machines
        ({"SLURM_STEP_NUM_NODES": "3"}, "each machine must have equally many"),
        ({"SLURM_STEP_NUM_NODES": "9"}, "each machine must have equally many"),
    ],
)
def test_machines_that_differ_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place_of(TrainerConfig(), SRUN | change)


def test_a_variable_that_is_missing_is_named() -> None:
    some = {key: value for key, value in TORCHRUN.items() if key != "LOCAL_RANK"}
    with pytest.raises(ConfigError, match="RANK is 5 of 8 processes, but LOCAL_RANK is not set"):
        place_of(TrainerConfig(), some)


def test_only_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_process()
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert not is_first_process()
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    assert is_first_process()
