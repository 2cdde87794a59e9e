"""NeuralCollapse over processes gives what one process gives, whatever each of them has seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import spawn

import nctools
from nctools.collapse.catalogue import METRICS
from nctools.metric import NeuralCollapse
from nctools.metric_state import unpack_moments
from tests.collapse.cases import Case
from tests.metric_cases import (
    CLASSES,
    KINDS,
    WIDTH,
    Kind,
    assert_same_state,
    case_of,
    ids_of,
    measured,
    metric_of,
    snapshot,
)


def cases() -> list[tuple[Kind, tuple[int, int]]]:
    """Kinds, and how many samples each of two processes has."""
    return [(kind, shares) for kind in KINDS for shares in ((17, 23), (0, 40), (40, 0))]


def data_of(kind: Kind) -> Case:
    case = case_of(kind, torch.bfloat16 if kind == "shared" else torch.float32)
    return Case(kind, case.features[:40], case.labels[:40], CLASSES, case.classifier)


def work(rank: int, folder: str) -> None:
    """One of two processes: feeds its share of the samples of each case, and writes the values of all."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    warnings.filterwarnings("ignore", "The ``compute`` method")  # one of them has no data
    try:
        values = [values_of(rank, kind, shares) for kind, shares in cases()]
        Path(folder, f"{rank}.json").write_text(json.dumps(values), encoding="utf-8")
    finally:
        torch.distributed.destroy_process_group()


def values_of(rank: int, kind: Kind, shares: tuple[int, int]) -> dict[str, float]:
    case = data_of(kind)
    metric = metric_of(case)
    start, end = sum(shares[:rank]), sum(shares[: rank + 1])
    middle = (start + end) // 2
    for first, last in [(start, middle), (middle, end)] if end > start else []:
        metric.update(case.features[first:last], case.labels[first:last])
    sums = NeuralCollapse(CLASSES, WIDTH, keep="moments")
    sums.update(case.features[start:end], case.labels[start:end])
    sums.sync()
    whole = unpack_moments(sums.moments)
    sums.unsync()
    one = NeuralCollapse(CLASSES, WIDTH, keep="moments")
    one.update(case.features, case.labels)
    expected = unpack_moments(one.moments)
    assert whole.counts.tolist() == expected.counts.tolist()
    torch.testing.assert_close(whole.means, expected.means, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(whole.squares, expected.squares, rtol=1e-12, atol=1e-12)
    before = snapshot(metric)
    result = metric.result().to_dict()["all"]
    values = {name: value.item() for name, value in metric.compute().items()}
    assert_same_state(snapshot(metric), before)  # each process goes on with its own data
    assert {name: values[name] for name in result} == pytest.approx(result, rel=0, abs=0, nan_ok=True)
    return values


@pytest.fixture(scope="module")
def values_of_processes(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, float]]]:
    folder = tmp_path_factory.mktemp("processes")
    spawn(work, (str(folder),), nprocs=2)
    return [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(cases())), ids=[f"{kind}-{a}-{b}" for kind, (a, b) in cases()])
def test_two_processes_equal_one(number: int, values_of_processes: list[list[dict[str, float]]]) -> None:
    expected = measured(data_of(cases()[number][0]))
    for values in values_of_processes:
        assert values[number] == pytest.approx(expected, rel=1e-10, abs=1e-10, nan_ok=True)


def work_without_pairs(rank: int, folder: str) -> None:
    """One of two processes: asks too early, then for features of different kinds, then does it right."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        metric, single, shared = metric_of(case_of("single")), case_of("single"), case_of("shared")
        with pytest.raises(ValueError, match="no pair yet"):
            metric.compute()
        with pytest.raises(ValueError, match="no pair yet"):
            metric(single.features[:0], single.labels[:0])
        mixed = metric_of(single)
        mixed.update(*((single.features, single.labels) if rank else (shared.features, shared.labels)))
        with pytest.raises(ValueError, match="features are single and shared"):
            mixed.compute()
        part = slice(rank, None, 2)
        metric.update(single.features[part].to(torch.float64 if rank else torch.float32), single.labels[part])
        values = metric.compute()
        assert {name: value.item() for name, value in values.items()} == pytest.approx(measured(single), nan_ok=True)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_an_error_on_all_processes_leaves_them_usable(tmp_path: Path) -> None:
    spawn(work_without_pairs, (str(tmp_path),), nprocs=2)


SCRIPT = """
import json, sys
import torch
import nctools

torch.distributed.init_process_group("gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
data = torch.load(sys.argv[1], weights_only=True)
metric = nctools.NeuralCollapse(5, 4, groups={"head": [0, 1, 2], "tail": [3, 4]}, metrics=json.loads(sys.argv[2]))
# The first process has a batch more than the second.
for batch in list(range(0, len(data["labels"]), 8))[rank::world]:
    metric.update(data["features"][batch : batch + 8], data["labels"][batch : batch + 8])
values = {name: value.item() for name, value in metric.compute().items()}
if rank == 0:
    print(json.dumps(values))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_torchrun_equals_one_process(tmp_path: Path) -> None:
    case = case_of("single")
    torch.save({"features": case.features[:72], "labels": case.labels[:72]}, tmp_path / "data.pt")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    free = [name for name in ids_of(case) if "classifier" not in METRICS[name].needs]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py"), str(tmp_path / "data.pt"), json.dumps(free)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(nctools.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    expected = {name: value for name, value in measured(case, slice(0, 72)).items() if name.split("/")[-1] in free}
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(expected, rel=1e-10, abs=1e-10, nan_ok=True)
