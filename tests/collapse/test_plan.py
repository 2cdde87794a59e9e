"""The memory plan: limits are read, kept, or refused with reasons; values do not depend on it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import nctools
from nctools.collapse import plan as planning
from nctools.collapse.catalogue import metric_ids
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
from nctools.collapse.plan import memory_text, parse_memory, plan_memory
from nctools.collapse.result import CollapseResult
from nctools.collapse.settings import Settings
from tests.collapse.cases import Kind, make_case, measure

KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
COUNTS = [9, 7, 1, 5, 0, 4, 3, 8, 2, 2, 6, 3]
GROUPS = {"head": [0, 1, 7], "tail": [2, 8, 9], "both": [0, 4, 9]}


def boundless(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Call infinite what was divided by a distance of 0 up to rounding (``nc1_cdnv_crossfit``)."""
    return np.where(values > 1e12, np.inf, values)


def assert_equal_results(first: CollapseResult, second: CollapseResult) -> None:
    names, others = (list(zip(part.table["metric"], part.table["group"], strict=True)) for part in (first, second))
    assert names == others
    values, expected = (boundless(part.table["value"].to_numpy(float)) for part in (first, second))
    for name, value, other in zip(names, values, expected, strict=True):
        # An arccosine near its ends halves the digits.
        absolute = 1e-6 if "_deg" in name[0] or "angle" in name[0] else 1e-12
        np.testing.assert_allclose(value, other, rtol=1e-10, atol=absolute, err_msg=str(name))
    columns = list(first.per_class.columns[5:])
    by_class, wanted = (boundless(part.per_class[columns].to_numpy(float)) for part in (first, second))
    np.testing.assert_allclose(by_class, wanted, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [5, 17])
@pytest.mark.parametrize("scope", ["global", "within"])
@pytest.mark.parametrize(("tile_numbers", "table_numbers"), [(7, 1 << 24), (30, 0), (1 << 22, 0)])
def test_values_do_not_depend_on_tiles_and_tables(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, width: int, scope: str, tile_numbers: int, table_numbers: int
) -> None:
    case = make_case(kind, COUNTS, width, seed=4, offset=1.0)
    usual = measure(case, metrics="all", groups=GROUPS, scope=scope)
    monkeypatch.setattr(planning, "TILE_NUMBERS", tile_numbers)
    monkeypatch.setattr(planning, "TABLE_NUMBERS", table_numbers)
    assert_equal_results(usual, measure(case, metrics="all", groups=GROUPS, scope=scope))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("sample_pairs", [None, 300])
def test_decisions_without_tables_are_those_with_tables(
    monkeypatch: pytest.MonkeyPatch, precision: str, sample_pairs: int | None
) -> None:
    case = make_case("single", [60] * 14, 6, seed=8, offset=3.0, dtype=torch.float32)
    settings: dict[str, object] = {"precision": precision, "sample_pairs": sample_pairs, "groups": {}}
    ids = ["nc1_pinv", "nc4_agreement", "nc4_ncc_accuracy"]
    with_tables = measure(case, metrics=ids, **settings)
    monkeypatch.setattr(planning, "TABLE_NUMBERS", 0)
    without = measure(case, metrics=ids, **settings)
    for name in ("nc4_agreement", "nc4_ncc_accuracy"):
        np.testing.assert_array_equal(with_tables.per_class[name], without.per_class[name])
    assert 0 < with_tables.to_dict()["all"]["nc4_ncc_accuracy"] < 1


def test_a_sample_of_pairs_is_the_same_whatever_the_batches() -> None:
    case = make_case("single", [60] * 14, 6, seed=8)
    features, classes, samples = (torch.cat(parts) for parts in zip(*case.source.batches(), strict=True))

    def values(batch_size: int) -> list[float]:
        def batches() -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
            parts = torch.arange(len(classes)).split(batch_size)
            return [(features[part], classes[part], samples[part]) for part in parts]

        source = PairSource("single", 14, 6, batches)
        result = compute_metrics(source, metrics="nc4_ncc_accuracy", groups={}, sample_pairs=200)
        return list(result.per_class["nc4_ncc_accuracy"])

    np.testing.assert_array_equal(values(1), values(1000))
    np.testing.assert_array_equal(values(100), values(1000))


