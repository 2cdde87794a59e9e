from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nctools.models import FixedETFClassifier, simplex_etf


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
