"""LWS learns one number for each class and nothing else, which cannot change a class's average precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.evaluation.ranking import average_precision
from nctools.methods.assembly import build, last_recipe
from nctools.methods.erm import ERM
from nctools.methods.lws import LWS
from nctools.methods.recipe import DIGITS_LT, Recipe

NUM_CLASSES = 6
HEADS = ("linear", "class_attention")


def network(head: str) -> dict[str, str | int]:
    return {"backbone": "small", "head": head} | ({"num_features": 16} if head == "class_attention" else {})


def trained_first(head: str) -> ERM:
    """A network whose weights, biases and statistics are not those of a fresh one."""
    torch.manual_seed(3)
    first = ERM(NUM_CLASSES, **network(head))  # type: ignore[arg-type]
    with torch.no_grad():
        first(torch.randn(8, 3, 48, 48) + 1)  # in train mode: batch norm takes note
        first.classifier.bias.normal_()
    return first


def second(first: ERM, head: str) -> LWS:
    torch.manual_seed(4)
    method = LWS(NUM_CLASSES, **network(head))  # type: ignore[arg-type]
    method.take_over(first.state_dict())
    return method


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 48, 48, generator=generator)
    return images, (torch.rand(8, NUM_CLASSES, generator=generator) < 0.4).float()


@pytest.mark.parametrize("head", HEADS)
def test_it_begins_as_the_first_stage_ended(head: str, batch: tuple[Tensor, Tensor]) -> None:
    first = trained_first(head).eval()
    method = second(first, head)
    with torch.no_grad():
        assert torch.equal(method(batch[0]).logits, first(batch[0]).logits)
    assert torch.equal(method.scales, torch.ones(NUM_CLASSES))


@pytest.mark.parametrize("head", HEADS)
def test_training_changes_one_number_for_each_class_and_lowers_the_loss(
    head: str, batch: tuple[Tensor, Tensor]
) -> None:
    images, targets = batch
    method = second(trained_first(head), head).eval().train()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    # As the training does it: what has no gradient is not given to the optimiser, and gets no weight decay.
    optimiser = torch.optim.Adam([part for part in method.parameters() if part.requires_grad], lr=0.05)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = method.loss(method(images), targets, epoch=0)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"scales"}
    assert method.scales.shape == (NUM_CLASSES,)  # no matrix: weight decay leaves it alone
    assert (method.scales != 1).all()
    assert all(part.grad is None for name, part in method.named_parameters() if name != "scales")


@pytest.mark.parametrize("head", HEADS)
def test_what_is_frozen_stays_in_eval_mode(head: str, batch: tuple[Tensor, Tensor]) -> None:
    method = second(trained_first(head), head)
    assert method.training
    assert not any(part.training for part in list(method.modules())[1:])
    assert not method.eval().training
    # Dropout of the attention and statistics of the batch would make a difference.
    torch.testing.assert_close(method.train()(batch[0][:5]).logits, method.eval()(batch[0]).logits[:5])


@pytest.mark.parametrize("head", HEADS)
def test_logits_and_anchors_are_the_scaled_classifier(head: str, batch: tuple[Tensor, Tensor]) -> None:
    first = trained_first(head).eval()
    method = second(first, head)
    scales = torch.linspace(-0.5, 2, NUM_CLASSES)
    with torch.no_grad():
        method.scales.copy_(scales)
        output, plain = method(batch[0]), first(batch[0])
    torch.testing.assert_close(output.logits, scales * plain.logits)
    rows = method.anchors()["penultimate"]
    assert rows.bias is not None
    torch.testing.assert_close(output.features["penultimate"] @ rows.weight.T + rows.bias, output.logits)
    assert not rows.weight.requires_grad
    assert method.anchors().keys() == first.anchors().keys()


def test_equal_factors_keep_the_order_of_the_images_in_each_class(batch: tuple[Tensor, Tensor]) -> None:
    first = trained_first("linear").eval()
    method = second(first, "linear")
    with torch.no_grad():
        method.scales.fill_(3.0)
        assert torch.equal(method(batch[0]).logits.argsort(dim=0), first(batch[0]).logits.argsort(dim=0))


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_positive_factors_cannot_change_the_average_precision_of_a_class(seed: int, rows: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    # Few values, so that many scores are equal; far enough apart that no rounding makes others equal.
    scores = random.integers(-12, 13, (rows, classes)) / 8 * random.choice([1.0, 1.0 + 1e-9], (rows, classes))
    targets = random.random((rows, classes)) < 0.4
    targets[random.integers(rows, size=classes), range(classes)] = True
    factors = np.exp(random.uniform(-20, 20, classes))
    for protocol in ("tie-aware", "rank", "voc11"):
        before = average_precision(scores, targets, protocol=protocol)
        after = average_precision(factors * scores, targets, protocol=protocol)
        assert before.tobytes() == after.tobytes()


def test_a_negative_factor_changes_the_average_precision_of_its_class_alone() -> None:
    scores = np.array([[3.0, 3.0], [2.0, 2.0], [1.0, 1.0]])
    targets = np.array([[1, 1], [0, 0], [0, 0]])
    np.testing.assert_allclose(average_precision(scores, targets), [1, 1])
    np.testing.assert_allclose(average_precision(scores * [-1, 2], targets), [1 / 3, 1])


def test_this_is_said_where_the_method_is_described() -> None:
    said = " ".join(str(LWS.__doc__).split())
    assert "**cannot change a class's average precision, nor any mean of it**" in said
    assert "F1 and calibration" in said
    assert "a factor below zero" in said


def test_the_second_stage_has_a_recipe_of_its_own() -> None:
    assert LWS.first_stage == "erm"
    assert LWS.recipe_for["digits_lt"] == DIGITS_LT
    recipe = last_recipe("lws", Recipe(epochs=80, batch_size=16, weight_decay=0.3), {})
    expected = Recipe(
        epochs=5, batch_size=16, weight_decay=0.3, max_lr=0.01, sampler="class_aware", num_samples_per_class=4
    )
    assert recipe == expected
    changed = last_recipe("lws", Recipe(), {"rescaling_epochs": 2, "rescaling_lr": 0.1})
    assert (changed.epochs, changed.max_lr) == (2, 0.1)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(RuntimeError, match="Unexpected key"):
        second(trained_first("class_attention"), "linear")


def test_it_is_built_by_its_name() -> None:
    method = build("lws", num_classes=3, backbone="small", rescaling_epochs=7, rescaling_lr=0.5)
    assert isinstance(method, LWS)
    assert (method.rescaling_epochs, method.rescaling_lr) == (7, 0.5)


def test_the_range_of_the_factors_is_told_by_group() -> None:
    method = build("lws", num_classes=4, backbone="small")
    assert isinstance(method, LWS)
    with torch.no_grad():
        method.scales.copy_(torch.tensor([0.707, 0.952, 1.0, 1.3]))
    (note,) = method.closing_notes({"head": [0, 1], "medium": [], "tail": [2, 3]})
    assert note == "factors: head 0.71..0.95, tail 1.00..1.30"
