"""Weights of the released MLC-NC code: recognised, rebuilt, and computing what that code computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nctools.errors import CheckpointError
from nctools.methods.mlc_nc import MLCNC
from nctools.methods.released_weights import looks_released, rebuild_released
from nctools.models.backbones import build_backbone
from nctools.models.etf import simplex_etf

CLASSES, WIDTH, PROJECTED = 5, 768, 4
State = dict[str, Tensor]


def released_state(backbone: str = "resnet50", *, channels: int = 2048) -> State:
    """Tensors named and shaped as the released code saves them, with the parts that serve other experiments."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    body = build_backbone(backbone).body
    state = {name: value.clone() for name, value in body.state_dict().items()}
    head = {
        "embed_standart.weight": random(WIDTH, channels, scale=0.05),
        "embed_standart.bias": random(WIDTH, scale=0.1),
        "sup_embed.weight": random(300, WIDTH),
        "sup_embed.bias": random(300),
        "query_embed_group.weight": random(CLASSES, WIDTH),
        "temperature": torch.tensor([7.5]),
        "multihead_attn.in_proj_weight": random(3 * WIDTH, WIDTH, scale=0.05),
        "multihead_attn.in_proj_bias": random(3 * WIDTH, scale=0.1),
        "multihead_attn.out_proj.weight": random(WIDTH, WIDTH, scale=0.05),
        "multihead_attn.out_proj.bias": random(WIDTH, scale=0.1),
        "duplicate_pooling": random(CLASSES, WIDTH, 1),
        "duplicate_pooling_bias": torch.zeros(CLASSES),
        "duplicate_proto": random(CLASSES, WIDTH, PROJECTED),
        "duplicate_proto_bias": random(CLASSES, PROJECTED),
        "projection_layers.0.weight": random(PROJECTED, WIDTH),
        "proto_classifier.proto": random(CLASSES * PROJECTED, CLASSES),
        "rand_classifier": random(CLASSES * PROJECTED, CLASSES),
        "ablation_proto_classifier.proto": random(CLASSES, CLASSES),
        "scaling_train": torch.tensor(1.0),
    }
    return state | {f"fc.{name}": value for name, value in head.items()}


def released_logits(state: State, feature_map: Tensor, queries: Tensor) -> Tensor:
    """What the released code computes from a feature map, in plain torch operations on the raw tensors."""
    attention = nn.MultiheadAttention(WIDTH, 8, dropout=0.1).eval().to(feature_map.dtype)
    prefix = "fc.multihead_attn."
    attention.load_state_dict({name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)})
    positions = feature_map.flatten(2).permute(2, 0, 1)
    embedded = torch.relu(positions @ state["fc.embed_standart.weight"].T + state["fc.embed_standart.bias"])
    asked = queries[:, None].repeat(1, feature_map.shape[0], 1)
    features = attention(asked, embedded, embedded)[0].transpose(0, 1)
    rows = []
    for image in features:
        projected = [
            image[c] @ state["fc.duplicate_proto"][c] + state["fc.duplicate_proto_bias"][c] for c in range(CLASSES)
        ]
        joined = torch.cat([vector / vector.norm() for vector in projected])
        rows.append(state["fc.temperature"] * (joined @ state["fc.proto_classifier.proto"]))
    return torch.stack(rows)


@pytest.fixture(scope="module")
def state() -> State:
    return released_state()


@pytest.fixture(scope="module")
def shallow() -> State:
    return released_state("resnet18", channels=512)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_our_method_computes_what_the_released_code_computes(state: State, images: Tensor) -> None:
    method, notes = rebuild_released(state)
    assert isinstance(method, MLCNC)
    assert not method.training
    queries = method.head.label_embedding().detach()
    torch.testing.assert_close(queries, simplex_etf(CLASSES, WIDTH, seed=0))
    # In float64, so that nothing but the formula can differ.
    method.double()
    exact = {name: value.double() for name, value in state.items()}
    with torch.no_grad():
        wanted = released_logits(exact, method.backbone(images.double()), queries.double())
        torch.testing.assert_close(method(images.double()).logits, wanted, atol=1e-9, rtol=1e-9)
    assert wanted.std() > 0.1  # the comparison is about numbers that differ
    assert len(notes) == 1
    assert "does not hold the fixed ETF queries" in notes[0]


def test_the_anchors_carry_the_temperature(shallow: State) -> None:
    method, _ = rebuild_released(shallow)
    rows = method.anchors()["penultimate"].weight
    torch.testing.assert_close(rows, 7.5 * shallow["fc.proto_classifier.proto"].T)


@pytest.mark.parametrize("name", ["fc.query_embed", "fc.query_embed_group.weight"])
def test_queries_in_the_file_are_used(name: str, shallow: State, images: Tensor) -> None:
    queries = simplex_etf(CLASSES, WIDTH, seed=99)
    given = shallow | {name: queries}
    method, notes = rebuild_released(given)
    assert notes == []
    with torch.no_grad():
        wanted = released_logits(given, method.get_submodule("backbone")(images), queries)
        torch.testing.assert_close(method(images).logits, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["module.", "model.", "model.module."])
def test_the_prefix_of_a_wrapper_is_taken_off(prefix: str, shallow: State) -> None:
    method, _ = rebuild_released({prefix + name: value for name, value in shallow.items()} | {"n": torch.zeros(1)})
    torch.testing.assert_close(method.state_dict()["head.projection.weight"], shallow["fc.duplicate_proto"])


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [("resnet18", 512), ("resnet34", 512), pytest.param("resnet101", 2048, marks=pytest.mark.slow)],
)
def test_the_depth_is_read_from_the_blocks(backbone: str, channels: int) -> None:
    given = released_state(backbone, channels=channels)
    method, _ = rebuild_released(given)
    own = method.state_dict()
    assert all(f"backbone.body.{name}" in own for name in given if not name.startswith("fc."))
    torch.testing.assert_close(own["backbone.body.layer4.1.bn2.weight"], given["layer4.1.bn2.weight"])


def test_a_run_without_the_etf_classifier_is_told_by_its_trained_pooling(state: State) -> None:
    _, notes = rebuild_released(state | {"fc.duplicate_pooling_bias": torch.ones(CLASSES)})
    assert any("without the ETF classifier" in note for note in notes)


def test_other_weights_are_not_taken_for_released_ones(state: State) -> None:
    assert looks_released(state)
    for missing in ("conv1.weight", "fc.duplicate_proto", "fc.proto_classifier.proto"):
        assert not looks_released({name: value for name, value in state.items() if name != missing})
    with pytest.raises(CheckpointError, match="1 weights are not those of the released"):
        rebuild_released({"conv1.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer3.7.conv1.weight": torch.zeros(1)}, r"\(3, 4, 8, 3\) bottleneck blocks .* no ResNet that is known"),
        ({"layer2.0.conv1.weight": torch.zeros(1)}, "size mismatch for backbone.body.layer2.0.conv1.weight"),
        ({"fc.proto_classifier.proto": torch.zeros(3, 3)}, "size mismatch for classifier.weight"),
        ({"stem.weight": torch.zeros(1)}, "missing or unknown: backbone.body.stem.weight"),
        ({"fc.temperature": torch.zeros(3)}, "temperature"),
    ],
)
def test_weights_that_do_not_fit_together_are_one_clear_line(change: State, message: str, state: State) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        rebuild_released(state | change)
    assert "\n" not in str(caught.value)
