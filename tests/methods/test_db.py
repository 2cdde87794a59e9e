"""DB and DB-Focal: settings by data set, what the training labels choose, what is said, and that they train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nctools.losses.distribution_balanced import distribution_balanced_loss
from nctools.losses.rebalancing import median_rebalancing
from nctools.methods.assembly import argument_names, build, default_arguments, default_recipe, method_class
from nctools.methods.checkpoint import Checkpoint, load_checkpoint, rebuild, save_checkpoint
from nctools.methods.db import DB
from nctools.methods.db_focal import DBFocal
from nctools.methods.recipe import Recipe

NAMES = ["db", "db_focal"]
HEADS = ["linear", "class_attention"]
COUNTS = [40, 9, 5, 2]
LABELS = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]])


def images() -> Tensor:
    return torch.randn(6, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def made(name: str, **arguments: object) -> DB:
    torch.manual_seed(0)
    method = build(name, num_classes=4, class_counts=COUNTS, num_images=60, backbone="small", **arguments)  # type: ignore[arg-type]
    assert isinstance(method, DB)
    return method


@pytest.mark.parametrize(("name", "gamma", "scale"), [("db", 0.0, 1.0), ("db_focal", 2.0, 2.0)])
@pytest.mark.parametrize(("dataset", "mu", "lambd"), [("voc_lt", 0.3, 5.0), ("coco_lt", 0.2, 2.0)])
def test_settings_of_the_published_data(
    name: str, dataset: str, gamma: float, scale: float, mu: float, lambd: float
) -> None:
    usual = default_arguments(name, dataset)
    assert usual["backbone"] == "resnet50"
    assert usual["pretrained"] is True
    loss = made(name, **{key: value for key, value in usual.items() if key not in {"backbone", "pretrained"}}).criterion
    assert (loss.alpha, loss.beta, loss.kappa) == (0.1, 10.0, 0.05)
    assert (loss.mu, loss.lambd, loss.gamma, loss.scale) == (mu, lambd, gamma, scale)
    assert (loss.variant, loss.reduction, loss.rebalance) == ("paper", "batchmean", True)


@pytest.mark.parametrize("name", NAMES)
def test_on_other_data_the_training_labels_choose_mu(name: str) -> None:
    chosen = method_class(name)
    assert default_arguments(name, "digits_lt") == {"backbone": "small"}
    assert chosen.derived_arguments({}, LABELS) == {"mu": round(median_rebalancing(LABELS), 4)}
    assert chosen.derived_arguments({"mu": None}, LABELS) == {"mu": round(median_rebalancing(LABELS), 4)}
    assert chosen.derived_arguments({"mu": 0.0}, LABELS) == {}
    assert (made(name).criterion.mu, made(name).criterion.lambd) == (0.3, 2.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", ["voc_lt", "coco_lt", "digits_lt", "coco", "my.csv"])
def test_images_are_drawn_by_class(name: str, dataset: str) -> None:
    assert default_recipe(name, dataset).sampler == "class_aware"


def test_arguments_that_a_user_sets() -> None:
    own = ["alpha", "beta", "mu", "lambd", "kappa", "variant"]
    assert argument_names("db")[:6] == own
    assert argument_names("db_focal")[:8] == ["gamma", "scale", *own]
    assert {"backbone", "head"} <= set(argument_names("db_focal"))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_sum_over_classes_averaged_over_images(name: str, head: str) -> None:
    settings: dict[str, object] = {"mu": 0.4, "lambd": 5.0, "kappa": 0.2, "alpha": 0.2, "beta": 4.0}
    method = made(name, head=head, variant="released", **settings).eval()
    output = method(images())
    focus = {"gamma": 2.0, "scale": 2.0} if name == "db_focal" else {}
    given: Any = settings | focus
    expected = distribution_balanced_loss(
        output.logits, LABELS, COUNTS, 60, **given, variant="released", reduction="sum"
    )
    found = method.loss(output, LABELS, epoch=0)
    assert list(found) == ["loss"]
    torch.testing.assert_close(found["loss"], expected / 6)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", NAMES)
def test_loss_falls_in_a_few_steps(name: str, head: str) -> None:
    whole: dict[str, object] = {} if head == "linear" else {"dropout": 0.0}
    method = made(name, head=head, **whole)
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        loss = method.loss(method(images()), LABELS, epoch=0)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_rebuilds_the_same_logits_and_the_same_loss(name: str, head: str, tmp_path: Path) -> None:
    method = made(name, head=head, mu=0.4).eval()
    checkpoint = Checkpoint(
        method=name,
        arguments={"backbone": "small", "head": head, "mu": 0.4},
        state_dict=method.state_dict(),
        ema_state_dict=None,
        class_names=["a", "b", "c", "d"],
        class_counts=COUNTS,
        groups={},
        dataset="digits_lt",
        preprocessing={},
        epoch=1,
        num_images=60,
    )
    save_checkpoint(checkpoint, tmp_path / "last.pt")
    again = rebuild(load_checkpoint(tmp_path / "last.pt"))
    output, expected = again(images()), method(images())
    torch.testing.assert_close(output.logits, expected.logits, atol=0, rtol=0)
    assert again.loss(output, LABELS, epoch=0)["loss"] == method.loss(expected, LABELS, epoch=0)["loss"]


def test_scores_are_those_of_the_plain_logits() -> None:
    # The shift belongs to the loss: kappa changes no logit.
    plain, shifted = made("db", kappa=0.0).eval(), made("db", kappa=5.0).eval()
    torch.testing.assert_close(plain(images()).logits, shifted(images()).logits, atol=0, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_notes_tell_what_the_constants_come_to(name: str) -> None:
    method = made(name, mu=1.0, kappa=0.1)
    (note,) = method.notes(Recipe(sampler="class_aware"), torch.eye(4))
    # One positive in each image: r is 1 for it, so its weight is halfway; the rarest class is 20 times as rare as the
    # most frequent one.
    assert "weights of the training labels from 0.100 to 1.100, 0.600 on average for positives" in note
    nu = [-0.1 * torch.log(torch.tensor(count / (60 - count))).item() for count in (40, 2)]
    assert note.endswith(f"nu of the classes from {nu[0]:.4f} to {nu[1]:.4f}")


@pytest.mark.parametrize("sampler", ["uniform", "square_root"])
def test_another_sampler_than_the_one_that_the_weights_correct_is_noted(sampler: str) -> None:
    notes = made("db_focal").notes(Recipe(sampler=sampler), LABELS)  # type: ignore[arg-type]
    assert len(notes) == 2
    assert notes[1].startswith(f"the sampler is {sampler}, but the weights of this loss correct class-aware sampling")
    assert "--set recipe.sampler=class_aware" in notes[1]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="`variant` is 'newest'"):
        made("db", variant="newest")
    with pytest.raises(ValueError, match=r"`class_counts\[0\]` is 40 but `num_images` is 30"):
        DB(4, class_counts=COUNTS, num_images=30, backbone="small")
    with pytest.raises(ValueError, match="`gamma` is -1"):
        DBFocal(4, class_counts=COUNTS, num_images=60, backbone="small", gamma=-1.0)
