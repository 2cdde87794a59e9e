"""A configuration repeats a run; wrong keys and values are refused in one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nctools.errors import ConfigError, UnknownNameError
from nctools.training.config import check_config, load_config, make_config, save_config
from nctools.training.settings import parse_settings


def test_defaults_come_from_the_method_and_the_data_set() -> None:
    config = make_config("mlc_nc", "digits_lt")
    assert config.recipe.sampler == "class_aware"
    assert config.arguments["fla_reduction"] == "sum_classes"
    assert make_config("erm", "digits_lt").recipe.sampler == "uniform"


def test_a_saved_configuration_loads_equal(tmp_path: Path) -> None:
    config = make_config("mlc_nc", "digits_lt", {"epochs": 3, "fla_weight": 0.25, "nc.every": 2}, seed=4)
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_a_file_from_before_the_settings_of_the_sampler_means_the_defaults() -> None:
    config = make_config("mlc_nc", "digits_lt")
    document = config.model_dump(mode="json")
    del document["recipe"]["num_samples_per_class"], document["recipe"]["sampler_reduce"]
    assert check_config(document) == config


def test_the_sampling_of_the_distribution_balanced_loss_can_be_asked_for() -> None:
    settings = {"sampler": "class_aware", "num_samples_per_class": 3, "sampler_reduce": 4, "epoch_length": "balanced"}
    recipe = make_config("erm", "digits_lt", settings).recipe
    assert (recipe.num_samples_per_class, recipe.sampler_reduce) == (3, 4)


@pytest.mark.parametrize("key", ["recipe.epochs", "epochs"])
def test_a_key_may_stand_with_or_without_its_section(key: str) -> None:
    assert make_config("erm", "digits_lt", {key: 2}).recipe.epochs == 2


def test_an_unknown_key_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting 'epoch'; did you mean recipe\.epochs"):
        make_config("erm", "digits_lt", {"epoch": 2})


def test_an_argument_of_another_method_is_unknown() -> None:
    with pytest.raises(UnknownNameError, match="unknown setting 'fla_weight'"):
        make_config("erm", "digits_lt", {"fla_weight": 0.1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe.epochs": 0}, "recipe.epochs: Input should be greater than or equal to 1"),
        ({"recipe.epochs": "many"}, "recipe.epochs: Input should be a valid integer"),
        ({"recipe.sampler": "best"}, "recipe.sampler"),
        ({"num_samples_per_class": 0}, "recipe.num_samples_per_class: Input should be greater than or equal to 1"),
        ({"num_samples_per_class": 3}, "num_samples_per_class is 3, but the sampler uniform draws no such groups"),
        (
            {"sampler": "class_aware", "sampler_reduce": 4},
            "sampler_reduce is 4, .* the sampler is class_aware and epoch_length images",
        ),
        (
            {"sampler_reduce": 4, "epoch_length": "balanced"},
            "sampler_reduce is 4, .* the sampler is uniform and epoch_length balanced",
        ),
        ({"seed": -1}, "seed"),
    ],
)
def test_an_ill_typed_value_names_its_key(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config("erm", "digits_lt", settings)


def test_an_unknown_section_in_a_file_is_refused(tmp_path: Path) -> None:
    document = make_config("erm", "digits_lt").model_dump(mode="json") | {"optimiser": "sgd"}
    with pytest.raises(ConfigError, match="unknown key 'optimiser'"):
        check_config(document)


@pytest.mark.parametrize("content", ["a: [", "just words", ""])
def test_a_file_that_is_no_configuration_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml cannot be read"):
        load_config(tmp_path / "absent.yaml")


def test_settings_are_yaml_values() -> None:
    pairs = ["a=1", "b=1e-3", "c=true", "d=null", "e=word", "f=[1, 2]", "g=0.5"]
    assert parse_settings(pairs) == {"a": 1, "b": 0.001, "c": True, "d": None, "e": "word", "f": [1, 2], "g": 0.5}


@pytest.mark.parametrize("pair", ["epochs", "=3", "x=["])
def test_a_setting_of_another_form_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="setting"):
        parse_settings([pair])


def test_paths_are_kept_whole_and_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.json").write_text('{"a": [0]}', encoding="utf-8")
    assert make_config("erm", "voc", {"data.groups": "g.json"}).data.groups == str(tmp_path / "g.json")
    assert make_config("erm", "voc", {"data.groups": "9,3"}).data.groups == "9,3"
    assert make_config("erm", "/No/Such-File.json").dataset == "/No/Such-File.json"
