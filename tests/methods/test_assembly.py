"""Methods are found by name, built from plain arguments, and agree with their table."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

import nctools.methods
from nctools.data.loading import usual_preprocessing
from nctools.data.preprocessing import preprocessing_named
from nctools.errors import UnknownNameError
from nctools.methods.argument_types import Weight, Width
from nctools.methods.assembly import (
    argument_names,
    argument_types,
    build,
    default_arguments,
    default_recipe,
    method_class,
)
from nctools.methods.catalogue import METHODS, method_entry
from nctools.methods.method import Argument, Method

SMALL: dict[str, dict[str, Argument]] = {
    "class_attention": {"num_features": 32},
    "mlc_nc": {"num_features": 32},
}
# What belongs to the method itself; all others draw images uniformly.
CLASS_AWARE = {"rs", "db", "db_focal", "class_attention", "mlc_nc"}
# Published for the data set, beside backbone and weights.
SETTINGS: dict[tuple[str, str], dict[str, Argument]] = {
    ("cb_focal", "voc_lt"): {"beta": 0.99},
    ("cb_focal", "coco_lt"): {"beta": 0.9},
    **{(name, "voc_lt"): {"mu": 0.3, "lambd": 5.0} for name in ("db", "db_focal")},
    **{(name, "coco_lt"): {"mu": 0.2, "lambd": 2.0} for name in ("db", "db_focal")},
    **{("p_asl", dataset): {"zeros_unknown": True} for dataset in ("plt_voc", "plt_coco")},
}
# What the data tell.
TOLD: dict[str, Any] = {"class_counts": [9, 5, 3, 2, 1], "num_images": 12, "cooccurrence": torch.ones(5, 5)}


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("head", ["linear", "class_attention"])
def test_every_row_of_the_table_builds_and_its_spaces_match_its_layers(name: str, head: str) -> None:
    chosen = {**default_arguments(name, "digits_lt"), **SMALL.get(name, {})}
    if "head" in argument_names(name):
        chosen["head"] = head
    method = build(name, num_classes=5, **TOLD, **chosen)  # type: ignore[arg-type]
    output = method(torch.zeros(2, 3, 48, 48))
    assert output.logits.shape == (2, 5)
    assert list(output.features) == list(method.feature_layers)
    for space, anchors in method.anchors().items():
        assert anchors.weight.shape == (5, output.features[space].shape[-1])
    losses = method.loss(output, torch.eye(5)[:2], epoch=9)
    assert torch.isfinite(losses["loss"])


def test_both_heads_are_there_but_where_the_head_is_the_method() -> None:
    assert {name for name in METHODS if "head" not in argument_names(name)} == {"class_attention", "mlc_nc"}


def test_table_and_files_agree() -> None:
    files = {path.stem for path in Path(nctools.methods.__file__).parent.glob("*.py")}
    parts = {
        "__init__",
        "argument_types",
        "assembly",
        "balance_notes",
        "catalogue",
        "checkpoint",
        "chosen_loss",
        "label_choice",
        "loss_choice",
        "loss_method",
        "method",
        "own_methods",
        "recipe",
        "released_weights",
        "signature",
        "value_checks",
    }
    assert files - parts == {method_class(name).__module__.rpartition(".")[2] for name in METHODS}


def test_dash_and_underscore_are_the_same_name() -> None:
    assert method_entry("MLC-NC") is METHODS["mlc_nc"]


def test_unknown_method_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'mlc_cn'; did you mean mlc_nc"):
        build("mlc_cn", num_classes=3)


def test_unknown_argument_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown argument of mlc_nc 'fla_wieght'; did you mean fla_weight"):
        build("mlc_nc", num_classes=3, fla_wieght=0.5)


def test_class_counts_reach_only_methods_that_ask_for_them() -> None:
    class Counting(Method):
        def __init__(self, num_classes: int, *, class_counts: list[int]) -> None:
            super().__init__()

    assert "class_counts" not in argument_names("erm")
    assert build("erm", num_classes=2, class_counts=[3, 1], backbone="small") is not None
    with pytest.raises(TypeError, match="abstract"):
        Counting(2, class_counts=[3, 1])  # type: ignore[abstract]


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("dataset", ["voc_lt", "coco_lt", "vg200", "plt_voc", "plt_coco", "voc", "coco"])
def test_photographs_have_the_recipe_of_the_paper(name: str, dataset: str) -> None:
    recipe = default_recipe(name, dataset)
    assert (recipe.epochs, recipe.batch_size, recipe.max_lr, recipe.weight_decay) == (100, 64, 1e-4, 1e-4)
    assert (recipe.ema_decay, recipe.precision, recipe.pct_start) == (0.9997, "16-mixed", 0.2)
    assert recipe.sampler == ("class_aware" if name in CLASS_AWARE else "uniform")
    balanced = name in CLASS_AWARE and dataset not in {"voc", "coco"}
    assert recipe.epoch_length == ("balanced" if balanced else "images")
    published = SETTINGS.get((name, dataset), {})
    assert default_arguments(name, dataset) == {"backbone": "resnet50", "pretrained": True, **published}
    assert usual_preprocessing(dataset) == preprocessing_named("mlc_nc")


@pytest.mark.parametrize("name", list(METHODS))
def test_other_data_have_the_schedule_but_no_download(name: str) -> None:
    recipe = default_recipe(name, "/photos/mine.csv")
    assert (recipe.epochs, recipe.max_lr, recipe.precision) == (100, 1e-4, "32-true")
    assert default_arguments(name, "/photos/mine.csv") == {}


def test_class_names_reach_only_methods_that_ask_for_them() -> None:
    assert build("erm", num_classes=2, class_names=["a", "b"], backbone="small") is not None
    assert {"class_names", "label_vectors"}.isdisjoint(argument_names("mlc_nc"))
    assert {"class_names", "label_vectors"} <= set(inspect.signature(method_class("mlc_nc")).parameters)


def test_the_types_of_arguments_are_those_of_the_signature() -> None:
    types = argument_types("mlc_nc")
    assert list(types) == argument_names("mlc_nc")
    assert (types["fla_weight"], types["concatenate"]) == (Weight, bool)
    assert types["num_features"] == Width | None


# The others build their network as ERM does.
OWN_NETWORK = {"erm", "class_attention", "mlc_nc"}


@pytest.mark.parametrize(
    "name", [name if name in OWN_NETWORK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]
)
def test_every_method_takes_a_timm_backbone(name: str) -> None:
    method = build(name, num_classes=5, **TOLD, backbone="resnet18").eval()
    output = method(torch.zeros(1, 3, 64, 64))
    assert output.logits.shape == (1, 5)
    assert output.features[next(iter(method.feature_layers))].shape[-1] == 512
