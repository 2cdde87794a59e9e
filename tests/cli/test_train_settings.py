"""What `nctools train` makes of short forms, of a config.yaml with changes, and of recipes that need weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from nctools.training import make_config
from tests.cli.conftest import Command


def configuration(nctools_command: Command, *arguments: str | Path) -> dict[str, dict[str, object]]:
    """What a dry run prints."""
    outcome = nctools_command("train", *arguments, "--dry-run")
    assert outcome.code == 0, outcome.err
    document: dict[str, dict[str, object]] = yaml.safe_load(outcome.out)
    return document


@pytest.fixture
def saved(nctools_command: Command, tmp_path: Path) -> Path:
    outcome = nctools_command("train", "mlc_nc", "--dataset", "voc_lt", "--epochs", "7", "--dry-run")
    (tmp_path / "config.yaml").write_text(outcome.out, encoding="utf-8")
    return tmp_path / "config.yaml"


def test_short_forms_are_settings(nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = configuration(
        nctools_command,
        *("mlc_nc", "--dataset", "digits_lt", "--variant", "released", "--label-embedding", "text:glove.txt"),
        *("--lr", "2e-4", "--ema", "0.99", "--precision", "bf16-mixed", "--devices", "2"),
    )
    assert found["arguments"]["variant"] == "released"
    # Whole, so that the run can be repeated from another folder.
    assert found["arguments"]["label_embedding"] == f"text:{tmp_path / 'glove.txt'}"
    recipe = found["recipe"]
    assert (recipe["max_lr"], recipe["ema_decay"], recipe["precision"]) == (2e-4, 0.99, "bf16-mixed")
    assert found["trainer"]["devices"] == 2


def test_head_and_loss_are_short_forms(nctools_command: Command) -> None:
    found = configuration(nctools_command, "erm", "--dataset", "digits_lt", "--head", "class_attention")
    assert (found["arguments"]["backbone"], found["arguments"]["head"]) == ("small", "class_attention")
    found = configuration(
        nctools_command, "mlc_nc", "--dataset", "voc_lt", "--loss", "db_focal", "--set", "loss_settings=voc_lt,lambd=3"
    )
    assert found["arguments"]["loss"] == "db_focal"
    assert found["arguments"]["loss_settings"] == "voc_lt,lambd=3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlc_nc", "--head", "linear"], "mlc_nc has no argument head: methods that have it are erm, rs, "),
        (["class_attention", "--head", "linear"], "class_attention has no argument head"),
        (["erm", "--loss", "focal"], "erm has no argument loss: methods that have it are mlc_nc"),
        (["erm", "--loss", "asl"], "have it are mlc_nc; a method of that loss on a plain network is nctools train asl"),
        (["cb_bce"], "cb_bce is no method but a loss: nctools train mlc_nc --loss cb_bce"),
        (["rlc"], "rlc is no method but a loss, which corrects labels epoch by epoch"),
        (
            ["asl", "--set", "gamma=2"],
            "unknown setting 'gamma'; did you mean arguments.gamma_pos or arguments.gamma_neg",
        ),
        (
            ["mlc_nc", "--loss", "asl", "--set", "loss_settings=clip=x"],
            "clip: Input should be a valid number (it is 'x')",
        ),
        (
            ["mlc_nc", "--loss", "db", "--set", "loss_settings=voclt"],
            "'voclt', but settings of the loss db were published",
        ),
        (
            ["mlc_nc", "--loss", "asl", "--set", "loss_settings=gama_neg=1"],
            "unknown setting of the loss asl 'gama_neg'",
        ),
        (["erm", "--variant", "released"], "erm has no argument variant: methods that have it are db, "),
        (["erm", "--head", "lineal"], "arguments.head: Input should be 'linear' or 'class_attention' (it is 'lineal')"),
        (["mlc_nc", "--loss", "db_fcal"], "unknown loss 'db_fcal'; did you mean db_focal"),
        (["mlc_nc", "--loss", "rlc"], "arguments.loss: loss is 'rlc', which corrects labels"),
        (["mlc_nc", "--set", "loss_settings=a,b"], "arguments.loss_settings: loss_settings is 'a,b'"),
        (["erm", "--set", "num_head=2"], "unknown setting 'num_head'; did you mean arguments.num_heads"),
    ],
)
def test_heads_and_losses_that_cannot_be_are_wrong_usage(
    arguments: list[str], message: str, nctools_command: Command
) -> None:
    outcome = nctools_command("train", *arguments, "--dataset", "digits_lt", "--dry-run")
    assert outcome.code == 2, outcome.err
    assert message in " ".join(outcome.err.replace("│", " ").split())


def test_a_dry_run_prints_what_the_run_will_hold(nctools_command: Command) -> None:
    found = configuration(nctools_command, "asl", "--dataset", "digits_lt", "--set", "gamma_neg=2")
    assert found == make_config("asl", "digits_lt", {"gamma_neg": 2}).in_full().model_dump(mode="json")
    assert (found["arguments"]["gamma_neg"], found["arguments"]["clip"]) == (2, 0.05)


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_an_argument_of_the_other_head_is_told_before_training(
    dry: list[str], nctools_command: Command, tmp_path: Path
) -> None:
    given = ("erm", "--dataset", "digits_lt", "--set", "projection_features=8", "--out", tmp_path / "run", "--quiet")
    outcome = nctools_command("train", *given, *dry)
    assert outcome.code == 2, outcome.err
    told = " ".join(outcome.err.replace("│", " ").split())
    assert 'projection_features is 8, but head is "linear", which has no such part' in told
    assert not (tmp_path / "run").exists()


def test_settings_change_a_configuration_file(nctools_command: Command, saved: Path, tmp_path: Path) -> None:
    before = configuration(nctools_command, "--config", saved)
    assert before["recipe"]["epochs"] == 7
    after = configuration(
        nctools_command,
        *("--config", saved, "--data-root", tmp_path, "--seed", "3", "--set", "fla_weight=0", "--lr", "0.01"),
        *("--data-settings", "difficult=exclude"),
    )
    expected = before | {
        "seed": 3,
        "data_root": str(tmp_path),
        "arguments": before["arguments"] | {"fla_weight": 0},
        "recipe": before["recipe"] | {"max_lr": 0.01},
        "data": before["data"] | {"difficult": "exclude"},
    }
    assert after == expected


@pytest.mark.parametrize("same", [["mlc-nc"], ["--dataset", "VOC-LT"], ["mlc_nc", "--dataset", "voc_mlt"]])
def test_method_and_data_beside_a_file_may_say_the_same(same: list[str], nctools_command: Command, saved: Path) -> None:
    assert configuration(nctools_command, *same, "--config", saved) == configuration(nctools_command, "--config", saved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["erm"], "the configuration is of method 'mlc_nc', not 'erm'"),
        (["--dataset", "coco_lt"], "the configuration is of dataset 'voc_lt', not 'coco_lt'"),
        (["--set", "epoch=2"], "unknown setting 'epoch'; did you mean recipe.epochs"),
        (["--epochs", "0"], "recipe.epochs: Input should be greater than or equal to 1 (it is 0)"),
        (["--precision", "16"], "recipe.precision: Input should be '32-true', 'bf16-mixed' or '16-mixed' (it is '16')"),
        (["--variant", "newest"], "arguments.variant: Input should be 'paper' or 'released' (it is 'newest')"),
        (["--set", "fla_weight=.nan"], "arguments.fla_weight: Input should be a finite number (it is nan)"),
        (["--lr", "inf"], "recipe.max_lr: Input should be a finite number (it is inf)"),
        (["--set", "num_features=-3"], "arguments.num_features: Input should be greater than or equal to 1 (it is -3)"),
        (["--label-embedding", "trainabel"], "unknown label embedding 'trainabel'; did you mean trainable"),
        (["--set", "preprocessing.mean=[1,2]"], "preprocessing: `mean` has 2 values but `std` has 3"),
        (["--set", "nc.metrics=nc1_pinf"], "nc.metrics: unknown metric 'nc1_pinf'; did you mean nc1_pinv"),
        (["--set", "fla_weight=much"], "arguments.fla_weight: Input should be a valid number (it is 'much')"),
    ],
)
def test_wrong_changes_are_wrong_usage(
    arguments: list[str], message: str, nctools_command: Command, saved: Path
) -> None:
    outcome = nctools_command("train", *arguments, "--config", saved, "--dry-run")
    assert outcome.code == 2, outcome.err
    assert message in " ".join(outcome.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("  epochs: 7", "  epoch: 7", "unknown key 'recipe.epoch'; did you mean recipe.epochs"),
        ("  epochs: 7", "  epochs: seven", "recipe.epochs: Input should be a valid integer"),
        ("  pretrained: true", "  pretraind: true", "unknown argument of mlc_nc 'pretraind'; did you mean pretrained"),
        ("  scale: 1.0", "  scale: big", "arguments.scale: Input should be a valid number"),
        ("seed: 0", "sede: 0", "unknown key 'sede'; did you mean seed"),
        ("  fla_weight: 0.5", "  fla_weight: .nan", "arguments.fla_weight: Input should be a finite number"),
        ("  max_lr: 0.0001", "  max_lr: .inf", "recipe.max_lr: Input should be a finite number"),
        ("  metrics: default", "  metrics: nonsense", "nc.metrics: unknown metric 'nonsense'"),
        ("  augmentation: null", "  augmentation: flipp", "preprocessing: unknown augmentation 'flipp'; did you mean"),
        (
            "  loss_settings: null",
            "  loss_settings: temperature=-1",
            "'temperature=-1', which does not fit the loss two_way",
        ),
        ("method: mlc_nc", "method: mlc_cn", "unknown method 'mlc_cn'; did you mean mlc_nc"),
    ],
)
def test_faults_in_a_file_name_it_and_near_misses(
    line: str, wrong: str, message: str, nctools_command: Command, saved: Path
) -> None:
    text = saved.read_text(encoding="utf-8")
    assert f"{line}\n" in text
    saved.write_text(text.replace(f"{line}\n", f"{wrong}\n", 1), encoding="utf-8")
    outcome = nctools_command("train", "--config", saved, "--dry-run")
    assert outcome.code == 3, outcome.err
    assert "config.yaml" in outcome.err
    assert message in " ".join(outcome.err.split())


def test_the_small_backbone_asks_for_no_weights(nctools_command: Command, saved: Path) -> None:
    for start in (["mlc_nc", "--dataset", "voc_lt"], ["--config", str(saved)]):
        for given, expected in (
            ([], ("resnet50", True)),
            (["--backbone", "small"], ("small", False)),
            (["--backbone", "resnet101"], ("resnet101", True)),
        ):
            found = configuration(nctools_command, *start, *given)["arguments"]
            assert (found["backbone"], found["pretrained"]) == expected
    asked = configuration(nctools_command, "erm", "--dataset", "voc", "--backbone", "small", "--set", "pretrained=true")
    assert asked["arguments"]["pretrained"] is True


def test_weights_that_cannot_be_downloaded_tell_what_to_do(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nctools._torchvision_guard import import_torchvision

    import_torchvision()
    import timm

    def offline(*_: object, **__: object) -> torch.nn.Module:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    given = ("erm", "--dataset", "digits_lt", "--backbone", "resnet50", "--set", "pretrained=true")
    outcome = nctools_command("train", *given, "--out", tmp_path / "run", "--quiet")
    assert outcome.code == 3, outcome.err
    told = " ".join(outcome.err.split())
    assert "the weights of backbone 'resnet50' cannot be had (OSError: no network)" in told
    assert "download model.safetensors of https://huggingface.co/timm/resnet50" in told
    assert "pass pretrained=FILE, or start from random weights with pretrained=false" in told
    assert "--set pretrained=" in told
    assert not (tmp_path / "run").exists()


def test_a_local_file_of_weights_is_named_in_full(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resnet.pth").touch()
    found = configuration(nctools_command, "mlc_nc", "--dataset", "voc_lt", "--set", "pretrained=resnet.pth")
    assert found["arguments"]["pretrained"] == str(tmp_path / "resnet.pth")
