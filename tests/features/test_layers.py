from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from nctools.errors import UnknownNameError
from nctools.features.layers import (
    LayerSpec,
    classifier_anchors,
    is_pointwise,
    last_linear,
    layer_names,
    parse_layer,
    resolve_layers,
)
from tests.features.models import Classwise, classifier_of, compiled, linear_model


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("classifier", LayerSpec("classifier", "output")),
        ("classifier:input", LayerSpec("classifier", "input")),
        ("trunk.0:output", LayerSpec("trunk.0", "output")),
        (":output", LayerSpec("", "output")),
    ],
)
def test_place_is_read_with_output_as_the_default(spec: str, expected: LayerSpec) -> None:
    assert parse_layer(Classwise(4, 3, 5), spec) == expected


def test_module_whose_name_has_a_colon_is_found() -> None:
    model = nn.ModuleDict({"a:b": nn.Linear(2, 2)})
    assert parse_layer(model, "a:b") == LayerSpec("a:b", "output")
    assert parse_layer(model, "a:b:input") == LayerSpec("a:b", "input")


@pytest.mark.parametrize("spec", ["clasifier", "clasifier:input"])
def test_unknown_module_lists_near_misses(spec: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown layer 'clasifier'; did you mean classifier"):
        parse_layer(Classwise(4, 3, 5), spec)


def test_unknown_side_is_named_with_the_two_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'inputs': write \"classifier:input\" or \"classifier:output\""):
        parse_layer(Classwise(4, 3, 5), "classifier:inputs")


def test_last_linear_is_the_classifier_and_not_the_projection_inside_attention() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(8, 2), "attention": nn.MultiheadAttention(8, 2)})
    assert last_linear(model) == "fc"
    assert last_linear(nn.Linear(2, 2)) == ""


def test_model_without_a_linear_is_refused_with_its_last_modules() -> None:
    with pytest.raises(ValueError, match=r"Sequential has no nn.Linear.*its last modules are: 0, 1"):
        last_linear(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))


def test_layer_names_include_a_shared_module_under_each_name() -> None:
    shared = nn.ReLU()
    assert layer_names(nn.Sequential(shared, shared)) == ["0", "1"]


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "a\0", "a\n"])
def test_name_that_no_feature_file_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a layer's features"):
        resolve_layers(linear_model(), {name: "2:input"})


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        (["2:input"], TypeError, "layers is a list: pass a mapping"),
        ({"first": 0}, TypeError, "both name and place must be strings"),
        ({}, ValueError, "layers is empty"),
    ],
)
def test_wrong_layers_are_refused(layers: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_layers(linear_model(), cast("Mapping[str, str]", layers))


def test_classifier_rows_are_found_for_the_layer_that_the_classifier_reads() -> None:
    model = linear_model()
    layers = resolve_layers(model, {"hidden": "0:output", "penultimate": "2:input", "logits": "2:output"})
    found = classifier_anchors(model, layers, num_classes=3)
    assert list(found) == ["penultimate"]
    assert found["penultimate"].weight.equal(classifier_of(model).weight)
    assert found["penultimate"].bias is not None
    assert not found["penultimate"].weight.requires_grad
    assert classifier_anchors(model, layers, num_classes=4) == {}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("trunk:output[hidden]", LayerSpec("trunk", "output", ("hidden",))),
        ("trunk[hidden]", LayerSpec("trunk", "output", ("hidden",))),
        ("trunk['hidden'][-1]", LayerSpec("trunk", "output", ("hidden", -1))),
        ("trunk:input[0][1]#3", LayerSpec("trunk", "input", (0, 1), 3)),
        ("trunk#2", LayerSpec("trunk", "output", (), 2)),
        ("trunk:input#last", LayerSpec("trunk", "input", (), -1)),
        ("[logits]", LayerSpec("", "output", ("logits",))),
        (":input[x y]#12", LayerSpec("", "input", ("x y",), 12)),
    ],
)
def test_parts_and_calls_are_read_and_written_back(spec: str, expected: LayerSpec) -> None:
    model = Classwise(4, 3, 5)
    found = parse_layer(model, spec)
    assert found == expected
    assert parse_layer(model, str(found)) == found


def test_module_whose_name_looks_like_a_part_or_a_call_is_found() -> None:
    model = nn.ModuleDict({"a[0]": nn.Linear(2, 2), "a#1": nn.Linear(2, 2), "a": nn.Linear(2, 2)})
    assert parse_layer(model, "a[0]") == LayerSpec("a[0]", "output")
    assert parse_layer(model, "a#1:input[0]") == LayerSpec("a#1", "input", (0,))
    assert parse_layer(model, "a#1") == LayerSpec("a#1", "output")


