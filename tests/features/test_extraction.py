from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SubsetRandomSampler, TensorDataset

from nctools.errors import StoreError, UnknownNameError
from nctools.features import FeatureStore, extract
from nctools.models.output import Anchors, Output
from tests.features.models import Classwise, Echo, classifier_of, label_sets, linear_model, loader

Batches = list[Sequence[Tensor]]


def batches_of(features: Tensor, targets: Tensor, batch_size: int) -> Batches:
    return list(zip(features.split(batch_size), targets.split(batch_size), strict=True))


def echo(
    features: Tensor, targets: Tensor, path: Path, *, batch_size: int = 4, pairs: str = "positive"
) -> FeatureStore:
    return extract(
        Echo(),
        batches_of(features, targets, batch_size),
        path,
        layers={"x": "features"},
        pairs=cast('Literal["positive", "all"]', pairs),
        progress=False,
    )


def stream(store: FeatureStore, layer: str, chunk_size: int) -> tuple[Tensor, Tensor, Tensor]:
    pieces = list(store.iterate(layer, chunk_size))
    assert all(0 < len(features) <= chunk_size for features, _, _ in pieces)
    features, classes, samples = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return features, classes, samples


def assert_pairs_equal(store: FeatureStore, features: Tensor, targets: Tensor, chunk_size: int) -> None:
    samples, classes = targets.nonzero(as_tuple=True)
    expected = features[samples, classes] if features.ndim == 3 else features[samples]
    assert [part.tolist() for part in store.pair_index("x")] == [samples.tolist(), classes.tolist()]
    if not len(samples):
        assert list(store.iterate("x", chunk_size)) == []
        return
    found_features, found_classes, found_samples = stream(store, "x", chunk_size)
    assert found_features.equal(expected)
    assert found_classes.equal(classes)
    assert found_samples.equal(samples)


@settings(max_examples=60)
@given(
    num_images=st.integers(1, 40),
    num_classes=st.integers(1, 5),
    num_features=st.integers(1, 7),
    batch_size=st.integers(1, 40),
    chunk_size=st.integers(1, 50),
    layout=st.sampled_from(["shared", "positive", "all"]),
)
def test_file_equals_memory_for_any_shape(
    num_images: int, num_classes: int, num_features: int, batch_size: int, chunk_size: int, layout: str
) -> None:
    middle = () if layout == "shared" else (num_classes,)
    features = torch.randn(num_images, *middle, num_features)
    targets = label_sets(num_images, num_classes, seed=num_images)
    with tempfile.TemporaryDirectory() as folder:
        pairs = "all" if layout == "all" else "positive"
        with echo(features, targets, Path(folder) / "x.h5", batch_size=batch_size, pairs=pairs) as store:
            assert store.kind("x") == ("shared" if layout == "shared" else "classwise")
            assert store.num_features("x") == num_features
            assert (len(store), store.num_classes) == (num_images, num_classes)
            assert store.targets.equal(targets.to(torch.uint8))
            whole = features[targets.nonzero(as_tuple=True)] if layout == "positive" else features
            assert store.features("x").equal(whole)
            assert_pairs_equal(store, features, targets, chunk_size)


@pytest.mark.parametrize("layout", ["shared", "positive", "all"])
def test_rows_across_many_chunks_keep_their_order(layout: str, tmp_path: Path) -> None:
    targets = label_sets(9000, 2)
    features = torch.arange(9000 * 2 * 3, dtype=torch.float32).reshape(9000, 2, 3)
    features = features[:, 0] if layout == "shared" else features
    pairs = "all" if layout == "all" else "positive"
    with echo(features, targets, tmp_path / "x.h5", batch_size=777, pairs=pairs) as store:
        assert store.ids == [str(row) for row in range(9000)]
        assert_pairs_equal(store, features, targets, 1000)


