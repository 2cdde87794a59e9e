"""MLC-NC's head and collapse terms go with any classification loss; the two-way loss stays what it was."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

import nctools.losses
from nctools.errors import ConfigError, NctoolsError, UnknownNameError
from nctools.losses import LOSSES, bce_loss, focal_loss, median_rebalancing, two_way_loss
from nctools.methods.assembly import argument_names, build, default_arguments
from nctools.methods.checkpoint import Checkpoint, rebuild
from nctools.methods.loss_choice import (
    check_chosen,
    checked_loss,
    checked_settings,
    default_settings,
    read_settings,
    settings_in_full,
)
from nctools.methods.method import Argument
from nctools.methods.mlc_nc import MLCNC
from nctools.methods.recipe import Recipe
from nctools.training.config import make_config

COUNTS, IMAGES = [6, 3, 2, 1], 8
ANY = [name for name in LOSSES if name != "rlc"]
SMALL: dict[str, Argument] = {"backbone": "small", "projection_features": 3, "warmup_epochs": 1}


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    return torch.randn(5, 3, 16, 16, generator=generator), targets


def built(loss: str, text: str | None = None, counts: list[int] = COUNTS, **arguments: Argument) -> MLCNC:
    torch.manual_seed(0)
    pairs = torch.diag(torch.tensor(counts)) + 1 - torch.eye(4, dtype=torch.long)
    told = {"class_counts": counts, "num_images": IMAGES, "cooccurrence": pairs}
    chosen = build("mlc_nc", num_classes=4, **told, loss=loss, loss_settings=text, **SMALL, **arguments)  # type: ignore[arg-type]
    assert isinstance(chosen, MLCNC)
    return chosen.eval()


@pytest.mark.parametrize("loss", ANY)
def test_the_loss_takes_the_place_of_the_two_way_loss(loss: str, batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = built(loss, fla_weight=0.3, fpc_weight=0.7)
    method.observe(method(images), targets)
    method.end_epoch()
    output = method(images)
    found = method.loss(output, targets, epoch=1)
    part = "loss_two_way" if loss == "two_way" else "loss_classification"
    assert list(found) == ["loss", "loss_fla", "loss_fpc", part]
    assert found["loss_fpc"] > 0
    torch.testing.assert_close(found[part], method.criterion(output.logits, targets).detach())
    expected = 0.3 * found["loss_fla"] + 0.7 * found["loss_fpc"] + found[part]
    torch.testing.assert_close(found["loss"].detach(), expected)
    found["loss"].backward()
    assert all(torch.isfinite(weight.grad).all() for weight in method.parameters() if weight.grad is not None)
    gradient = method.head.projection.weight.grad
    assert gradient is not None
    assert gradient.any()


@pytest.mark.parametrize("loss", ANY)
def test_the_warm_up_and_the_anchors_are_the_same_with_every_loss(loss: str, batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method, usual = built(loss), built("two_way")
    assert set(method.loss(method(images), targets, epoch=0)) == {"loss", "loss_fla"}
    for space, anchors in method.anchors().items():
        torch.testing.assert_close(anchors.weight, usual.anchors()[space].weight, atol=0, rtol=0)


def test_the_default_is_the_two_way_loss_bit_by_bit(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    torch.manual_seed(0)
    method = MLCNC(4, **SMALL, two_way_temperature=2.5).eval()  # type: ignore[arg-type]
    output = method(images)
    found = method.loss(output, targets, epoch=1)
    assert found["loss_two_way"] == two_way_loss(output.logits, targets, temperature=2.5)
    # Weights of checkpoints that are older than the argument fit.
    parts = {name.partition(".")[0] for name in method.state_dict()}
    assert parts == {"backbone", "head", "classifier", "centres"}


def test_losses_with_reductions_are_a_mean_over_images(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = built("bce")
    output = method(images)
    found = method.loss(output, targets, epoch=1)["loss_classification"]
    torch.testing.assert_close(found, bce_loss(output.logits, targets, reduction="sum").detach() / 5)


def test_settings_reach_the_loss(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = built("focal", "gamma=1,scale=3,reduction=sum")
    output = method(images)
    expected = focal_loss(output.logits, targets, gamma=1, scale=3, reduction="sum")
    torch.testing.assert_close(method.loss(output, targets, epoch=1)["loss_classification"], expected.detach())
    two_way = built("two_way", "temperature_negative=0.5", two_way_temperature=3.0)
    expected = two_way_loss(output.logits, targets, temperature=3.0, temperature_negative=0.5)
    assert two_way.criterion(output.logits, targets) == expected


def test_the_settings_of_a_data_set_are_those_that_were_published(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    ours = built("db-focal", "coco-lt,mu=0.25")
    told = {"class_counts": COUNTS, "num_images": IMAGES, "reduction": "batchmean"}
    published = nctools.losses.build("db_focal", dataset="coco_lt", mu=0.25, **told)  # type: ignore[arg-type]
    logits = ours(images).logits
    assert ours.criterion(logits, targets) == published(logits, targets)


@pytest.mark.parametrize(
    ("loss", "counts"),
    [(loss, COUNTS) for loss in ANY] + [(loss, [6, 3, 2, 0]) for loss in ANY if LOSSES[loss].needs],
)
@pytest.mark.filterwarnings("ignore:.* have no training positive")
def test_a_checkpoint_rebuilds_the_same_logits_and_loss(
    loss: str, counts: list[int], batch: tuple[Tensor, Tensor], recwarn: pytest.WarningsRecorder
) -> None:
    images, targets = batch
    method = built(loss, counts=counts)
    recwarn.clear()
    checkpoint = Checkpoint(
        method="mlc_nc",
        arguments={**SMALL, "loss": loss},
        state_dict=method.state_dict(),
        ema_state_dict=None,
        class_names=["a", "b", "c", "d"],
        class_counts=counts,
        num_images=IMAGES,
        groups={},
        dataset="digits_lt",
        preprocessing={},
        epoch=1,
    )
    again = rebuild(checkpoint)
    assert not recwarn.list, "the training told of classes without images"
    assert (again(images).logits == method(images).logits).all()
    ours, theirs = (one.loss(one(images), targets, epoch=1)["loss"] for one in (method, again))
    torch.testing.assert_close(ours, theirs)


def test_a_configuration_is_checked_with_near_misses() -> None:
    assert make_config("mlc_nc", "voc_lt", {"loss": "db-focal"}).arguments["loss"] == "db-focal"
    with pytest.raises(ConfigError, match=r"arguments\.loss: unknown loss 'db_fcal'; did you mean db_focal"):
        make_config("mlc_nc", "digits_lt", {"loss": "db_fcal"})
    with pytest.raises(
        ConfigError, match=r"arguments\.loss: loss is 'rlc', which corrects labels .*: choose one of bce"
    ):
        make_config("mlc_nc", "digits_lt", {"loss": "rlc"})
    with pytest.raises(ConfigError, match=r"arguments\.loss_settings: loss_settings is 'gamma=', where 'gamma='"):
        make_config("mlc_nc", "digits_lt", {"loss": "focal", "loss_settings": "gamma="})
    assert {"class_counts", "num_images", "cooccurrence"}.isdisjoint(argument_names("mlc_nc"))


def test_the_training_labels_choose_mu_where_it_is_open() -> None:
    # Single positives have r = 1, which is clipped; of the pair r is 1/3 and 2/3.
    targets = torch.tensor([[1, 0], [1, 1], [0, 0]])
    assert median_rebalancing(targets) == 0.5
    assert MLCNC.derived_arguments({"loss": "db"}, targets) == {"loss_settings": "mu=0.5"}
    chosen = MLCNC.derived_arguments({"loss": "DB-Focal", "loss_settings": "lambd=3"}, targets)
    assert chosen == {"loss_settings": "lambd=3,mu=0.5"}
    for settled in ({"loss": "db", "loss_settings": "mu=0.2"}, {"loss": "r_bce", "loss_settings": "voc_lt"}):
        assert MLCNC.derived_arguments(settled, targets) == {}
    for none in ({}, {"loss": "two_way"}, {"loss": "nt_bce"}, {"loss": "focal", "loss_settings": "gamma=1"}):
        assert MLCNC.derived_arguments(none, targets) == {}


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"two_way_temperature is 2\.0, but loss is 'asl'.*loss_settings"):
        built("asl", two_way_temperature=2.0)
    with pytest.raises(UnknownNameError, match="unknown setting of the loss focal 'gama'; did you mean gamma"):
        built("focal", "gama=1")
    with pytest.raises(ValueError, match="'voc_lt', but settings of the loss focal were published for no data set"):
        built("focal", "voc_lt")
    with pytest.raises(ValueError, match="of the loss db were published only for voc_lt and coco_lt: write them out"):
        built("db", "vg200")
    with pytest.raises(ValueError, match="db is made from class_counts and num_images"):
        build("mlc_nc", num_classes=4, loss="db", **SMALL)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["gamma", "gamma=1,gamma=2", "=1", "voc_lt,coco_lt", "gamma=1,=,"])
def test_settings_that_cannot_be_read_are_shown(text: str) -> None:
    if text == "gamma":  # a word could be a data set: that it is none is seen beside the loss
        assert read_settings(text) == ("gamma", {})
        return
    with pytest.raises(ValueError, match=f"loss_settings is {text!r}, where .* does not fit"):
        checked_settings(text)


@pytest.mark.parametrize(
    ("loss", "text", "told"),
    [
        ("asl", "clip=x", r"clip: Input should be a valid number \(it is 'x'\)"),
        ("db_focal", "mu=null", r"mu: Input should be a valid number \(it is None\)"),
        ("mfm_prior", "gamma_neg=x", r"gamma_neg: Input should be a valid number \(it is 'x'\)"),
        ("focal", "gamma=true", r"gamma: Input should be a valid number \(it is True\)"),
        ("focal", "gamma=nan", r"gamma: Input should be a finite number \(it is nan\)"),
        ("db", "rebalance=1", r"rebalance: Input should be a valid boolean \(it is 1\)"),
        (
            "cb_bce",
            "beta=1",
            r"'beta=1', which does not fit the loss cb_bce: `beta` is 1: pass a number from 0 to below 1",
        ),
        ("bce", "reduction=none", "reduction=none leaves no number to minimise"),
        ("asl", "gamma_ne=1", "unknown setting of the loss asl 'gamma_ne'; did you mean gamma_neg"),
        ("focal", "mu=0.3", "unknown setting of the loss focal 'mu'.*Known: gamma, scale, alpha"),
        ("db", "voclt", "published only for voc_lt and coco_lt: did you mean voc_lt"),
        ("focal", "gamma", "where gamma lacks its value: write gamma=VALUE"),
    ],
)
def test_settings_that_a_loss_has_not_are_refused_with_the_configuration(loss: str, text: str, told: str) -> None:
    with pytest.raises(NctoolsError, match=told):
        make_config("mlc_nc", "digits_lt", {"loss": loss, "loss_settings": text})


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "rlc"])
def test_every_loss_passes_with_its_own_defaults(loss: str) -> None:
    check_chosen(loss, None)
    usual = {
        name: value for name, value in default_settings(loss).items() if name not in {"reduction", "class_weights"}
    }
    check_chosen(loss, ",".join(f"{name}={value}" for name, value in usual.items()))


def test_a_temperature_of_another_loss_is_refused_with_the_configuration() -> None:
    with pytest.raises(ConfigError, match="two_way_temperature is 2, but loss is 'asl'"):
        make_config("mlc_nc", "digits_lt", {"loss": "asl", "two_way_temperature": 2})


def test_settings_are_numbers_words_and_none() -> None:
    text = " VOC-LT, gamma=2, scale=1e-3,rebalance=False ,alpha=none,mode=by_class"
    expected = {"gamma": 2, "scale": 0.001, "rebalance": False, "alpha": None, "mode": "by_class"}
    assert read_settings(text) == ("voc_lt", expected)
    assert read_settings(None) == read_settings("") == (None, {})
    assert checked_loss("DB-Focal") == "DB-Focal"


def test_what_settings_mean_is_written_out_for_comparisons() -> None:
    assert settings_in_full("db_focal", "voc_lt, mu=0.4") == "mu=0.4,lambd=5.0"
    assert settings_in_full("focal", "gamma=1,alpha=none") == "gamma=1,alpha=none"
    assert settings_in_full("two_way", None) is None
    whole = {"variant": "paper", "attention": None, "fpc_weight": None, "train_classifier": None, "num_features": None}
    found = MLCNC.in_full({**whole, "loss": "DB", "loss_settings": "coco-lt"})
    assert (found["loss"], found["loss_settings"]) == ("db", "mu=0.2,lambd=2.0")


@pytest.mark.parametrize("dataset", ["voc_lt", "vg200"])
@pytest.mark.parametrize("loss", ["two_way", "asl", "cb_focal", "nt_bce", "db_focal"])
def test_a_configuration_takes_what_was_published_for_its_data_set(loss: str, dataset: str) -> None:
    plain = make_config("mlc_nc", dataset).arguments
    assert "loss_settings" not in plain
    found = make_config("mlc_nc", dataset, {"loss": loss}).arguments
    published = dataset in LOSSES[loss].settings_for
    assert found == {**plain, "loss": loss} | ({"loss_settings": dataset} if published else {})
    given: dict[str, object] = {"arguments.loss": loss, "arguments.loss_settings": None}
    assert make_config("mlc_nc", dataset, given).arguments["loss_settings"] is None


def test_published_settings_are_those_of_the_method_of_the_same_name() -> None:
    assert make_config("mlc_nc", "voc-lt", {"loss": "DB-Focal"}).arguments["loss_settings"] == "voc_lt"
    own = default_arguments("db_focal", "voc_lt")
    assert settings_in_full("db_focal", "voc_lt") == f"mu={own['mu']},lambd={own['lambd']}"


def test_notes_of_the_distribution_balanced_loss_are_told() -> None:
    targets = torch.eye(4).repeat(2, 1)
    uniform, balanced = Recipe(), Recipe(sampler="class_aware")
    (note,) = built("db_focal").notes(balanced, targets)
    assert re.fullmatch(r"weights of the training labels from 0\.\d+ to 1\.\d+, .*; nu of the classes from .*", note)
    assert built("db").notes(uniform, targets)[1].startswith("the sampler is uniform, but the weights of this loss")
    (shift,) = built("nt_bce").notes(uniform, targets)
    assert shift.startswith("nu of the classes from ")
    assert built("two_way").notes(uniform, targets) == built("asl").notes(uniform, targets) == []
