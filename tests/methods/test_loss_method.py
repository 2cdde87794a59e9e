"""Methods that are a loss: the plain head, that of the control of MLC-NC, and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from nctools.losses.bce import bce_loss
from nctools.methods.assembly import build, usual_arguments
from nctools.methods.class_attention import ClassAttention
from nctools.methods.erm import ERM
from nctools.methods.loss_method import CLASSWISE_LAYERS, POOLED_LAYERS, LossMethod, suited
from nctools.methods.method import Argument

CLASSES = 4


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 3, 16, 16, generator=generator), torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, -1]])


def erm(**arguments: object) -> ERM:
    torch.manual_seed(0)
    return ERM(CLASSES, **{"backbone": "small", **arguments})  # type: ignore[arg-type]


def parts(method: LossMethod) -> set[str]:
    return {name for name in method.state_dict() if not name.startswith("backbone.")}


def test_the_plain_head_pools_and_classifies(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = erm().eval()
    output = method(images)
    pooled = method.backbone(images).mean((2, 3))
    torch.testing.assert_close(output.features["penultimate"], pooled)
    torch.testing.assert_close(output.logits, pooled @ method.classifier.weight.T + method.classifier.bias)
    assert output.maps is None
    assert (list(output.features), method.feature_layers) == (["penultimate"], POOLED_LAYERS)
    assert list(method.anchors()) == ["penultimate"]
    assert method.loss(output, targets, epoch=0)["loss"] == bce_loss(output.logits, targets, reduction="batchmean")


def test_the_class_wise_head_is_that_of_the_control(batch: tuple[Tensor, Tensor]) -> None:
    images, _ = batch
    method = erm(head="class_attention", attention="multihead", num_features=32, seed=3).eval()
    torch.manual_seed(0)
    control = ClassAttention(CLASSES, backbone="small", attention="multihead", num_features=32, seed=3).eval()
    assert method.state_dict().keys() == control.state_dict().keys()
    output, expected = method(images), control(images)
    assert (output.logits == expected.logits).all()
    assert list(output.features) == list(method.feature_layers) == list(CLASSWISE_LAYERS)
    assert output.maps is not None
    assert output.maps.shape[:2] == (3, CLASSES)
    for space, anchors in method.anchors().items():
        torch.testing.assert_close(anchors.weight, control.anchors()[space].weight)
        assert anchors.weight.shape == (CLASSES, output.features[space].shape[-1])


def test_weights_bear_the_names_that_checkpoints_have() -> None:
    assert parts(erm()) == {"classifier.weight", "classifier.bias"}
    attention = {"head.attention." + name for name in ("in_proj_weight", "in_proj_bias", "embed.weight", "embed.bias")}
    attention |= {"head.attention.out_proj.weight", "head.attention.out_proj.bias"}
    head = {"head.label_embedding.weight", "head.projection.weight", "head.projection.bias"}
    control = ClassAttention(CLASSES, backbone="small", attention="multihead", num_features=32)
    assert parts(control) == attention | head | {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("head", ["linear", "class_attention"])
def test_a_step_of_training_lowers_the_loss(head: str, batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = erm(head=head, dropout=0.1)
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-2)
    seen = []
    for _ in range(8):
        loss = method.loss(method(images), targets, epoch=0)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    assert seen[-1] < 0.8 * seen[0]


def test_the_small_backbone_gets_class_wise_features_of_a_width_of_their_own() -> None:
    method = erm(head="class_attention")
    assert method.head is not None
    assert method.head.label_embedding().shape == (CLASSES, 128)
    cosine = erm(head="class_attention", attention="cosine")
    assert cosine.head is not None
    assert cosine.head.label_embedding().shape == (CLASSES, 64)


@pytest.mark.parametrize(
    ("arguments", "attention", "width"),
    [
        ({"backbone": "small"}, "multihead", 128),
        ({"backbone": "small", "num_features": 32}, "multihead", 32),
        ({"backbone": "small", "attention": "cosine"}, "cosine", None),
        ({"backbone": "resnet18"}, "cosine", None),
        ({"backbone": "resnet18", "attention": "multihead"}, "multihead", 768),
    ],
)
def test_what_the_backbone_chooses_is_written_out(
    arguments: Mapping[str, Argument], attention: str, width: int | None
) -> None:
    whole = ERM.in_full({**usual_arguments("erm"), "head": "class_attention", **arguments})
    assert (whole["attention"], whole["num_features"]) == (attention, width)
    built = build("erm", num_classes=CLASSES, head="class_attention", **arguments)  # type: ignore[arg-type]
    assert isinstance(built, LossMethod)
    assert built.head is not None
    features = built.head.label_embedding().shape[1]
    assert features == (width or built.backbone.num_features)


def test_a_plain_head_leaves_nothing_to_write_out() -> None:
    usual = usual_arguments("erm")
    assert ERM.in_full(usual) == usual


def test_a_head_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match='head is \'lineal\'; it is "linear" or "class_attention"'):
        erm(head="lineal")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attention", "cosine"),
        ("num_features", 32),
        ("num_heads", 4),
        ("dropout", 0.0),
        ("label_embedding", "etf"),
        ("projection_features", 10),
        ("classifier_scale", 1.0),
    ],
)
def test_arguments_of_the_class_wise_head_are_refused_with_the_plain_one(name: str, value: object) -> None:
    message = f'{name} is {value!r}, but head is "linear".*leave {name} out, or choose head="class_attention"'
    with pytest.raises(ValueError, match=message):
        erm(**{name: value})
    erm(**{"head": "class_attention", "attention": "multihead", name: value})


def test_defaults_and_what_a_run_tells_do_not_trouble_the_plain_head() -> None:
    written_out = {name: value for name, value in usual_arguments("erm").items() if name != "backbone"}
    assert parts(erm(**written_out, seed=5, class_names=["a", "b", "c", "d"])) == parts(erm())


def test_published_settings_join_the_arguments_of_a_data_set() -> None:
    usual: dict[str, dict[str, Argument]] = {"coco_lt": {"pretrained": True}, "digits_lt": {"backbone": "small"}}
    found = suited("db_focal", usual)
    assert found == {"coco_lt": {"pretrained": True, "mu": 0.2, "lambd": 2.0}, "digits_lt": {"backbone": "small"}}
    assert usual["coco_lt"] == {"pretrained": True}
    assert suited("bce", usual) == usual
