"""Which printed row a run is compared with, and that whatever is not as in the recipe is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import yaml

from nctools.data.preprocessing import preprocessing_changed, preprocessing_named
from nctools.data.settings import DataSettings
from nctools.errors import ConfigError
from nctools.forward_options import ForwardOptions
from nctools.methods.checkpoint import Checkpoint, save_checkpoint
from nctools.paper_comparison import published_row_of
from nctools.trained_runs import TrainedRun, trained_runs
from nctools.training.config import make_config

USUAL = preprocessing_named("mlc_nc")
RECIPE: dict[str, str | int | float | bool | None] = {"backbone": "resnet50", "pretrained": True}
CHECKPOINT = Checkpoint(
    method="mlc_nc",
    arguments=RECIPE,
    state_dict={"weight": torch.zeros(1)},
    ema_state_dict=None,
    class_names=["a", "b"],
    class_counts=[3, 1],
    groups={"head": [0], "tail": [1]},
    dataset="voc_lt",
    preprocessing=dict(USUAL.to_dict()),
    epoch=2,
)


def saved(folder: Path, **changed: object) -> TrainedRun:
    """A checkpoint alone."""
    save_checkpoint(dataclasses.replace(CHECKPOINT, **changed), folder / "x.pt")  # type: ignore[arg-type]
    return trained_runs([folder / "x.pt"])[0]


@pytest.mark.parametrize(
    ("arguments", "setting", "total", "others"),
    [
        ({}, "", 84.37, []),
        ({"label_embedding": "etf", "fla_weight": 0.5}, "", 84.37, []),
        ({"label_embedding": "trainable"}, "label_embedding=trainable", 83.92, []),
        ({"fla_weight": 0.0}, "fla_weight=0", 82.13, []),
        ({"fpc_weight": 0}, "fpc_weight=0", 83.43, []),
        ({"projection_features": 64}, "projection_features=64", 83.84, []),
        # What the recipe means by None.
        ({"fpc_weight": 0.2, "attention": "cosine", "train_classifier": False}, "", 84.37, []),
        ({"attention": "cosine", "num_features": 2048}, "", 84.37, []),
        ({"variant": "released"}, "", 84.37, ["variant=released"]),
        ({"variant": "released", "fpc_weight": 0.1, "num_features": 768}, "", 84.37, ["variant=released"]),
        ({"variant": "released", "attention": "cosine"}, "", 84.37, ["variant=released", "attention=cosine"]),
        ({"pretrained": False}, "", 84.37, ["pretrained=False"]),
        ({"pretrained": "/weights/resnet50.pth"}, "", 84.37, []),
        (
            {"classifier": "random", "train_classifier": True, "concatenate": False},
            "trainable random classifier without concatenation",
            79.59,
            [],
        ),
        (
            {"variant": "released", "classifier": "random", "concatenate": False},
            "trainable random classifier without concatenation",
            79.59,
            ["variant=released"],
        ),
        ({"train_classifier": True}, "", 84.37, ["train_classifier=True"]),
    ],
)
def test_the_published_row_of_a_run_is_found(
    arguments: dict[str, str | float], setting: str, total: float, others: list[str], tmp_path: Path
) -> None:
    row, differing = published_row_of(saved(tmp_path, arguments={**RECIPE, **arguments}))
    assert (row.setting, row.mean_average_precision["all"], differing) == (setting, total, others)


def test_weights_that_nobody_asked_for_were_random(tmp_path: Path) -> None:
    _, differing = published_row_of(saved(tmp_path, arguments={"seed": 3}))
    assert differing == ["pretrained=False"]


@pytest.mark.parametrize(
    ("settings", "others"),
    [
        ({}, []),
        ({"epochs": 3, "max_lr": 1e-3}, ["recipe.epochs=3", "recipe.max_lr=0.001"]),
        ({"accumulate_grad_batches": 4}, ["trainer.accumulate_grad_batches=4"]),
        ({"sync_batchnorm": False}, []),  # one process
        ({"devices": 2, "sync_batchnorm": False}, ["trainer.sync_batchnorm=False"]),
        ({"workers": 3, "device": "cpu", "seed": 2}, []),
    ],
)
def test_recipe_and_parts_of_a_batch_are_told(settings: dict[str, object], others: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = make_config("mlc_nc", "voc_lt", settings)
    save_checkpoint(CHECKPOINT, run / "checkpoints" / "best.pt")
    (run / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    _, differing = published_row_of(trained_runs([run])[0], dataset="VOC-MLT")
    assert differing == others


def test_data_and_images_of_the_training_are_told(tmp_path: Path) -> None:
    images = preprocessing_changed(USUAL, image_size=64, augmentation="flip")
    run = saved(
        tmp_path,
        data_settings=DataSettings(drop_labels=0.4).to_dict(),
        preprocessing=dict(images.to_dict()),
    )
    _, differing = published_row_of(run)
    assert differing == [
        "data.drop_labels=0.4",
        "preprocessing.augmentation=flip",
        "preprocessing.resize=73",
        "preprocessing.crop=64",
    ]


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({"image_size": 448}, ["--image-size=448"]),
        ({"image_size": 224}, []),
        ({"mean": [0.5, 0.5, 0.5]}, ["--mean=0.5,0.5,0.5"]),
        ({"std": [0.195, 0.194, 0.192]}, []),
        ({"data_settings": {"difficult": "exclude", "seed": 0}}, ["--data-settings difficult=exclude"]),
        ({"batch_size": 3, "device": "cpu", "weights": "ema"}, []),
    ],
)
def test_how_it_is_scored_is_told(options: ForwardOptions, others: list[str], tmp_path: Path) -> None:
    assert published_row_of(saved(tmp_path), **options)[1] == others


def test_a_protocol_that_no_code_of_the_papers_has_is_told(tmp_path: Path) -> None:
    run = saved(tmp_path)
    assert published_row_of(run, protocol="voc11")[1] == ["--ap=voc11"]
    assert published_row_of(run, protocol="rank")[1] == published_row_of(run, protocol="tie-aware")[1] == []


def test_a_setting_that_no_paper_prints_is_refused(tmp_path: Path) -> None:
    run = saved(tmp_path, arguments={**RECIPE, "label_embedding": "random"})
    with pytest.raises(ConfigError, match=r"of mlc_nc on voc_lt with label_embedding=random: of mlc_nc there is"):
        published_row_of(run)
    with pytest.raises(ConfigError, match=r"of mlc_nc on voc_lt with fpc_weight=0\.7"):
        published_row_of(saved(tmp_path, arguments={**RECIPE, "fpc_weight": 0.7}))