def test_two_layers_logits_and_description_come_from_one_pass(tmp_path: Path) -> None:
    model, images, targets = Classwise(4, 3, 5), torch.randn(10, 4), label_sets(10, 3)
    anchors = {"classwise": Anchors(torch.randn(3, 5), kind="label_embedding")}
    store = extract(
        model,
        loader(images, targets),
        tmp_path / "new" / "train.h5",
        layers={"classwise": "split", "images": "trunk.0:input"},
        class_names=["cat", "Füße", "\0\ud800 🐈\n"],
        ids=[f"image/{row}.jpg" for row in range(9)] + ["\udcff"],
        groups={"head": [0], "tail": [1, 2]},
        anchors=anchors,
        provenance={"dataset": "toy", "epoch": 3},
        progress=False,
    )
    output = model.eval()(images)
    assert store.layers == ["classwise", "images"]
    assert [store.kind(name) for name in store.layers] == ["classwise", "shared"]
    torch.testing.assert_close(store.logits, output.logits)
    torch.testing.assert_close(store.features("classwise"), output.features["classwise"][targets.bool()])
    assert store.features("images").equal(images)
    assert store.classes == ["cat", "Füße", "\0\ud800 🐈\n"]
    assert store.ids == [f"image/{row}.jpg" for row in range(9)] + ["\udcff"]
    assert store.groups == {"head": [0], "tail": [1, 2]}
    assert store.attrs["provenance"] == {"dataset": "toy", "epoch": 3}
    assert store.attrs["places"] == {"classwise": "split:output", "images": "trunk.0:input"}
    assert not store.single_label
    found = store.anchors("classwise")
    assert found is not None
    assert found.weight.equal(anchors["classwise"].weight)
    assert (found.kind, found.bias) == ("label_embedding", None)
    assert store.anchors("images") is None
    assert store.classifier is None


def test_positive_pairs_are_the_same_as_those_of_a_dense_file(tmp_path: Path) -> None:
    features, targets = torch.randn(70, 4, 3), label_sets(70, 4)
    positive = echo(features, targets, tmp_path / "positive.h5")
    dense = echo(features, targets, tmp_path / "dense.h5", pairs="all")
    assert dense.features("x").shape == (70, 4, 3)
    for left, right in zip(stream(positive, "x", 11), stream(dense, "x", 11), strict=True):
        assert left.equal(right)


def test_class_indices_become_label_sets(tmp_path: Path) -> None:
    model, images, targets = linear_model(), torch.randn(10, 4), torch.arange(10) % 3
    store = extract(model, loader(images, targets), tmp_path / "x.h5", progress=False)
    assert store.single_label
    assert store.targets.equal(nn.functional.one_hot(targets, 3).to(torch.uint8))
    assert store.classes == ["0", "1", "2"]
    assert store.groups is None
    features, classes, samples = stream(store, "penultimate", 4)
    assert classes.equal(targets)
    assert samples.equal(torch.arange(10))
    torch.testing.assert_close(features, model[:2](images).detach())


def test_classifier_that_reads_the_layer_is_kept_unless_anchors_are_given(tmp_path: Path) -> None:
    model, data = linear_model(), loader(torch.randn(10, 4), label_sets(10, 3))
    kept = extract(model, data, tmp_path / "kept.h5", progress=False).classifier
    assert kept is not None
    assert kept.weight.equal(classifier_of(model).weight)
    assert kept.bias is not None
    assert kept.bias.equal(classifier_of(model).bias)
    assert extract(model, data, tmp_path / "none.h5", anchors={}, progress=False).classifier is None


