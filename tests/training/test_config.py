"""A configuration repeats a run; wrong keys and values are refused in one clear line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nctools.errors import ConfigError, UnknownNameError
from nctools.training.config import check_config, make_config, with_settings
from nctools.training.config_file import load_config, save_config


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
        ({"max_lr": math.inf}, r"recipe.max_lr: Input should be a finite number \(it is inf\)"),
        ({"ema_decay": math.nan}, "recipe.ema_decay: Input should be a finite number"),
        ({"nc.metrics": "nonsense"}, "nc.metrics: unknown metric 'nonsense'"),
        ({"nc.metrics": "nc1_pinv,nc1_pinf"}, "nc.metrics: unknown metric 'nc1_pinf'; did you mean nc1_pinv"),
        ({"nc.metrics": "defualt"}, "nc.metrics: unknown metric 'defualt'; did you mean default"),
        ({"preprocessing.mean": [1, 2]}, "preprocessing: `mean` has 2 values but `std` has 3"),
        ({"preprocessing.std": [1, math.inf, 1]}, "preprocessing.std.1: Input should be a finite number"),
    ],
)
def test_an_ill_typed_value_names_its_key(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config("erm", "digits_lt", settings)


@pytest.mark.parametrize("method", ["mlc_nc", "class_attention"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_features": -3}, "num_features: Input should be greater than or equal to 1"),
        ({"num_heads": 0}, "num_heads: Input should be greater than or equal to 1"),
        ({"projection_features": 0}, "projection_features: Input should be greater than or equal to 1"),
        ({"dropout": 1.0}, "dropout: Input should be less than 1"),
        ({"scale": 0}, "scale: Input should be greater than 0"),
        ({"label_embedding": "foo"}, "label_embedding: unknown label embedding 'foo'"),
        ({"label_embedding": "trainabel"}, "unknown label embedding 'trainabel'; did you mean trainable"),
        ({"label_embedding": "text:"}, "label_embedding is 'text:': name the file"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(method: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^the configuration does not fit: arguments.*{message}"):
        make_config(method, "digits_lt", settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fla_weight": math.nan}, r"fla_weight: Input should be a finite number \(it is nan\)$"),
        ({"fpc_weight": -0.1}, "fpc_weight: Input should be greater than or equal to 0"),
        ({"fpc_temperature": 0.0}, "fpc_temperature: Input should be greater than 0"),
        ({"two_way_temperature": -1}, "two_way_temperature: Input should be greater than 0"),
        ({"warmup_epochs": -1}, "warmup_epochs: Input should be greater than or equal to 0"),
    ],
)
def test_weights_and_temperatures_have_their_ranges(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config("mlc_nc", "digits_lt", settings)


def test_lists_of_metrics_may_have_spaces_and_other_names() -> None:
    found = make_config("erm", "digits_lt", {"nc.metrics": "nc1_pinv, nc2_max_angle"}).nc.metrics
    assert found == "nc1_pinv,nc2_max_angle"
    assert make_config("erm", "digits_lt", {"nc.metrics": "long-tail"}).nc.metrics == "long-tail"


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


def test_paths_are_kept_whole_and_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.json").write_text('{"a": [0]}', encoding="utf-8")
    assert make_config("erm", "voc", {"data.groups": "g.json"}).data.groups == str(tmp_path / "g.json")
    assert make_config("erm", "voc", {"data.groups": "9,3"}).data.groups == "9,3"
    assert make_config("erm", "/No/Such-File.json").dataset == "/No/Such-File.json"


def test_paths_among_the_arguments_are_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.pth").touch()
    settings: dict[str, object] = {"label_embedding": "text:v.npy", "pretrained": "w.pth"}
    arguments = make_config("mlc_nc", "digits_lt", settings).arguments
    assert arguments["label_embedding"] == f"text:{tmp_path / 'v.npy'}"
    assert arguments["pretrained"] == str(tmp_path / "w.pth")
    assert make_config("mlc_nc", "digits_lt", {"label_embedding": "random"}).arguments["label_embedding"] == "random"


def test_numbers_written_by_hand_are_numbers(tmp_path: Path) -> None:
    config = make_config("erm", "digits_lt")
    save_config(config, tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.replace("max_lr: 0.003", "max_lr: 3e-3"), encoding="utf-8")
    assert "3e-3" in (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert load_config(tmp_path / "config.yaml") == config


def test_a_changed_configuration_differs_in_what_was_changed() -> None:
    config = make_config("mlc_nc", "digits_lt", {"epochs": 3})
    changed = with_settings(config, {"fla_weight": 0, "seed": 2}, method="MLC-NC", dataset="digits_lt")
    expected = config.model_dump() | {"seed": 2, "arguments": dict(config.arguments) | {"fla_weight": 0}}
    assert changed.model_dump() == expected
    with pytest.raises(ConfigError, match="the configuration is of method 'mlc_nc', not 'erm'"):
        with_settings(config, {}, method="erm")


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("recipe", "epoch", 3, r"unknown key 'recipe\.epoch'; did you mean recipe\.epochs"),
        ("recipe", "fla_weight", 0.5, r"unknown key 'recipe\.fla_weight'; did you mean arguments\.fla_weight"),
        ("nc", "evry", 3, r"unknown key 'nc\.evry'; did you mean nc\.every\?$"),
        ("trainer", "device", 3, r"unknown key 'trainer\.device'; did you mean trainer\.devices"),
        ("nc", "colour", 3, r"unknown key 'nc\.colour'\. Known: nc\.every, nc\.metrics$"),
        ("recipe", "max_lr", "fast", r"recipe\.max_lr: Input should be a valid number \(it is 'fast'\)"),
        ("arguments", "num_heads", 2.5, r"arguments\.num_heads: Input should be a valid integer.* \(it is 2\.5\)"),
        ("arguments", "attention", "cosin", r"arguments\.attention: Input should be 'cosine' or 'multihead'"),
    ],
)
def test_faults_inside_sections_are_named(section: str, key: str, value: object, message: str) -> None:
    document = make_config("mlc_nc", "digits_lt").model_dump(mode="json")
    document[section][key] = value
    with pytest.raises(ConfigError, match=message):
        check_config(document)


def test_a_missing_key_is_named() -> None:
    document = make_config("erm", "digits_lt").model_dump(mode="json")
    del document["recipe"]["epochs"], document["method"]
    with pytest.raises(ConfigError, match=r"method: Field required; recipe\.epochs: Field required$"):
        check_config(document)
