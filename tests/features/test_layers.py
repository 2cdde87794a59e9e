from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
from torch import nn

from nctools.errors import UnknownNameError
from nctools.features.layers import (
    LayerSpec,
    classifier_anchors,
    last_linear,
    layer_names,
    parse_layer,
    resolve_layers,
)
from tests.features.models import Classwise, classifier_of, linear_model


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