class Returns(nn.Module):
    """Returns logits in the form under test."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.fc, self.form = nn.Linear(4, 3), form

    def forward(self, images: Tensor) -> object:
        logits = self.fc(images)
        forms: dict[str, object] = {
            "tensor": logits,
            "output": Output(logits),
            "tuple": (logits, images),
            "mapping": {"loss": torch.tensor(1.0), "logits": logits},
            "no logits": {"hidden": logits},
            "other width": images,
            "none": None,
        }
        return forms[self.form]


@pytest.mark.parametrize("form", ["tensor", "output", "tuple", "mapping"])
def test_logits_are_found_in_what_the_model_returns(form: str, tmp_path: Path) -> None:
    model, images = Returns(form), torch.randn(6, 4)
    store = extract(model, loader(images, label_sets(6, 3)), tmp_path / "x.h5", progress=False)
    torch.testing.assert_close(store.logits, model.fc(images).detach())


@pytest.mark.parametrize("form", ["no logits", "other width", "none"])
def test_model_without_logits_is_extracted_too(form: str, tmp_path: Path) -> None:
    data = loader(torch.randn(6, 4), label_sets(6, 3))
    assert extract(Returns(form), data, tmp_path / "x.h5", progress=False).logits is None


def test_number_of_classes_comes_from_the_names_where_nothing_else_tells(tmp_path: Path) -> None:
    data = loader(torch.randn(6, 4), torch.arange(6) % 3)
    with pytest.raises(ValueError, match="pass class_names"):
        extract(Returns("none"), data, tmp_path / "x.h5", progress=False)
    store = extract(Returns("none"), data, tmp_path / "x.h5", class_names=list("abcd"), progress=False)
    assert store.targets.shape == (6, 4)


def test_modes_are_put_back_module_by_module_and_gradients_still_flow(tmp_path: Path) -> None:
    model = linear_model().train()
    model[1].eval()
    extract(model, loader(torch.randn(6, 4), label_sets(6, 3)), tmp_path / "x.h5", device="cpu", progress=False)
    assert [module.training for module in model] == [True, False, True]
    assert not any(module._forward_hooks for module in model.modules())
    model(torch.randn(2, 4)).sum().backward()
    assert model[0].weight.grad is not None


def test_dropout_is_off_during_extraction(tmp_path: Path) -> None:
    model, data = Classwise(4, 3, 5).train(), loader(torch.randn(6, 4), label_sets(6, 3))
    first, second = (extract(model, data, tmp_path / f"{run}.h5", progress=False) for run in "ab")
    assert model.training
    assert first.features("penultimate").equal(second.features("penultimate"))


def live_bytes() -> int:
    gc.collect()
    return sum(item.numel() * item.element_size() for item in gc.get_objects() if type(item) is Tensor)


@pytest.mark.parametrize("pairs", ["positive", "all"])
def test_memory_does_not_grow_with_the_number_of_images(pairs: Literal["positive", "all"], tmp_path: Path) -> None:
    alive: dict[int, int] = {}

    def stream_of_batches() -> Iterator[Sequence[Tensor]]:
        for step in range(101):
            if step in {20, 60, 100}:
                alive[step] = live_bytes()
            yield torch.randn(16, 8, 64), torch.ones(16, 8)

    extract(Echo(), stream_of_batches(), tmp_path / "x.h5", layers={"x": "features"}, pairs=pairs, progress=False)
    batch_bytes = 16 * 8 * 64 * 4
    # A chunk of 64 images and a batch or two are in flight, of 1616 images.
    assert max(alive.values()) - min(alive.values()) <= 6 * batch_bytes


def test_dataloader_that_reuses_its_memory_is_read_correctly(tmp_path: Path) -> None:
    images, targets = torch.empty(2, 3), torch.empty(2, 2)

    def reused() -> Iterator[Sequence[Tensor]]:
        for step in range(5):
            images.fill_(step)
            targets.fill_(step % 2)
            yield images, targets

    store = extract(Echo(), reused(), tmp_path / "x.h5", layers={"x": "features"}, progress=False)
    assert store.features("x")[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert store.targets[:, 0].tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]


# --- what is refused, and what is left on disk then ---


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interruption_leaves_the_old_file_whole(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    echo(torch.ones(4, 3), label_sets(4, 2), path)

    def interrupted() -> Iterator[Sequence[Tensor]]:
        yield torch.zeros(500, 3), torch.ones(500, 2)
        raise error

    model = Echo().train()
    with pytest.raises(error):
        extract(model, interrupted(), path, layers={"x": "features"}, overwrite=True, progress=False)
    assert list(tmp_path.iterdir()) == [path]
    assert FeatureStore(path).features("x").equal(torch.ones(4, 3))
    assert model.training
    assert not model.features._forward_hooks


def test_existing_file_is_kept_unless_overwrite_is_passed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    model, data = linear_model(), loader(torch.randn(6, 4), label_sets(6, 3))
    extract(model, data, path, progress=False)
    with pytest.raises(StoreError, match=r"x\.h5 exists already: pass overwrite=True"):
        extract(model, data, path, progress=False)
    assert len(extract(model, loader(torch.randn(7, 4), label_sets(7, 3)), path, overwrite=True, progress=False)) == 7
    with pytest.raises(StoreError, match="is a folder"):
        extract(model, data, tmp_path, overwrite=True, progress=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("shape", [(10, 3), (10, 2, 3)])
def test_feature_that_is_not_finite_is_named_and_leaves_nothing(
    value: float, shape: tuple[int, ...], tmp_path: Path
) -> None:
    features = torch.randn(*shape)
    features[7, ..., 1] = value
    with pytest.raises(ValueError, match=rf"layer 'x' of image '7' has the feature {value}: check the checkpoint"):
        echo(features, torch.zeros(10, 2), tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


def test_float16_is_exact_for_what_fits_and_refused_for_what_does_not(tmp_path: Path) -> None:
    features, targets = torch.randn(10, 2, 3).half().float(), torch.eye(2).repeat(5, 1)
    layers = {"x": "features"}
    data = batches_of(features, targets, 4)
    half = extract(Echo(), data, tmp_path / "half.h5", layers=layers, dtype="float16", progress=False)
    assert half.features("x").dtype == torch.float32
    assert stream(half, "x", 3)[0].equal(features[targets.bool()])
    assert half.attrs["dtype"] == "float16"
    features[5, 1, 0] = 70000.0
    with pytest.raises(ValueError, match=r"image '5' has the feature inf: it was too large for float16: pass dtype"):
        extract(Echo(), data, tmp_path / "x.h5", layers=layers, dtype="float16", progress=False)


def test_bfloat16_features_are_stored_exactly(tmp_path: Path) -> None:
    features, targets = torch.randn(6, 3).bfloat16(), torch.ones(6, 2)
    assert echo(features, targets, tmp_path / "x.h5").features("x").equal(features.float())


def test_float64_features_too_large_for_float32_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too large for float32"):
        echo(torch.full((2, 3), 1e39, dtype=torch.float64), torch.ones(2, 2), tmp_path / "x.h5")


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 2, 3, 3), (4,), (3, 4)])
def test_features_of_another_shape_are_refused_with_layer_and_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    class Reshapes(Echo):
        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.features(torch.zeros(shape))
            return found

    message = rf"layer 'x' has features of shape \{list(shape)} for 4 images and 2 classes"
    with pytest.raises(ValueError, match=message):
        extract(Reshapes(), [(torch.zeros(4, 1), torch.ones(4, 2))], tmp_path / "x.h5", layers={"x": "features"})


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([[1.0, 0.0], [1.0, -1.0]]), r"image '1' has the label -1.0 for class 1"),
        (torch.tensor([[1.0, 0.0], [0.5, 0.0]]), r"image '1' has the label 0.5 for class 0"),
        (torch.tensor([0, 3]), r"image '1' has the class index 3, but there are 3 classes"),
        (torch.tensor([0, -1]), r"image '1' has the class index -1"),
        (torch.tensor([0.0, 1.0]), r"targets have shape \[2\] and dtype torch.float32"),
        (torch.zeros(2, 3, 1), r"targets have shape \[2, 3, 1\]"),
        (torch.zeros(1, 3), r"a batch has 2 images but 1 targets"),
    ],
)
def test_wrong_targets_are_refused(targets: Tensor, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        extract(linear_model(), [(torch.zeros(2, 4), targets)], tmp_path / "x.h5", progress=False)


@pytest.mark.parametrize("batch", [torch.zeros(2, 4), (torch.zeros(2, 4),), (torch.zeros(2, 4), ["a", "b"])])
def test_batch_that_is_no_pair_of_tensors_is_refused(batch: object, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"each batch must be a pair of tensors"):
        extract(linear_model(), cast("Batches", [batch]), tmp_path / "x.h5", progress=False)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"pairs": "negative"}, ValueError, r"pairs is 'negative'; it is one of: positive, all"),
        ({"dtype": "float64"}, ValueError, r"dtype is 'float64'; it is one of: float32, float16"),
        ({"layers": {"x": "3:input"}}, UnknownNameError, r"unknown layer '3'"),
        ({"class_names": ["a", "b"]}, ValueError, r"targets have 3 columns but 2 classes"),
        ({"groups": {"tail": [1, 3]}}, ValueError, r"group 'tail' holds class 3, but there are 3 classes"),
        ({"ids": ["a"]}, ValueError, r"ids has 1 entries but the data set has 6 images"),
        ({"ids": ["a\0"] * 6}, ValueError, r"the image id 'a\\x00' holds a NUL"),
        ({"provenance": {"path": Path()}}, TypeError, r"provenance\['path'\] cannot be written as JSON"),
        ({"anchors": {"penultimat": Anchors(torch.zeros(3, 6))}}, UnknownNameError, r"did you mean penultimate"),
        ({"anchors": {"penultimate": Anchors(torch.zeros(3, 5))}}, ValueError, r"shape \[3, 5\], but there are 3"),
    ],
)
def test_wrong_argument_is_refused_and_leaves_nothing(
    settings: Mapping[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    data = loader(torch.randn(6, 4), label_sets(6, 3))
    with pytest.raises(error, match=message):
        extract(linear_model(), data, tmp_path / "x.h5", progress=False, **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


class Rows(IterableDataset[tuple[Tensor, Tensor]]):
    """Says a length that may be wrong."""

    def __init__(self, found: int, said: int) -> None:
        self.found, self.said = found, said

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(torch.zeros(4), torch.ones(3))] * self.found)

    def __len__(self) -> int:
        return self.said


def test_missing_rows_are_an_error_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gave 5 images but the data set has 6"):
        extract(linear_model(), DataLoader(Rows(5, said=6), batch_size=6), tmp_path / "x.h5", progress=False)
    batches = [(torch.zeros(5, 4), torch.ones(5, 3))]
    for ids, message in [("abcd", "ids has 4 entries but there are more"), ("abcdef", "5 images but the ids name 6")]:
        with pytest.raises(ValueError, match=message):
            extract(linear_model(), batches, tmp_path / "x.h5", ids=list(ids), progress=False)
    with pytest.raises(ValueError, match="gave no batch"):
        extract(linear_model(), [], tmp_path / "x.h5", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_loader_that_cannot_give_every_image_is_refused_before_the_pass(tmp_path: Path) -> None:
    dataset = TensorDataset(torch.zeros(6, 4), torch.ones(6, 3))
    model, path = linear_model(), tmp_path / "x.h5"
    with pytest.raises(ValueError, match=r"would drop the last 2 of 6 images"):
        extract(model, DataLoader(dataset, batch_size=4, drop_last=True), path)
    with pytest.raises(ValueError, match=r"sampler visits 3 of 6 images"):
        extract(model, DataLoader(dataset, sampler=SubsetRandomSampler([0, 1, 2])), path)
    shuffled = DataLoader(dataset, sampler=RandomSampler(dataset))
    with pytest.raises(ValueError, match=r"the dataloader shuffles"):
        extract(model, shuffled, path, ids=list("abcdef"))
    assert len(extract(model, shuffled, path, progress=False)) == 6


def test_changing_shapes_and_logits_are_refused(tmp_path: Path) -> None:
    batches = [(torch.zeros(2, 3), torch.ones(2, 3)), (torch.zeros(2, 4), torch.ones(2, 3))]
    with pytest.raises(ValueError, match=r"shape \[2, 4\], but \[B, 3\] in the first batch"):
        extract(Echo(), batches, tmp_path / "x.h5", layers={"x": "features"}, progress=False)

    class Sometimes(Echo):
        def forward(self, images: Tensor) -> Tensor:
            found = super().forward(images)
            return found if found[0, 0] == 0 else found[:, :1]

    batches = [(torch.zeros(2, 3), torch.ones(2, 3)), (torch.ones(2, 3), torch.ones(2, 3))]
    with pytest.raises(ValueError, match=r"in some batches only"):
        extract(Sometimes(), batches, tmp_path / "x.h5", layers={"x": "features"}, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_stderr_and_can_be_silenced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = loader(torch.zeros(8, 4), torch.ones(8, 3))
    extract(linear_model(), data, tmp_path / "a.h5")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("extracting: 100 % (8 of 8 images)\n")
    extract(linear_model(), data, tmp_path / "b.h5", progress=False)
    assert capsys.readouterr().err == ""
