from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nctools
from nctools.collapse import CollapseResult, effective_depth, load_result
from nctools.collapse.depth import depth_by_group
from nctools.errors import UnknownNameError


def blobs(spread: float, *, seed: int = 0) -> torch.Tensor:
    """Features ``[60, 3]`` of three classes, around the axes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.eye(3).repeat(20, 1) + spread * torch.randn(60, 3, generator=generator)


LABELS = torch.arange(60) % 3
GROUPS = {"first": [0], "rest": [1, 2]}


def layered(**spreads: float) -> CollapseResult:
    parts = []
    for space, spread in spreads.items():
        part = nctools.measure(blobs(spread), LABELS, groups=GROUPS, metrics=["nc1_pinv", "nc4_ncc_accuracy"]).parts[0]
        rows = [{**row, "space": space} for row in part.rows]
        class_rows = [{**row, "space": space} for row in part.class_rows]
        fields = {**vars(part), "space": space, "rows": rows, "class_rows": class_rows}
        parts.append(type(part)(**fields))
    return CollapseResult(parts)


@pytest.mark.parametrize(
    ("accuracies", "eps", "depth"),
    [
        ([0.5, 0.9, 0.99, 1.0], 0.02, 3),
        ([0.5, 0.9, 0.99, 1.0], 0.1, 2),
        ([0.5, 0.9, 0.99, 1.0], 0.0, 4),
        ([1.0, 1.0], 0.0, 1),
        ([1.0, 0.5], 0.02, None),
        ([0.1], 1.0, 1),
    ],
)
def test_depth_is_the_first_layer_from_which_on_the_error_stays_small(
    accuracies: list[float], eps: float, depth: int | None
) -> None:
    assert effective_depth(accuracies, eps=eps) == depth
    assert effective_depth({f"layer {i}": value for i, value in enumerate(accuracies)}, eps=eps) == depth


def test_a_lucky_early_layer_does_not_count() -> None:
    assert effective_depth([0.99, 0.6, 0.99, 0.99]) == 3


def test_an_error_of_exactly_eps_counts_as_reached() -> None:
    for wrong in range(100):  # 1 - 0.98 is more than 0.02 in binary
        assert effective_depth([1 - wrong / 100], eps=wrong / 100) == 1
        assert effective_depth([1 - wrong / 100 - 1e-6], eps=wrong / 100) is None


def test_a_layer_without_a_value_counts_as_not_reached() -> None:
    assert effective_depth([1.0, math.nan, 1.0]) == 3
    assert effective_depth([1.0, 1.0, math.nan]) is None
    assert effective_depth([1.0, math.nan], eps=1.0) is None


def test_depth_never_grows_with_eps() -> None:
    accuracies = torch.rand(8, generator=torch.Generator().manual_seed(3)).tolist()
    depths = [effective_depth(accuracies, eps=step / 50) or len(accuracies) + 1 for step in range(51)]
    assert depths == sorted(depths, reverse=True)
    assert depths[-1] == 1


def test_what_is_no_depth_is_an_error() -> None:
    with pytest.raises(ValueError, match="no layer"):
        effective_depth([])
    for eps in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            effective_depth([1.0], eps=eps)


def test_a_result_names_the_layer_of_each_group() -> None:
    result = layered(stem=2.0, block=0.05, head=0.01)
    assert result.effective_depth() == {"all": "block", "first": "block", "rest": "block"}
    assert result.effective_depth(eps=1.0)["all"] == "stem"
    assert layered(block=0.05, stem=2.0).effective_depth() == {"all": None, "first": None, "rest": None}


def test_depth_survives_saving(tmp_path: Path) -> None:
    result = layered(stem=2.0, block=0.05)
    for name in ("nc.json", "nc.csv"):
        result.save(tmp_path / name)
        assert load_result(tmp_path / name).effective_depth() == result.effective_depth()


def test_a_layer_without_accuracy_is_named() -> None:
    bare = nctools.measure(blobs(0.1), LABELS, groups=GROUPS, metrics=["nc1_pinv"])
    with pytest.raises(ValueError, match="nc4_ncc_accuracy in every layer, but features has none"):
        CollapseResult.concat([layered(stem=1.0), bare]).effective_depth()


def test_layers_of_different_kinds_have_no_depth() -> None:
    values = {"pooled": {"all": 1.0}, "by class": {"all": 1.0}}
    with pytest.raises(ValueError, match=r"layers of one kind.*pooled: shared, by class: classwise"):
        depth_by_group(values, {"pooled": "shared", "by class": "classwise"})
    assert depth_by_group(values, {"pooled": "", "by class": ""}) == {"all": "pooled"}


def test_a_metric_by_layer_is_layers_by_groups() -> None:
    result = layered(stem=2.0, block=0.05)
    table = result.by_layer("nc1_pinv")
    assert table.index.tolist() == ["stem", "block"]
    assert table.columns.tolist() == ["all", "first", "rest"]
    for space in result.spaces:
        assert table.loc[space, "rest"] == result.to_dict(space)["rest"]["nc1_pinv"]
    mixed = CollapseResult.concat(
        [result, nctools.measure(blobs(0.1), LABELS, groups=GROUPS, metrics=["nc2_etf_error"])]
    )
    assert mixed.by_layer("nc1_pinv").loc["features"].isna().all()
    assert mixed.by_layer("nc2_etf_error").isna().sum().tolist() == [2, 2, 2]
    with pytest.raises(UnknownNameError, match="did you mean nc1_pinv"):
        result.by_layer("nc1_pinf")


def test_one_call_extracts_the_layers_of_a_convnet_and_one_measures_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3),
        nn.Flatten(),
        nn.Linear(6 * 16, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )
    images = torch.randn(60, 1, 8, 8) + LABELS[:, None, None, None]
    loader = DataLoader(TensorDataset(images, LABELS), batch_size=16)
    layers = {"conv1": "1", "conv2": "2:output", "hidden": "5", "penultimate": "6:input"}
    store = nctools.extract(model, loader, tmp_path / "f.h5", layers=layers, maps="mean", progress=False)
    assert store.layers == list(layers)
    assert [store.num_features(layer) for layer in store.layers] == [4, 6, 8, 8]
    with torch.no_grad():
        torch.testing.assert_close(torch.as_tensor(store.features("conv1")), model[:2](images).mean(dim=(2, 3)))
    result = nctools.measure(store, metrics="all")
    assert result.spaces == list(layers)
    assert set(result.effective_depth(eps=1.0).values()) == {"conv1"}
    values = result.by_layer("nc4_ncc_accuracy")
    assert values.shape == (4, len(result.to_dict()))
    assert values.T["hidden"].tolist() == values.T["penultimate"].tolist()
