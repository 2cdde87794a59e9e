"""Faults of a configuration in words: each names key, value and mend."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nctools.collapse.catalogue import ALIASES, METRICS
from nctools.errors import UnknownNameError
from nctools.training.config_faults import argument_faults, described_faults, known_metric, preprocessing_faults

TYPES: dict[str, object] = {
    "weight": Annotated[float, Field(ge=0)] | None,
    "width": Annotated[int, Field(ge=1)],
    "kind": Literal["etf", "random"],
    "start": bool | str,
}


class Inner(BaseModel):
    """A section."""

    model_config = ConfigDict(extra="forbid", strict=True)
    epochs: int = Field(default=1, ge=1)


class Outer(BaseModel):
    """A document."""

    model_config = ConfigDict(extra="forbid", strict=True)
    seed: int
    recipe: Inner = Inner()


KNOWN = ["seed", "recipe.epochs", "arguments.scale"]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"seed": "x"}, "seed: Input should be a valid integer (it is 'x')"),
        ({"recipe": {"epochs": 0}, "seed": 1}, "recipe.epochs: Input should be greater than or equal to 1 (it is 0)"),
        ({}, "seed: Field required"),
        ({"seed": 1, "recipe": {"epoch": 2}}, "unknown key 'recipe.epoch'; did you mean recipe.epochs?"),
        ({"seed": 1, "recipe": {"scale": 2}}, "unknown key 'recipe.scale'; did you mean arguments.scale?"),
        ({"seed": 1, "recipe": {"zzz": 2}}, "unknown key 'recipe.zzz'. Known: recipe.epochs"),
        ({"sede": 1, "seed": 1}, "unknown key 'sede'; did you mean seed?"),
    ],
)
def test_what_the_schema_finds_is_one_line(document: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document)
    assert described_faults(caught.value, KNOWN) == text


def test_several_faults_stand_in_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"recipe": {"epochs": 0}})
    assert described_faults(caught.value, KNOWN).count("; ") == 1


@pytest.mark.parametrize("values", [{"weight": None}, {"weight": 0}, {"width": 3, "kind": "etf"}, {"start": "w.pth"}])
def test_values_of_the_types_pass(values: dict[str, object]) -> None:
    assert argument_faults(values, TYPES) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"weight": math.nan}, "arguments.weight: Input should be a finite number (it is nan)"),
        ({"weight": -math.inf}, "arguments.weight: Input should be a finite number (it is -inf)"),
        ({"weight": -0.1}, "arguments.weight: Input should be greater than or equal to 0 (it is -0.1)"),
        ({"width": -3}, "arguments.width: Input should be greater than or equal to 1 (it is -3)"),
        ({"width": True}, "arguments.width: Input should be a valid integer (it is True)"),
        ({"kind": "etv"}, "arguments.kind: Input should be 'etf' or 'random' (it is 'etv')"),
        ({"start": 1}, "arguments.start: Input should be a valid boolean or Input should be a valid string (it is 1)"),
    ],
)
def test_values_of_other_types_are_named(values: dict[str, object], text: str) -> None:
    assert argument_faults(values, TYPES) == [text]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"mean": [1.0, 2.0]}, "`mean` has 2 values but `std` has 3"),
        ({"mean": [1.0, 2.0], "std": [1.0, 2.0]}, "mean and std have 2 values, but images have 3 channels"),
        ({"std": [0.1, 0.0, 0.1]}, "every standard deviation must be positive"),
        ({"augmentation": "flipp"}, "unknown augmentation 'flipp'; did you mean flip"),
        ({"name": "mlcnc"}, "unknown preprocessing 'mlcnc'; did you mean mlc_nc"),
        ({"augmentation": "crop_flip"}, "`augmentation` 'crop_flip' brings a random part to the size"),
    ],
)
def test_a_preprocessing_that_cannot_be_made_is_a_fault(given: dict[str, object], text: str) -> None:
    [fault] = preprocessing_faults(given, "digits_lt")
    assert fault.startswith("preprocessing: ")
    assert text in fault


def test_the_usual_preprocessing_and_one_value_for_all_channels_pass() -> None:
    assert preprocessing_faults({"mean": None, "name": None}, "/no/such/split.json") == []
    assert preprocessing_faults({"mean": [0.5], "std": [0.5]}, "digits_lt") == []
    assert preprocessing_faults({"image_size": 64}, "voc_lt") == []


def test_metrics_of_the_catalogue_and_their_other_names_are_known() -> None:
    assert [known_metric(name) for name in ("nc1_pinv", *ALIASES)] == ["nc1_pinv", *ALIASES]
    usable = [name for name in METRICS if "OOD mean" not in METRICS[name].needs]
    assert list(map(known_metric, usable)) == usable
    with pytest.raises(UnknownNameError, match="unknown metric 'nc1_pinf'; did you mean nc1_pinv"):
        known_metric("nc1_pinf")
    with pytest.raises(ValueError, match="the preset 'default' stands alone"):
        known_metric("default")
    with pytest.raises(ValueError, match="nc5_ood_orthogonality needs images of another kind"):
        known_metric("nc5_ood_orthogonality")
