"""measure() takes arrays, stores and paths, and says what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import nctools
from nctools.collapse import CollapseStatistics
from nctools.errors import CheckpointError, StoreError, UnknownNameError
from nctools.stored_pairs import class_angles

CLASSES = 4


class TwoHeads(nn.Module):
    """A body whose output is hooked at two places: before a wide and before a narrow linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mix, self.fc = nn.Linear(6, 12), nn.Linear(12, 5), nn.Linear(5, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.mix(self.body(inputs).relu()))
        return logits


@pytest.fixture
def store(tmp_path: Path) -> Iterator[nctools.FeatureStore]:
    torch.manual_seed(0)
    labels = torch.arange(80) % CLASSES
    data = TensorDataset(torch.randn(CLASSES, 6)[labels] + 0.1 * torch.randn(80, 6), labels)
    layers = {"hidden": "mix:input", "penultimate": "fc:input"}
    with nctools.extract(
        TwoHeads(), DataLoader(data, batch_size=32), tmp_path / "f.h5", layers=layers, progress=False
    ) as opened:
        yield opened


def test_a_store_an_open_path_and_the_arrays_in_it_agree(store: nctools.FeatureStore, tmp_path: Path) -> None:
    from_store = nctools.measure(store)
    assert from_store.spaces == ["hidden", "penultimate"]
    assert nctools.measure(tmp_path / "f.h5").to_dict("penultimate") == from_store.to_dict("penultimate")
    classifier = store.classifier
    assert classifier is not None
    from_arrays = nctools.measure(
        store.features("penultimate"), store.targets.argmax(1), classifier.weight, classifier.bias
    )
    for metric, value in from_arrays.to_dict()["all"].items():
        assert from_store.to_dict("penultimate")["all"][metric] == pytest.approx(value, rel=1e-10, nan_ok=True), metric


def test_numpy_and_torch_give_the_same(store: nctools.FeatureStore) -> None:
    features, labels = store.features("hidden"), store.targets.argmax(1)
    assert nctools.measure(np.asarray(features), np.asarray(labels)).to_dict() == (
        nctools.measure(features, labels).to_dict()
    )


def test_an_id_is_measured_in_the_spaces_that_can_have_it(store: nctools.FeatureStore) -> None:
    result = nctools.measure(store, metrics=["nc1_pinv", "nc3_alignment"])
    assert list(result.to_dict("hidden")["all"]) == ["nc1_pinv"]
    assert list(result.to_dict("penultimate")["all"]) == ["nc1_pinv", "nc3_alignment"]
    assert nctools.measure(store, metrics=["nc3_alignment"]).spaces == ["penultimate"]


def test_an_id_that_no_space_can_have_is_refused(store: nctools.FeatureStore) -> None:
    with pytest.raises(ValueError, match="mlab_angle_deg cannot be measured here"):
        nctools.measure(store, metrics=["mlab_angle_deg"])


@pytest.mark.parametrize("spaces", [None, ["hidden"]])
def test_an_unknown_id_lists_near_misses(store: nctools.FeatureStore, spaces: list[str] | None) -> None:
    with pytest.raises(UnknownNameError, match="did you mean nc1_pinv"):
        nctools.measure(store, metrics=["nc1_pinf"], spaces=spaces)


def test_an_unknown_space_lists_near_misses(store: nctools.FeatureStore) -> None:
    with pytest.raises(UnknownNameError, match="did you mean penultimate"):
        nctools.measure(store, spaces=["penultmate"])


def test_arrays_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"array of shape \(3, 2\): pass labels too"):
        nctools.measure(torch.zeros(3, 2))


def test_nan_features_name_sample_and_class() -> None:
    features = torch.zeros(4, 2)
    features[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"sample 2.*class 1.*nan"):
        nctools.measure(features, torch.tensor([0, 0, 1, 1]))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothere\.h5"):
        nctools.measure(tmp_path / "nothere.h5")
    with pytest.raises(CheckpointError, match=r"nothere\.pt"):
        nctools.measure(tmp_path / "nothere.pt")


