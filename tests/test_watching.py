"""NC in a hand-written training loop: the same values as elsewhere, and the training does not notice."""

from __future__ import annotations

import copy
import gc
import io
import random
import weakref
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, TensorDataset

import nctools
from nctools.collapse.compute import compute_metrics
from nctools.collapse.result import CollapseResult
from nctools.collapse.statistics import CollapseStatistics
from nctools.errors import UnknownNameError
from nctools.features.tap import Tap
from nctools.plots import nc_curves_data

Pairs = DataLoader[tuple[Tensor, Tensor]]
ONE_PASS = ["nc1_cdnv", "nc2_etf_error", "nc3_self_duality"]


class Net(nn.Module):
    """Batch norm, dropout and an in-place operation after the place that is read."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2))
        self.fc = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.body(images))
        return logits


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Images with augmentation from all three global generators."""

    def __init__(self) -> None:
        self.labels = torch.arange(30) % 3

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = 0.1 * torch.randn(4) + 0.1 * float(np.random.rand()) + 0.1 * random.random()  # noqa: NPY002
        return torch.eye(4)[self.labels[index]] + noise, self.labels[index]


def images_and_labels(count: int = 30) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 3
    return torch.eye(4)[labels] + 0.2 * torch.randn(count, 4, generator=torch.Generator().manual_seed(1)), labels


def plain_loader() -> Pairs:
    return cast("Pairs", DataLoader(TensorDataset(*images_and_labels()), batch_size=8))


def trained(*, measured: bool) -> tuple[dict[str, Tensor], list[float]]:
    """Weights after a short training, and what the three generators give next."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    model = Net()
    model.body[1].eval()  # a frozen part: modes are put back one by one
    order = torch.Generator().manual_seed(5)
    loader = DataLoader(Noisy(), batch_size=8, shuffle=True, generator=order)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with nctools.watch(model, loader=loader) as watch:
        for epoch in range(3):
            for images, labels in loader:
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(images), labels).backward()
                if measured:
                    watch.update(labels)
                optimiser.step()
            gradient = model.fc.weight.grad
            if measured:
                watch.measure(epoch=epoch + 1)
                watch.compute()
            assert model.fc.weight.grad is gradient
            assert model.training
            assert not model.body[1].training
    drawn = [float(torch.rand(())), float(np.random.rand()), random.random()]  # noqa: NPY002
    return {name: value.clone() for name, value in model.state_dict().items()}, drawn


def test_the_weights_are_the_same_to_the_last_bit_with_and_without_watching() -> None:
    (first, drawn_first), (second, drawn_second) = trained(measured=True), trained(measured=False)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert drawn_first == drawn_second


def test_a_measurement_equals_extracting_and_measuring(tmp_path: Path) -> None:
    model = Net()
    with nctools.watch(model, "fc:input", loader=plain_loader()) as watch:
        model(torch.randn(8, 4))  # moves the batch statistics
        result = watch.measure(epoch=1)
    with nctools.extract(
        model, plain_loader(), tmp_path / "x.h5", layers={"fc:input": "fc:input"}, progress=False
    ) as store:
        expected = nctools.measure(store, split="train")
    assert result.to_dict() == expected.to_dict()
    assert {"nc1_pinv", "nc3_self_duality"} <= set(result.to_dict()["all"])
    assert watch.table["value"].tolist() == expected.table["value"].tolist()


def test_the_classifier_is_taken_anew_at_each_measurement() -> None:
    model = Net()
    watch = nctools.watch(model, loader=plain_loader(), metrics=["nc3_self_duality"])
    before = watch.measure(epoch=0).to_dict()["all"]["nc3_self_duality"]
    with torch.no_grad():
        model.fc.weight.copy_(torch.randn(3, 6, generator=torch.Generator().manual_seed(3)))
    assert watch.measure(epoch=1).to_dict()["all"]["nc3_self_duality"] != before


class Classwise(nn.Module):
    """A feature for each class, and a classifier that reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(4, 15), nn.Unflatten(1, (3, 5)))

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.head(images)
        return features.sum(dim=2)


