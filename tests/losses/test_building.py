"""Losses are built by name, with the settings that were published for a data set."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from nctools.errors import UnknownNameError
from nctools.losses import LOSSES, bce_loss, build, distribution_balanced_loss, focal_loss, loss_settings
from nctools.losses.building import setting_names

COUNTS, IMAGES = [6, 3, 1], 8
PAIRS = torch.tensor([[6, 2, 0], [2, 3, 1], [0, 1, 1]])


def built(name: str, data: str | None = None, **settings: Any) -> nn.Module:
    return build(name, dataset=data, class_counts=COUNTS, num_images=IMAGES, cooccurrence=PAIRS, **settings).eval()


def value(loss: nn.Module, logits: Tensor, targets: Tensor) -> Tensor:
    # RLC is the only one that asks for the epoch.
    found: Tensor = loss(logits, targets, epoch=1) if hasattr(loss, "start_epoch") else loss(logits, targets)
    return found


@pytest.fixture
def problem() -> tuple[Tensor, Tensor]:
    return torch.randn(4, 3), torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]])


@pytest.mark.parametrize("dataset", ["voc_lt", "coco_lt", None])
@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_is_built_as_published(name: str, dataset: str | None, problem: tuple[Tensor, Tensor]) -> None:
    published = built(name, dataset)
    assert value(published, *problem) > 0
    again = built(name, **cast("dict[str, Any]", loss_settings(name, dataset)))
    assert value(published, *problem) == value(again, *problem)
    assert repr(published) == repr(again)


@pytest.mark.parametrize("name", [name for name, entry in LOSSES.items() if entry.settings_for])
def test_the_published_data_have_settings_of_their_own(name: str, problem: tuple[Tensor, Tensor]) -> None:
    voc, coco = (value(built(name, dataset), *problem) for dataset in ("voc_lt", "coco_lt"))
    assert voc != coco


def test_published_settings_reach_the_formula(problem: tuple[Tensor, Tensor]) -> None:
    logits, targets = problem
    expected = distribution_balanced_loss(logits, targets, COUNTS, IMAGES, mu=0.3, lambd=5, gamma=2, scale=2)
    torch.testing.assert_close(built("db_focal", "voc_lt")(logits, targets), expected)


def test_given_settings_take_the_place_of_those_of_the_table(problem: tuple[Tensor, Tensor]) -> None:
    logits, targets = problem
    loss = built("db_focal", "voc_lt", gamma=0.0, mu=0.4)
    expected = distribution_balanced_loss(logits, targets, COUNTS, IMAGES, mu=0.4, lambd=5, gamma=0, scale=2)
    torch.testing.assert_close(loss(logits, targets), expected)
    torch.testing.assert_close(built("focal", scale=1.0)(logits, targets), focal_loss(logits, targets, scale=1))
    assert built("asl", reduction="mean")(logits, targets) == built("asl")(logits, targets) / 12


@pytest.mark.parametrize(("first", "second"), [("focal", "bce"), ("cb_focal", "cb_bce"), ("db_focal", "db")])
def test_without_focus_the_focal_loss_is_the_other(first: str, second: str, problem: tuple[Tensor, Tensor]) -> None:
    scale = LOSSES[second].settings.get("scale", 1.0)
    torch.testing.assert_close(built(first, gamma=0.0, scale=scale)(*problem), built(second)(*problem))


def test_counts_are_left_aside_where_they_are_not_needed(problem: tuple[Tensor, Tensor]) -> None:
    assert built("bce")(*problem) == build("bce")(*problem) == bce_loss(*problem)


@pytest.mark.parametrize("name", [name for name, entry in LOSSES.items() if entry.needs])
def test_missing_counts_are_named(name: str) -> None:
    needs = LOSSES[name].needs
    listed = " and ".join(needs)
    with pytest.raises(ValueError, match=f"the loss {name} is made from {listed} of the training labels: build"):
        build(name)
    with pytest.raises(ValueError, match=f"is made from {needs[-1]} of the training labels"):
        build(name, **dict.fromkeys(needs[:-1], COUNTS))  # type: ignore[arg-type]


def test_unknown_names_list_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown loss 'focl'; did you mean focal"):
        build("focl")
    with pytest.raises(UnknownNameError, match="unknown setting of the loss focal 'gama'; did you mean gamma"):
        build("focal", gama=1.0)
    with pytest.raises(UnknownNameError, match="unknown setting of the loss db 'lambda'; did you mean lambd"):
        built("db", None, **cast("dict[str, Any]", {"lambda": 2.0}))


def test_settings_are_listed_without_what_the_labels_tell() -> None:
    assert setting_names("focal") == ["gamma", "scale", "alpha", "reduction"]
    told = {"class_counts", "num_images", "cooccurrence"}
    assert all(told.isdisjoint(setting_names(name)) for name in LOSSES)


def test_the_class_balanced_losses_have_the_loss_weight_of_the_paper() -> None:
    assert loss_settings("cb_bce") == {"scale": 10.0}
    assert loss_settings("cb_focal")["scale"] == 2 * 10


def test_a_loss_without_settings_for_a_data_set_has_its_own() -> None:
    assert loss_settings("cb-focal", "coco_lt") == {"gamma": 2.0, "scale": 20.0, "beta": 0.9}
    assert loss_settings("focal", "voc_lt") == loss_settings("focal") == {"scale": 2.0}
    with pytest.raises(UnknownNameError, match="unknown loss"):
        loss_settings("nothing")


@pytest.mark.parametrize("dataset", ["VOC-LT", "voc-lt", "Voc_LT"])
def test_dashes_and_capitals_of_a_data_set_do_not_matter(dataset: str) -> None:
    assert loss_settings("db", dataset) == {"mu": 0.3, "lambd": 5.0}
    assert repr(built("db", dataset)) == repr(built("db", "voc_lt"))


@pytest.mark.parametrize("name", ["db", "bce"])
def test_a_data_set_without_published_settings_is_refused(name: str) -> None:
    with pytest.raises(
        UnknownNameError, match=r"leave `dataset` out .* 'voc'; did you mean voc_lt\? Known: voc_lt, coco"
    ):
        built(name, "voc")
    with pytest.raises(UnknownNameError, match=r"'vg200'.* Known: voc_lt, coco_lt"):
        built(name, "vg200")


def test_the_guide_makes_pair_counts_that_are_taken() -> None:
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1]])
    whole, real = (
        build("mfm_prior", class_counts=made.sum(0), cooccurrence=made.T @ made) for made in (labels, labels.float())
    )
    assert whole(torch.zeros(3, 3), labels) == real(torch.zeros(3, 3), labels)