def test_class_angles_are_those_of_the_means(store: nctools.FeatureStore) -> None:
    labels = store.targets.argmax(1)
    means = np.stack([store.features("hidden")[labels == index].double().mean(0).numpy() for index in range(CLASSES)])
    for centre in ("class", "none"):
        rows = means - means.mean(0) if centre == "class" else means
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        expected = np.degrees(np.arccos(np.clip(units @ units.T, -1, 1)))
        angles = class_angles(store, "hidden", centre="class" if centre == "class" else "none")
        off = ~np.eye(CLASSES, dtype=bool)
        np.testing.assert_allclose(angles[off], expected[off], atol=1e-5)


def test_the_file_of_another_split_is_closed_again(
    store: nctools.FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Path] = []
    leave = nctools.FeatureStore.__exit__

    def noted(self: nctools.FeatureStore, *error: Any) -> None:
        left.append(self.path)
        leave(self, *error)

    monkeypatch.setattr(nctools.FeatureStore, "__exit__", noted)
    result = nctools.measure(store, spaces="penultimate", means_from=tmp_path / "f.h5")
    assert left == [tmp_path / "f.h5"]
    assert any("another split" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"classifier": nn.Linear(4, 3)}, TypeError, r"classifier is a module \(Linear\): give its weight"),
        ({"means_from": torch.zeros(6, 4)}, TypeError, r"means_from is a Tensor: give \(features, labels\)"),
        ({"ood_features": torch.zeros(6, 2)}, ValueError, r"ood_features have shape \[6, 2\]: give \[samples, 4\]"),
        ({"groups": [[0, 1]]}, TypeError, "groups are a list: give a mapping"),
    ],
)
def test_arguments_of_another_kind_are_named(options: dict[str, object], error: type[Exception], message: str) -> None:
    features, labels = torch.randn(30, 4), torch.arange(30) % 3
    with pytest.raises(error, match=message):
        nctools.measure(features, labels, **options)  # type: ignore[arg-type]


def test_statistics_are_sent_to_compute_metrics() -> None:
    with pytest.raises(TypeError, match="compute_metrics"):
        nctools.measure(CollapseStatistics(3, 4))  # type: ignore[arg-type]


def test_features_from_outside_are_the_mean_of_all_images_of_a_file(
    store: nctools.FeatureStore, tmp_path: Path
) -> None:
    ids = ["nc5_ood_orthogonality"]
    features = store.features("penultimate")
    found = nctools.measure(store, spaces="penultimate", metrics=ids, ood_features=tmp_path / "f.h5").to_dict()
    expected = nctools.measure(features, store.targets, metrics=ids, ood_features=features).to_dict()
    assert found["all"][ids[0]] == pytest.approx(expected["all"][ids[0]], rel=1e-12)


def test_features_stored_too_coarsely_are_warned_about(tmp_path: Path) -> None:
    labels = torch.arange(60) % 3
    features = torch.eye(3, 8)[labels] + 1e-3 * torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(8, 3))
    batches = [(features, labels)]
    coarse = nctools.extract(model, batches, tmp_path / "coarse.h5", dtype="float16", progress=False)
    fine = nctools.extract(model, batches, tmp_path / "fine.h5", progress=False)
    assert any("stored as float16" in text for text in nctools.measure(coarse).warnings)
    assert not any("float16" in text for text in nctools.measure(fine).warnings)


class Convolutional(nn.Module):
    """Its classifier is a 1x1 convolution."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, rows, 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images).relu()).mean((2, 3))
        return logits


def linear(rows: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, rows))


@pytest.mark.parametrize(
    ("make", "told"),
    [(linear, "3 (10 x 8)"), (Convolutional, "head (1x1 convolution, 10 x 8)")],
    ids=["linear", "conv1x1"],
)
def test_classifier_of_other_classes_than_the_data_is_named_as_the_reason(
    make: Callable[[int], nn.Module], told: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    labels = torch.arange(24) % CLASSES
    batches = DataLoader(TensorDataset(torch.randn(24, 3, 6, 6), labels), batch_size=8)

    def notes_of(rows: int) -> list[str]:
        with nctools.extract(make(rows), batches, tmp_path / f"{rows}.h5", class_names=list("abcd")) as store:
            return [text for text in nctools.measure(store).warnings if "left out" in text]

    rows = f"the model's classifier {told} has 10 rows, but the data have 4 classes"
    assert notes_of(10) == [f"{rows}: NC3 and nc4_agreement are left out"]
    assert notes_of(CLASSES) == []