def one_pass_values(
    features: Tensor, labels: Tensor, metrics: list[str], *, scatter: bool, weight: Tensor | None, bias: Tensor | None
) -> CollapseResult:
    """The slow way: pairs by hand, statistics of one pass."""
    if labels.ndim == 1:
        rows, classes = features, labels
    else:
        samples, classes = labels.nonzero(as_tuple=True)
        rows = features[samples, classes] if features.ndim == 3 else features[samples]
    statistics = CollapseStatistics(3, features.shape[-1], scatter=scatter)
    for start in range(0, len(rows), 1024):
        statistics.update(rows[start : start + 1024], classes[start : start + 1024])
    return compute_metrics(statistics, classifier=weight, bias=bias, metrics=metrics)


@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize("kind", ["single", "shared", "classwise"])
def test_gathered_values_are_those_of_class_statistics(kind: str, scatter: bool) -> None:
    torch.manual_seed(0)
    model: nn.Module = Classwise() if kind == "classwise" else Net()
    labels = torch.arange(24) % 3 if kind == "single" else (torch.rand(24, 3) < 0.5).long()
    place = "head:output" if kind == "classwise" else "fc:input"
    metrics = ["nc1_cdnv", "nc2_etf_error", *(["nc1_pinv"] if scatter else [])]
    images, seen = torch.randn(24, 4), []
    with (
        nctools.watch(model, place, metrics=metrics, scatter=scatter) as watch,
        nctools.FeatureExtractor(model, {"own": place}) as extractor,
    ):
        for start in range(0, 24, 6):
            part = slice(start, start + 6)
            seen.append(extractor(images[part])["own"])
            watch.update(labels[part])
        result = watch.compute()
    expected = one_pass_values(torch.cat(seen), labels, metrics, scatter=scatter, weight=None, bias=None)
    assert result.spaces == [place]
    for group, values in expected.to_dict().items():
        assert result.to_dict()[group] == pytest.approx(values, rel=1e-12, nan_ok=True), group


def test_gathered_values_know_the_classifier() -> None:
    model, (images, labels) = Net().eval(), images_and_labels()
    with nctools.watch(model, metrics=ONE_PASS) as watch:
        model(images)
        watch.update(labels)
        result = watch.compute(epoch=4)
    features = model.body(images).detach()
    weight, bias = model.fc.weight.detach(), model.fc.bias.detach()
    expected = one_pass_values(features, labels, ONE_PASS, scatter=False, weight=weight, bias=bias)
    assert result.to_dict()["all"] == expected.to_dict()["all"]
    assert set(watch.table["split"]) == {"train, running"}
    assert set(watch.table["epoch"]) == {4}


def test_compute_starts_anew() -> None:
    model, (images, labels) = Net().eval(), images_and_labels()
    with nctools.watch(model, metrics=ONE_PASS) as watch:
        for _ in range(2):
            model(images)
            watch.update(labels)
            assert watch.compute().table["n_max"].tolist()[0] == 10
        model(images)
        watch.update(labels)
        watch.reset()
        with pytest.raises(ValueError, match=r"nothing to compute: call update\(targets\)"):
            watch.compute()


def test_a_metric_that_needs_the_features_again_is_refused_as_from_statistics() -> None:
    model, (images, labels) = Net(), images_and_labels()
    statistics = CollapseStatistics(3, 6)
    statistics.update(torch.randn(30, 6), labels)
    with pytest.raises(ValueError, match="statistics of one pass") as expected:
        compute_metrics(statistics, metrics=["nc4_ncc_accuracy"])
    with nctools.watch(model, metrics=["nc4_ncc_accuracy"]) as watch:
        model(images)
        watch.update(labels)
        with pytest.raises(ValueError, match="statistics of one pass") as found:
            watch.compute()
    assert str(found.value) == str(expected.value)


def test_several_layers_are_gathered_and_metrics_go_where_they_can() -> None:
    model, (images, labels) = Net(), images_and_labels()
    with nctools.watch(model, {"body": "body:output", "in": "body.0:input"}, metrics=ONE_PASS, num_classes=3) as watch:
        model(images)
        watch.update(labels)
        table = watch.compute().table
    assert list(dict.fromkeys(table["space"])) == ["body", "in"]
    assert set(table["metric"]) == {"nc1_cdnv", "nc2_etf_error"}


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_hooks_are_on_the_model_inside_the_block_only() -> None:
    model = Net()
    kept = model.fc.register_forward_hook(lambda module, args, output: None)
    with nctools.watch(model) as watch:
        assert hooks_of(model) == 2
    assert hooks_of(model) == 1
    assert kept.id in model.fc._forward_hooks
    with pytest.raises(ZeroDivisionError), watch:
        1 / 0  # noqa: B018
    assert hooks_of(model) == 1


