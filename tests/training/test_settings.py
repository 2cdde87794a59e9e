"""Settings are read as people write them."""

from __future__ import annotations

import pytest

from nctools.errors import ConfigError, UnknownNameError
from nctools.training.settings import as_meant, parse_settings, put_settings


def test_settings_are_yaml_values() -> None:
    pairs = ["a=1", "b=1e-3", "c=true", "d=null", "e=word", "f=[1, 2]", "g=0.5"]
    assert parse_settings(pairs) == {"a": 1, "b": 0.001, "c": True, "d": None, "e": "word", "f": [1, 2], "g": 0.5}


@pytest.mark.parametrize("pair", ["epochs", "=3", "x=["])
def test_a_setting_of_another_form_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="setting"):
        parse_settings([pair])


def test_only_powers_of_ten_become_numbers() -> None:
    document: dict[str, object] = {"a": "1e-4", "b": {"c": "-2.5E+3", "d": "1e", "e": "e5", "f": "12"}, "g": ["1e-4"]}
    assert as_meant(document) == {"a": 1e-4, "b": {"c": -2500.0, "d": "1e", "e": "e5", "f": "12"}, "g": ["1e-4"]}


def test_settings_find_their_section() -> None:
    known = ["seed", "recipe.epochs", "nc.every", "trainer.every"]
    document: dict[str, object] = {"recipe": {}, "nc": {}, "arguments": {}}
    assert put_settings(document, {"epochs": 3, "seed": 1, "nc.every": 2}, known) == {
        "seed": 1,
        "recipe": {"epochs": 3},
        "nc": {"every": 2},
        "arguments": {},
    }
    with pytest.raises(UnknownNameError, match=r"unknown setting 'every'; did you mean nc\.every"):
        put_settings(document, {"every": 3}, known)


def test_weights_of_another_backbone_are_dropped_unless_asked_for() -> None:
    known = ["arguments.backbone", "arguments.pretrained"]

    def changed(**settings: object) -> object:
        arguments = {"backbone": "resnet50", "pretrained": True}
        return put_settings({"arguments": arguments}, settings, known)["arguments"]

    assert changed(backbone="small") == {"backbone": "small"}
    assert changed(backbone="small", pretrained="w.pth") == {"backbone": "small", "pretrained": "w.pth"}
    assert changed(backbone="resnet18") == {"backbone": "resnet18", "pretrained": True}
