"""What a measurement puts back, and what several processes share while it lasts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.multiprocessing.spawn import spawn
from torch.utils.data import DataLoader, TensorDataset

from nctools.features.common_folder import common_folder
from nctools.undisturbed import common_buffers, named_places, same_randomness


def draws() -> tuple[float, float, float]:
    return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002


def test_random_states_are_put_back_also_after_an_error() -> None:
    generator = torch.Generator().manual_seed(3)
    loader, network = DataLoader(TensorDataset(torch.arange(5)), shuffle=True, generator=generator), nn.Linear(1, 1)

    def fail_after_drawing() -> None:
        with same_randomness(network, loader):
            draws()
            list(loader)
            raise ZeroDivisionError

    before = torch.random.get_rng_state(), np.random.get_state(), random.getstate(), generator.get_state()  # noqa: NPY002
    first = draws()
    torch.random.set_rng_state(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    random.setstate(before[2])
    with pytest.raises(ZeroDivisionError):
        fail_after_drawing()
    assert draws() == first
    assert torch.equal(generator.get_state(), before[3])


def test_places_are_named_after_themselves() -> None:
    assert named_places("fc:input") == {"fc:input": "fc:input"}
    assert named_places({"a": "fc:input"}) == {"a": "fc:input"}
    assert named_places(None) is None


def test_one_process_has_a_folder_that_goes_away(tmp_path: Path) -> None:
    with common_folder(tmp_path / "nc.csv") as folder:
        assert folder.is_dir()
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def work(rank: int, place: str) -> None:
    """One of two processes with batch statistics of its own."""
    torch.distributed.init_process_group("gloo", f"file://{place}/meet", rank=rank, world_size=2)
    try:
        network = nn.BatchNorm1d(2)
        assert network.running_mean is not None
        network.running_mean.fill_(rank + 1.0)
        with common_buffers(network), common_folder(Path(place, "deep", "nc.csv")) as folder:
            (folder / str(rank)).touch()
            torch.distributed.barrier()
            inside = network.running_mean.tolist(), str(folder), sorted(path.name for path in folder.iterdir())
        found = {"inside": inside, "after": network.running_mean.tolist()}
        Path(place, f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    finally:
        torch.distributed.destroy_process_group()


def test_processes_share_a_folder_and_the_buffers_of_the_first(tmp_path: Path) -> None:
    spawn(work, args=(str(tmp_path),), nprocs=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1))
    assert first["inside"] == second["inside"]
    means, folder, files = first["inside"]
    assert means == [1.0, 1.0]
    assert files == ["0", "1"]
    assert Path(folder).parent == tmp_path / "deep"
    assert [first["after"], second["after"]] == [[1.0, 1.0], [2.0, 2.0]]
    assert list((tmp_path / "deep").iterdir()) == []