def test_update_outside_the_block_or_without_a_pass_is_an_error() -> None:
    model, (images, labels) = Net(), images_and_labels()
    watch = nctools.watch(model)
    with pytest.raises(RuntimeError, match="inside its `with` block"):
        watch.update(labels)
    with watch:
        with pytest.raises(RuntimeError, match="module 'fc' was not called since the last update"):
            watch.update(labels)
        model(images)
        watch.update(labels)
        with pytest.raises(RuntimeError, match="was not called since"):
            watch.update(labels)


def test_the_last_of_several_passes_counts() -> None:
    model, (images, labels) = Net().eval(), images_and_labels()
    with nctools.watch(model, metrics=ONE_PASS) as watch:
        model(torch.randn(5, 4))
        model(images)
        watch.update(labels)
        once = watch.compute().to_dict()
        model(images)
        watch.update(labels)
        assert watch.compute().to_dict() == once


def test_a_measurement_between_pass_and_update_does_not_take_its_place() -> None:
    model, (images, labels) = Net().eval(), images_and_labels()
    with nctools.watch(model, loader=plain_loader(), metrics=ONE_PASS) as watch:
        model(images[:9])
        watch.measure(epoch=1)
        watch.update(labels[:9])
        assert set(watch.compute().table["n_max"]) <= {3}


def test_checkpointed_passes_are_counted_once() -> None:
    class Saving(Net):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = checkpoint(super().forward, images, use_reentrant=False)
            return logits

    model, (images, labels) = Saving().eval(), images_and_labels()
    with nctools.watch(model, metrics=ONE_PASS) as watch:
        nn.functional.cross_entropy(model(images), labels).backward()
        watch.update(labels)
        result = watch.compute()
    weight, bias = model.fc.weight.detach(), model.fc.bias.detach()
    expected = one_pass_values(model.body(images).detach(), labels, ONE_PASS, scatter=False, weight=weight, bias=bias)
    assert result.to_dict()["all"] == expected.to_dict()["all"]


def test_features_are_let_go_of() -> None:
    model, (images, labels) = Net(), images_and_labels()
    with nctools.watch(model) as watch:
        model(images)
        (tap,) = watch._taps.values()
        first = weakref.ref(cast("Tensor", tap._features))
        model(images)
        second = weakref.ref(cast("Tensor", tap._features))
        gc.collect()
        assert first() is None
        watch.update(labels)
        gc.collect()
        assert second() is None
        model(images)
    assert tap._features is None


def test_copies_of_a_watched_model_have_no_hooks_that_act() -> None:
    model, (images, labels) = Net().eval(), images_and_labels()
    with nctools.watch(model, metrics=ONE_PASS) as watch:
        twin = copy.deepcopy(model)
        stream = io.BytesIO()
        torch.save(model, stream)
        stream.seek(0)
        read = torch.load(stream, weights_only=False)
        model(images)
        twin(torch.randn(7, 4))
        read(torch.randn(7, 4))
        for other in (twin, read):
            assert not any(isinstance(hook, Tap) for hook in other.fc._forward_hooks.values())
        watch.update(labels)
        assert set(watch.compute().table.query("group == 'all'")["n_max"]) == {10}


def test_an_operation_in_place_does_not_change_what_was_read() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 3))
    images, labels = images_and_labels()
    with nctools.watch(model, "0:output", metrics=["nc1_cdnv"], num_classes=3) as watch:
        model(images)
        watch.update(labels)
        result = watch.compute()
    features = model[0](images).detach()
    assert bool((features < 0).any())
    expected = one_pass_values(features, labels, ["nc1_cdnv"], scatter=False, weight=None, bias=None)
    assert result.to_dict()["all"] == expected.to_dict()["all"]


