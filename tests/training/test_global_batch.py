"""Two processes with half a batch each compute what one computes with the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.training.whole_batch import Found, work, work_together

SIZE = 2


def named(name: str) -> Callable[[str], str]:
    return lambda text: f"{name}: {text}"


@pytest.fixture(scope="module")
def one() -> Found:
    return work(0, 1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    folder = tmp_path_factory.mktemp("two")
    root = str(Path(__file__).parents[2])
    environ = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    other = subprocess.Popen(
        [sys.executable, "-m", "tests.training.whole_batch", str(folder), "1", str(SIZE)],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        mine = work_together(folder, 0, SIZE)
        said, _ = other.communicate(timeout=200)
    finally:
        other.kill()
    assert other.returncode == 0, said
    return [mine, torch.load(folder / "1.pt", weights_only=True)]


def test_both_processes_have_parts_of_the_same_names(one: Found, two: list[Found]) -> None:
    assert [list(found) for found in two] == [list(one)] * SIZE
    used = [{name.partition(": ")[2] for name in one if name.startswith(f"gradient {epoch}")} for epoch in (0, 9)]
    assert used[0] < used[1], "the warm-up leaves parameters without gradient"


@pytest.mark.parametrize("momentum", [0.1, None])
def test_shared_batch_norm_is_the_batch_norm_of_the_whole_batch(
    momentum: float | None, one: Found, two: list[Found]
) -> None:
    for name in [name for name in one if name.startswith(f"norm {momentum}: ")]:
        for rank, found in enumerate(two):
            whole = one[name][rank::SIZE] if name.endswith(("value", ": gradient")) else one[name]
            torch.testing.assert_close(found[name], whole, rtol=1e-12, atol=1e-12, msg=named(name))


def test_loss_gradients_and_centres_of_mlc_nc_are_those_of_the_whole_batch(one: Found, two: list[Found]) -> None:
    for name in [name for name in one if not name.startswith("norm")]:
        # Class centres are added up in float32, whatever the features are.
        exact = 0 if name.endswith(("seen", "counts")) else 1e-12 if " 0" in name and "centres" not in name else 1e-6
        for found in two:
            torch.testing.assert_close(found[name], one[name], rtol=exact, atol=exact, msg=named(name))
    assert one["buffer 9: centres.centres"].norm(dim=1).gt(0.01).all()
