"""The table of losses, their files, classes and functions agree."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from torch import nn

import nctools.losses
from nctools.data.catalogue import DATASETS
from nctools.errors import UnknownNameError
from nctools.losses.building import setting_names
from nctools.losses.catalogue import LOSSES, LossEntry, loss_entry

DERIVED = ("class_counts", "num_images", "cooccurrence")
# Of class-wise features, not of logits: parts of MLC-NC.
OF_FEATURES = {"collapse_calibration", "feature_label_alignment"}
ROWS = [pytest.param(entry, id=name) for name, entry in LOSSES.items()]


def class_of(entry: LossEntry) -> type[nn.Module]:
    module, _, attribute = entry.builder.partition(":")
    found: type[nn.Module] = getattr(importlib.import_module(module), attribute)
    return found


def parameters(entry: LossEntry) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(class_of(entry)).parameters)


def test_names_are_the_keys() -> None:
    assert list(LOSSES) == [entry.name for entry in LOSSES.values()]
    assert len({entry.title for entry in LOSSES.values()}) == len(LOSSES)


def test_every_file_of_a_loss_is_in_the_table() -> None:
    files = Path(nctools.losses.__file__).parent.glob("*.py")
    with_loss = {path.stem for path in files if re.search(r"^class \w+Loss\(", path.read_text(encoding="utf-8"), re.M)}
    homes = {entry.builder.partition(":")[0].rpartition(".")[2] for entry in LOSSES.values()}
    assert homes == with_loss - OF_FEATURES


def test_every_public_class_of_a_loss_is_in_the_table() -> None:
    public = {name for name in nctools.losses.__all__ if name.endswith("Loss")}
    of_features = {"CollapseCalibrationLoss", "FeatureLabelAlignmentLoss"}
    assert public - of_features == {entry.builder.partition(":")[2] for entry in LOSSES.values()}


@pytest.mark.parametrize("entry", ROWS)
def test_class_and_function_are_public_and_of_one_file(entry: LossEntry) -> None:
    chosen, function = class_of(entry), getattr(nctools.losses, entry.function)
    assert issubclass(chosen, nn.Module)
    assert getattr(nctools.losses, chosen.__name__) is chosen
    assert {chosen.__name__, entry.function} <= set(nctools.losses.__all__)
    assert function.__module__ == chosen.__module__


@pytest.mark.parametrize("entry", ROWS)
def test_the_table_says_what_the_class_is_made_from(entry: LossEntry) -> None:
    required = [name for name, parameter in parameters(entry).items() if parameter.default is parameter.empty]
    assert tuple(required) == entry.needs
    assert set(entry.needs) <= set(DERIVED)


@pytest.mark.parametrize("entry", ROWS)
def test_settings_of_the_table_exist_and_differ_from_the_defaults(entry: LossEntry) -> None:
    known = setting_names(entry.name)
    assert set(entry.settings) <= set(known)
    for name, value in entry.settings.items():
        assert parameters(entry)[name].default != value
    for dataset, settings in entry.settings_for.items():
        assert dataset in DATASETS
        assert settings
        assert set(settings) <= set(known) - set(entry.settings)


@pytest.mark.parametrize("entry", ROWS)
def test_the_reduction_of_the_table_is_the_default(entry: LossEntry) -> None:
    if "reduction" in parameters(entry):
        assert parameters(entry)["reduction"].default == entry.reduction
    else:
        assert entry.name == "two_way"


@pytest.mark.parametrize("entry", ROWS)
def test_function_and_class_have_the_same_defaults(entry: LossEntry) -> None:
    of_function = inspect.signature(getattr(nctools.losses, entry.function)).parameters
    shared = set(of_function) & set(parameters(entry)) - set(DERIVED)
    # RLC's function gives labels, and bce's weights of classes are no setting of a command line.
    assert shared | {"reduction"} >= set(setting_names(entry.name)) or entry.name == "rlc"
    for name in shared:
        assert of_function[name].default == parameters(entry)[name].default, name


@pytest.mark.parametrize("entry", [row for row in ROWS if row.id not in {"bce", "two_way"}])  # older than the rule
def test_settings_follow_by_name_alone(entry: LossEntry) -> None:
    for name in setting_names(entry.name):
        assert parameters(entry)[name].kind == inspect.Parameter.KEYWORD_ONLY, name


@pytest.mark.parametrize("entry", ROWS)
def test_every_row_tells_a_newcomer_what_it_is(entry: LossEntry) -> None:
    assert all((entry.title, entry.summary, entry.formula, entry.source))
    assert entry.sampler in {"uniform", "class_aware", "any"}


def test_dash_and_capitals_are_the_same_name() -> None:
    assert loss_entry("NT-BCE") is LOSSES["nt_bce"]


def test_an_unknown_loss_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown loss 'db_fcal'; did you mean db_focal"):
        loss_entry("db_fcal")