def test_a_batch_that_does_not_fit_adds_nothing() -> None:
    model, (images, labels) = Net().eval(), images_and_labels()
    with nctools.watch(model, {"a": "body:output", "b": "fc:input"}, num_classes=3, metrics=["nc1_cdnv"]) as watch:
        model(images)
        watch.update(labels)
        model(images[:5])
        with pytest.raises(ValueError, match=r"labels have shape \[30\] but there are 5 samples"):
            watch.update(labels)
        model(torch.full((3, 4), torch.nan))
        with pytest.raises(ValueError, match="layer 'a' has a NaN or infinite feature"):
            watch.update(labels[:3])
        model(images[:3])
        with pytest.raises(ValueError, match="label 7 of sample 0 is out of range"):
            watch.update(torch.tensor([7, 0, 1]))
        assert set(watch.compute().table.query("group == 'all'")["n_max"]) == {10}


def test_the_number_of_classes_must_be_known() -> None:
    model, (images, labels) = Net(), images_and_labels()
    with nctools.watch(model, "body") as watch:
        model(images)
        with pytest.raises(ValueError, match="pass num_classes"):
            watch.update(labels)
    with pytest.raises(ValueError, match="num_classes is 4, but class_names has 3"):
        nctools.watch(model, num_classes=4, class_names=["a", "b", "c"])


def test_a_wrong_place_is_said_at_once() -> None:
    with pytest.raises(UnknownNameError, match="fc"):
        nctools.watch(Net(), "fcc:input")


def test_measuring_needs_images() -> None:
    with pytest.raises(ValueError, match="no images to measure on"):
        nctools.watch(Net()).measure(epoch=1)


@pytest.mark.parametrize("wrap", [AveragedModel, nn.DataParallel])
def test_a_wrapped_model_has_the_places_of_the_model_in_it(wrap: type[nn.Module]) -> None:
    model = Net()
    watch = nctools.watch(wrap(model), "fc:input", loader=plain_loader(), metrics=ONE_PASS)
    plain = nctools.watch(model, "fc:input", loader=plain_loader(), metrics=ONE_PASS)
    assert watch.measure(epoch=1).to_dict() == plain.measure(epoch=1).to_dict()


def test_a_compiled_model_is_measured() -> None:
    model = Net()
    compiled = cast("nn.Module", torch.compile(model, backend="eager"))
    with nctools.watch(compiled, "fc:input", loader=plain_loader(), metrics=ONE_PASS) as watch:
        images, labels = images_and_labels()
        compiled(images)
        watch.update(labels)
        assert watch.compute().spaces == ["fc:input"]
        assert watch.measure(epoch=1).to_dict()["all"]["nc1_cdnv"] > 0


def test_averaged_weights_have_rows_of_their_own(tmp_path: Path) -> None:
    model, path = Net(), tmp_path / "mine" / "nc.csv"
    average = AveragedModel(model)
    with torch.no_grad():
        model.fc.weight.mul_(-1)
    with nctools.watch(model, "fc:input", loader=plain_loader(), path=path, metrics=ONE_PASS) as watch:
        for epoch in (1, 2, 2):  # the second time counts
            raw = watch.measure(epoch=epoch)
            ema = watch.measure(epoch=epoch, model=average)
            watch.measure(epoch=epoch, model=average, weights="swa")
    assert average.training
    table = pd.read_csv(path)
    pd.testing.assert_frame_equal(table, watch.table, check_dtype=False)
    assert table.columns.tolist()[:7] == ["epoch", "weights", "space", "split", "group", "metric", "value"]
    assert not table.duplicated(["epoch", "weights", "group", "metric"]).any()
    assert table["weights"].unique().tolist() == ["raw", "ema", "swa"]
    chosen = table.query("epoch == 2 and group == 'all' and metric == 'nc3_self_duality'").set_index("weights")["value"]
    assert chosen["raw"] == raw.to_dict()["all"]["nc3_self_duality"]
    assert chosen["ema"] == ema.to_dict()["all"]["nc3_self_duality"]
    drawn = nc_curves_data({"mine": table}, metrics=["nc3_self_duality"], groups=["all"])
    assert (
        drawn["value"].tolist()
        == table.query("weights == 'raw' and metric == 'nc3_self_duality' and group == 'all'")["value"].tolist()
    )


def test_the_table_can_be_saved_elsewhere(tmp_path: Path) -> None:
    watch = nctools.watch(Net(), loader=plain_loader(), metrics=ONE_PASS, class_names=["a", "b", "c"])
    watch.measure(epoch=1)
    watch.save(tmp_path / "deep" / "nc.csv")
    assert len(pd.read_csv(tmp_path / "deep" / "nc.csv")) == len(watch.table)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["nc.csv"]