def test_max_memory_changes_the_plan_but_no_value() -> None:
    case = make_case("single", [3] * 400, 6, seed=2)
    ids = ["nc1_pinv", "nc1_cdnv", "nc2_etf_error", "nc2_equiangle", "nc4_ncc_accuracy"]
    usual = plan_memory(400, 6, 1 << 20, ids, Settings())
    limit = usual.total - 1
    tight = plan_memory(400, 6, 1 << 20, ids, Settings(), limit)
    assert tight.total <= limit
    assert tight.tile_numbers < usual.tile_numbers or tight.table_numbers == 0
    assert_equal_results(
        measure(case, metrics=ids, groups={}), measure(case, metrics=ids, groups={}, max_memory=limit)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4G", 4 << 30), ("512M", 512 << 20), ("2GiB", 2 << 30), ("2 gb", 2 << 30), ("1.5K", 1536), ("77", 77), (9, 9)],
)
def test_amounts_of_memory_are_read(text: str | int, expected: int) -> None:
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "G", "-1G", "4 bananas", 0, -5, "0", True, "1e9"])
def test_what_is_no_amount_of_memory_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="give bytes, or an amount as '512M'"):
        parse_memory(text)


def test_too_little_memory_is_refused_with_the_largest_parts_and_their_metrics() -> None:
    case = make_case("single", [3, 3, 3], 4, seed=0)
    with pytest.raises(ValueError, match=r"max_memory is 1\.0 KiB, but .* are needed even in the smallest tiles"):
        measure(case, metrics="nc1_pinv", max_memory=1000)
    with pytest.raises(ValueError, match=r"5\.0 GiB|40\.\d GiB|4096.0 MiB.*SELI(?s:.*)goes without seli_distance"):
        plan_memory(8192, 64, 10**6, ["nc1_quotient", "seli_distance"], Settings(), "1G")


def test_the_plan_counts_the_passes() -> None:
    def passes(*ids: str) -> int:
        return plan_memory(10, 4, 100, ids, Settings()).passes

    assert passes("nc1_quotient", "nc2_etf_error") == 1
    assert passes("nc1_pinv") == 2
    assert passes("nc1_pinv", "nc4_ncc_accuracy_crossfit") == 6
    assert passes("nc1_pinv", "mlab_topm_agreement") == 4


def test_dropped_tables_are_named_and_not_counted() -> None:
    ids = metric_ids("default", no_classifier="none was given")
    plan = plan_memory(50_000, 768, 5_000_000, ids, Settings())
    dropped = [item for item in plan.items if item.how == "dropped"]
    assert [item.metrics for item in dropped] == [("nc4_ncc_accuracy",)]
    assert plan.total < 4 << 30 < dropped[0].bytes
    assert memory_text(plan.total).endswith("MiB")


SCRIPT = """
import gc, torch
from pathlib import Path
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource
torch.set_num_threads(1)
C, D, N = {num_classes}, 128, 60_000
means = torch.randn(C, D, generator=torch.Generator().manual_seed(0))
def batches():
    draw = torch.Generator().manual_seed(1)
    for start in range(0, N, 2000):
        samples = torch.arange(start, start + 2000)
        yield means[samples % C] + 0.5 * torch.randn(2000, D, generator=draw), samples % C, samples
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) * 1024
def run(classes):
    source = PairSource("single", C, D, batches)
    return compute_metrics(source, metrics={ids}, groups={{}})
small = PairSource.from_arrays(torch.randn(40, 3), torch.arange(40) % 4)
compute_metrics(small, metrics={ids})
gc.collect()
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
run(C)
print(status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("num_classes", [3000, 8000])
def test_the_plan_is_within_a_factor_of_two_of_the_measured_peak(num_classes: int) -> None:
    ids = ["nc1_pinv", "nc1_cdnv", "nc2_angle_deviation", "nc2_etf_error", "nc4_ncc_accuracy"]
    script = SCRIPT.format(num_classes=num_classes, ids=ids)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    planned = plan_memory(num_classes, 128, 60_000, ids, Settings()).total
    assert planned / 2 < int(run.stdout) < planned * 2, (planned / 2**20, int(run.stdout) / 2**20)


def test_measure_takes_the_limit_too() -> None:
    labels = torch.arange(40) % 4
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    values = nctools.measure(features, labels, max_memory="1G").to_dict()
    assert values == nctools.measure(features, labels).to_dict()
    with pytest.raises(ValueError, match="max_memory is 'much'"):
        nctools.measure(features, labels, max_memory="much")
