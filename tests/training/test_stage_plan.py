"""What the stages of a run are made of; nothing is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nctools.errors import ConfigError
from nctools.methods.lws import LWS
from nctools.run_directory import RunDirectory
from nctools.training.config import make_config
from nctools.training.stages import added_labels, stages_of
from tests.training.two_stages import SETTINGS, config_of


def test_what_both_methods_have_is_handed_to_the_first_stage(small_images: Path) -> None:
    config = config_of("lws", small_images, head="class_attention", num_features=12, seed=5, rescaling_lr=0.3)
    first, last = stages_of(config, RunDirectory(Path("run")))
    assert (first.config.method, first.config.seed, first.config.dataset) == ("erm", 5, str(small_images))
    assert first.config.arguments["head"] == "class_attention"
    assert first.config.arguments["num_features"] == 12
    assert not {"rescaling_lr", "rescaling_epochs"} & first.config.arguments.keys()
    assert first.config.recipe == config.recipe
    assert (last.config.recipe.max_lr, last.written.recipe) == (0.3, config.recipe)


def test_other_methods_have_one_stage(small_images: Path) -> None:
    config = make_config("erm", str(small_images), SETTINGS)
    (stage,) = stages_of(config, RunDirectory(Path("run")))
    assert (stage.title, stage.whole, stage.before, stage.index) == ("", None, None, 0)
    assert stage.config == stage.written == config


def test_three_stages_are_refused(small_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LWS, "first_stage", "pseudo_label")
    with pytest.raises(ConfigError, match="lws has the first stage pseudo_label, which has one itself"):
        stages_of(config_of("lws", small_images), RunDirectory(Path("run")))


def test_added_labels_are_counted_by_group() -> None:
    given = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    shown = torch.tensor([[1.0, 1, 1, 0], [-1, 1, 0, 0]])
    groups = {"head": [0, 1], "medium": [2], "tail": [3]}
    expected = "2 labels added to the 2 given ones: head 1, medium 1, tail 0; counts and measurements keep the given"
    assert added_labels(shown, given, groups) == expected


def test_where_no_label_was_added_it_is_said_what_that_means() -> None:
    given = torch.eye(3)
    assert added_labels(given, given, {"head": [0, 1, 2]}) == (
        "0 labels added to the 3 given ones: stage 2 repeats the training of stage 1; lower the threshold, "
        "or train longer"
    )
