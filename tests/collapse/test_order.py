"""What must not matter: the size and order of batches, the order of samples, and the numbering of classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.collapse.collect import Request, collect, moments_of_source
from nctools.collapse.compute import compute_metrics
from nctools.collapse.functions import evaluate
from nctools.collapse.pairs import Batch, PairSource
from nctools.collapse.settings import Precision, Settings, fitting_classifier
from tests.collapse.cases import REFERENCED, Kind, assert_alike, make_case, measure

KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
GROUPS = {"low": [0, 1], "high": [2, 3, 4], "last": [4]}


def in_other_order(source: PairSource, batch_size: int, seed: int = 0) -> PairSource:
    """The same pairs in another order and other batches, with empty ones between them."""
    features, classes, samples = (torch.cat(parts) for parts in zip(*source.batches(), strict=True))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(classes), generator=generator)

    def batches() -> Iterator[Batch]:
        for part in order.split(batch_size):
            yield features[part], classes[part], samples[part]
            yield features[:0], classes[:0], samples[:0]

    def images() -> Iterator[tuple[Tensor, Tensor]]:
        assert source.images is not None
        rows, names = (torch.cat(parts) for parts in zip(*source.images(), strict=True))
        for part in torch.randperm(len(names), generator=generator).split(batch_size):
            yield rows[part], names[part]

    return replace(source, batches=batches, images=images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("precision", "relative", "dtype", "batch_size"),
    [
        ("float64", 1e-10, torch.float64, 1),
        ("float64", 1e-10, torch.float64, 7),
        ("float64", 1e-10, torch.float32, 1000),
        ("float32", 1e-6, torch.float32, 7),
    ],
)
def test_batch_size_and_order_do_not_matter(
    kind: Kind, batch_size: int, precision: Precision, relative: float, dtype: torch.dtype
) -> None:
    case = make_case(kind, [40, 21, 9, 3, 1], 6, seed=4, offset=1e3, dtype=dtype)
    first, second = (
        compute_metrics(
            source,
            classifier=case.classifier,
            bias=case.bias,
            ood_mean=case.ood_mean,
            metrics="all",
            groups=GROUPS,
            precision=precision,
        )
        for source in (case.source, in_other_order(case.source, batch_size))
    )
    assert set(first.table["metric"]) > set(REFERENCED[kind])
    assert_alike(first, second, relative=relative, absolute=relative)


@pytest.mark.parametrize("kind", KINDS)
def test_renamed_classes_keep_their_values(kind: Kind) -> None:
    case = make_case(kind, [12, 9, 5, 3, 2], 6, seed=5)
    order = torch.tensor([3, 0, 4, 1, 2])  # new class k is old class order[k]
    place = order.argsort()
    labels = place[case.labels] if case.labels.ndim == 1 else case.labels[:, order]
    features = case.features[:, order] if kind == "classwise" else case.features
    renamed = compute_metrics(
        PairSource.from_arrays(features, labels, num_classes=5 if labels.ndim == 1 else None),
        classifier=case.classifier[order],
        bias=case.bias[order],
        ood_mean=case.ood_mean,
        metrics="all",
        groups={"g": place[:2].tolist()},
    )
    original = measure(case, metrics="all", groups={"g": [0, 1]})
    np.testing.assert_allclose(renamed.table["value"], original.table["value"], rtol=1e-9, atol=1e-12)
    columns = renamed.per_class.columns[5:]
    np.testing.assert_allclose(
        renamed.per_class[columns].to_numpy(float)[place.numpy()],
        original.per_class[columns].to_numpy(float),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize(("tile_numbers", "table_numbers"), [(1, 1 << 24), (16, 1 << 24), (16, 0)])
def test_tiles_and_tables_do_not_matter(
    kind: Kind, precision: Precision, tile_numbers: int, table_numbers: int
) -> None:
    case = make_case(kind, [20, 11, 0, 9, 3, 1, 6, 6], 5, seed=8, offset=30.0)
    classifier, _ = fitting_classifier(8, 5, case.classifier, case.bias)
    chosen = Settings(precision=precision)
    whole = Request(REFERENCED[kind], chosen, {"first": [0, 1, 2], "last": [7]}, classifier, case.ood_mean)
    pieces = replace(whole, tile_numbers=tile_numbers, table_numbers=table_numbers)
    moments = moments_of_source(case.source, whole.ids)
    first, second = (evaluate(collect(case.source, moments, request)["all"], whole.ids) for request in (whole, pieces))
    for name, values in first.items():
        found = second[name]
        np.testing.assert_allclose(values.per_class, found.per_class, rtol=1e-6, atol=1e-9, err_msg=name)
        assert values.groups == pytest.approx(found.groups, rel=1e-6, abs=1e-9, nan_ok=True), name
        for group, block in values.blocks.items():
            assert block == pytest.approx(found.blocks[group], rel=1e-6, abs=1e-9, nan_ok=True), name