@pytest.mark.parametrize("spec", ["trunk:output#0", "trunk:output[", "trunk:output#first", "trunk:output[]"])
def test_malformed_end_is_refused_with_the_forms_that_exist(spec: str) -> None:
    with pytest.raises(ValueError, match=r"trunk:input.*\[KEY\] or \[POSITION\] for a part and #1, #2"):
        parse_layer(Classwise(4, 3, 5), spec)


@pytest.mark.parametrize("name", ["2:input", "module.2:input", "_orig_mod.2:input", "_orig_mod.module.2:input"])
def test_names_with_the_prefix_of_a_wrapper_are_understood(name: str) -> None:
    model = nn.DataParallel(compiled(linear_model()))
    assert parse_layer(model, name) == LayerSpec("2", "input")
    assert parse_layer(AveragedModel(linear_model()), name) == LayerSpec("2", "input")


def test_child_that_is_really_named_module_goes_before_the_prefix() -> None:
    model = nn.ModuleDict({"module": nn.ModuleDict({"fc": nn.Linear(2, 2)}), "fc": nn.Linear(2, 3)})
    assert parse_layer(model, "module.fc") == LayerSpec("module.fc", "output")


def test_name_without_the_trace_of_a_compiled_child_is_understood() -> None:
    model = nn.Sequential(compiled(linear_model()), nn.ReLU())
    assert parse_layer(model, "0.2:input") == LayerSpec("0._orig_mod.2", "input")
    assert parse_layer(model, "0") == LayerSpec("0", "output")


def test_layers_and_rows_of_a_wrapped_model_are_those_inside() -> None:
    model = linear_model()
    wrapped = nn.DataParallel(model)
    assert layer_names(wrapped) == ["0", "1", "2"]
    assert last_linear(wrapped) == "2"
    found = classifier_anchors(wrapped, resolve_layers(wrapped, None), num_classes=3)
    assert found["penultimate"].weight.equal(classifier_of(model).weight)


def test_rows_of_a_convolutional_classifier_are_a_matrix() -> None:
    classifier = nn.Conv2d(8, 5, 1)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), classifier, nn.Conv2d(5, 5, 3))
    layers = resolve_layers(model, {"map": "1:input", "first": "0:input", "wide": "2:input", "out": "1:output"})
    found = classifier_anchors(model, layers, num_classes=5, maps="mean")
    assert list(found) == ["map"]
    assert found["map"].weight.equal(classifier.weight[:, :, 0, 0])
    # The rows are not as wide as a flattened map.
    assert classifier_anchors(model, layers, num_classes=5, maps="flatten") == {}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(4, 2, 1), True),
        (nn.Conv3d(4, 2, 1), True),
        (nn.Conv2d(4, 2, 1, padding="same"), True),
        (nn.Conv2d(4, 2, 1, padding=1), False),
        (nn.Conv2d(4, 2, 1, stride=2), False),
        (nn.Conv2d(4, 2, (1, 3)), False),
        (nn.Conv2d(4, 2, 1, groups=2), False),
        (nn.ConvTranspose2d(4, 2, 1), False),
        (nn.Linear(4, 2), False),
    ],
)
def test_pointwise_convolution_is_a_matrix_at_each_place(module: nn.Module, expected: bool) -> None:
    assert is_pointwise(module) is expected


def test_rows_of_a_parametrized_classifier_are_the_effective_ones() -> None:
    model = linear_model()
    nn.utils.parametrizations.weight_norm(classifier_of(model))
    with torch.no_grad():
        model.get_parameter("2.parametrizations.weight.original0").mul_(3.0)
    found = classifier_anchors(model, resolve_layers(model, None), num_classes=3)["penultimate"]
    images = torch.randn(5, 6)
    assert found.bias is not None
    torch.testing.assert_close(images @ found.weight.T + found.bias, classifier_of(model)(images))


@pytest.mark.parametrize(
    ("place", "rows"), [("2:input[0]", 1), ("2:input[input]", 1), ("2:input#last", 1), ("2[0]", 0)]
)
def test_rows_belong_to_the_whole_input(place: str, rows: int) -> None:
    model = linear_model()
    assert len(classifier_anchors(model, resolve_layers(model, {"x": place}), num_classes=3)) == rows
