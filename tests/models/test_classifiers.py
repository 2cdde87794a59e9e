from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nctools.models import ClasswiseClassifier, FixedETFClassifier, simplex_etf
from nctools.models.classifiers import ClassifierRows
from tests.reference import models as reference


def test_logits_are_scaled_products_with_the_rows() -> None:
    classifier = FixedETFClassifier(5, 100, seed=1, scale=2.5)
    features = torch.randn(3, 100)
    expected = [[2.5 * sum((x * v).tolist()) for v in simplex_etf(5, 100, seed=1)] for x in features]
    torch.testing.assert_close(classifier(features), torch.tensor(expected))


@pytest.mark.parametrize(
    ("learnable_scale", "trainable", "parameters"),
    [
        (True, False, {"scale"}),
        (False, False, set()),
        (True, True, {"scale", "weight"}),
        (False, True, {"weight"}),
    ],
)
def test_what_is_learned(learnable_scale: bool, trainable: bool, parameters: set[str]) -> None:
    classifier = FixedETFClassifier(5, 8, seed=0, learnable_scale=learnable_scale, trainable=trainable)
    assert {name for name, _ in classifier.named_parameters()} == parameters
    assert set(classifier.state_dict()) == {"weight", "scale"}
    assert torch.equal(classifier.weight, simplex_etf(5, 8, seed=0))


def test_state_dict_restores_another_seed() -> None:
    first, second = FixedETFClassifier(5, 8, seed=0, scale=3.0), FixedETFClassifier(5, 8, seed=1)
    second.load_state_dict(first.state_dict())
    features = torch.randn(2, 8)
    assert torch.equal(first(features), second(features))


def test_gradient_reaches_scale_and_features() -> None:
    classifier = FixedETFClassifier(3, 6, seed=0).double()
    features = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, _: classifier(x), (features, classifier.scale))


def test_autocast_does_not_round_the_logits() -> None:
    classifier = FixedETFClassifier(20, 400, seed=0)
    features = F.normalize(torch.randn(64, 400), dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        logits = classifier(features)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, classifier(features))


def test_wrong_width_is_named() -> None:
    with pytest.raises(ValueError, match=r"`features` has shape \[2, 9\] but .* \[5, 8\]"):
        FixedETFClassifier(5, 8, seed=0)(torch.zeros(2, 9))


@pytest.mark.parametrize("rows", ["etf", "random"])
def test_joined_logits_and_their_gradients_equal_the_loops(rows: ClassifierRows) -> None:
    classifier = FixedETFClassifier(3, 12, seed=1, scale=1.5, trainable=True, rows=rows).double()
    projected = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    compare(classifier(projected.flatten(1)), reference.joined_logits, classifier, projected)


@pytest.mark.parametrize("rows", ["etf", "random"])
def test_classwise_logits_and_their_gradients_equal_the_loops(rows: ClassifierRows) -> None:
    classifier = ClasswiseClassifier(3, 4, seed=1, scale=1.5, trainable=True, rows=rows).double()
    projected = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    compare(classifier(projected), reference.classwise_logits, classifier, projected)


def compare(
    logits: Tensor,
    loops: Callable[[Tensor, Tensor, Tensor], Tensor],
    classifier: FixedETFClassifier | ClasswiseClassifier,
    projected: Tensor,
) -> None:
    expected = loops(projected, classifier.weight, classifier.scale)
    torch.testing.assert_close(logits, expected)
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).reshape(logits.shape)
    leaves = [projected, classifier.weight, classifier.scale]
    found, wanted = (torch.autograd.grad((values * weights).sum(), leaves) for values in (logits, expected))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("classwise", [False, True])
@pytest.mark.parametrize("trainable", [False, True])
def test_random_rows_have_unit_length_and_come_from_the_seed(classwise: bool, trainable: bool) -> None:
    made = ClasswiseClassifier if classwise else FixedETFClassifier
    classifier = made(5, 8, seed=1, rows="random", trainable=trainable)
    torch.testing.assert_close(classifier.weight.norm(dim=1), torch.ones(5))
    assert torch.equal(classifier.weight, made(5, 8, seed=1, rows="random").weight)
    assert not torch.equal(classifier.weight, made(5, 8, seed=2, rows="random").weight)
    assert {name for name, _ in classifier.named_parameters()} == ({"weight", "scale"} if trainable else {"scale"})
    assert set(classifier.state_dict()) == {"weight", "scale"}


def test_classwise_logits_are_not_rounded_by_autocast() -> None:
    classifier = ClasswiseClassifier(20, 16, seed=0)
    features = F.normalize(torch.randn(64, 20, 16), dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        logits = classifier(features)
    assert torch.equal(logits, classifier(features))


def test_rows_and_shapes_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match="`rows` is 'glove': pass one of 'etf', 'random'"):
        ClasswiseClassifier(5, 8, seed=0, rows="glove")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_features is 3 but num_classes is 5"):
        ClasswiseClassifier(5, 3, seed=0, rows="etf")
    with pytest.raises(ValueError, match=r"`features` has shape \[2, 5, 9\] but .* \[5, 8\]: pass .* \[B, 5, 8\]"):
        ClasswiseClassifier(5, 8, seed=0)(torch.zeros(2, 5, 9))
