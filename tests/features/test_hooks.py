from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nctools.features import FeatureExtractor
from nctools.features.selection import first_tensor
from nctools.models.output import Output
from tests.features.models import Classwise, linear_model


def num_hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_two_layers_in_one_pass_equal_the_manual_computation() -> None:
    model, images = linear_model(), torch.randn(5, 4)
    passes = 0

    def count(module: nn.Module, args: object) -> None:
        nonlocal passes
        passes += 1

    model.register_forward_pre_hook(count)
    with FeatureExtractor(model, {"hidden": "0", "penultimate": "2:input", "logits": "2:output"}) as extractor:
        features = extractor(images)
    assert passes == 1
    hidden = model[0](images)
    torch.testing.assert_close(features["hidden"], hidden)
    torch.testing.assert_close(features["penultimate"], hidden.relu())
    assert isinstance(extractor.output, Tensor)
    assert features["logits"].equal(extractor.output)


def test_default_is_the_input_of_the_last_linear() -> None:
    with FeatureExtractor(linear_model()) as extractor:
        assert extractor(torch.zeros(2, 4))["penultimate"].shape == (2, 6)


def test_features_are_detached_and_keep_no_graph() -> None:
    model, images = linear_model(), torch.randn(5, 4, requires_grad=True)
    with FeatureExtractor(model) as extractor:
        features = extractor(images)
    assert not features["penultimate"].requires_grad
    assert isinstance(extractor.output, Tensor)
    assert extractor.output.grad_fn is None


def test_inplace_operation_after_the_layer_does_not_change_its_features() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 2))
    images = torch.randn(8, 4)
    with FeatureExtractor(model, {"before": "0:output", "same": "1:input"}) as extractor:
        features = extractor(images)
    expected = model[0](images)
    assert (expected < 0).any()
    torch.testing.assert_close(features["before"], expected)


def test_hooks_are_gone_after_an_exception_in_the_model() -> None:
    model = linear_model()
    with pytest.raises(RuntimeError, match="shapes"), FeatureExtractor(model) as extractor:
        extractor(torch.zeros(2, 99))
    assert num_hooks(model) == 0


def test_entering_twice_and_removing_twice_is_harmless() -> None:
    model = linear_model()
    extractor = FeatureExtractor(model)
    with extractor:
        with extractor:
            assert num_hooks(model) == 1
        assert extractor(torch.zeros(2, 4))["penultimate"].shape == (2, 6)
    extractor.remove()
    extractor.remove()
    assert num_hooks(model) == 0
    with extractor:
        extractor.remove()
    with extractor:
        assert extractor(torch.zeros(2, 4))["penultimate"].shape == (2, 6)
    assert num_hooks(model) == 0


def test_use_outside_the_with_block_is_refused() -> None:
    with pytest.raises(RuntimeError, match="inside its `with` block"):
        FeatureExtractor(linear_model())(torch.zeros(2, 4))


def test_mode_of_the_model_is_not_touched() -> None:
    model = linear_model().train()
    model[1].eval()
    with FeatureExtractor(model) as extractor:
        extractor(torch.zeros(2, 4))
    assert [module.training for module in model] == [True, False, True]


class Repeats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.block(self.block(self.block(images)))
        return found


def test_module_called_several_times_is_named_with_its_number_of_calls() -> None:
    message = r"layer 'x': module 'block' was called 3 times"
    with FeatureExtractor(Repeats(), {"x": "block"}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2, 4))


def test_module_that_is_not_called_is_named() -> None:
    message = r"layer 'x': module 'unused' was not called"
    with FeatureExtractor(Repeats(), {"x": "unused:input"}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2, 4))


class Parts(nn.Module):
    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result

    def forward(self, images: Tensor, *, mask: Tensor | None = None) -> object:
        return self.result


@pytest.mark.parametrize(
    "result",
    [
        (None, torch.ones(2, 3), torch.zeros(2)),
        [torch.ones(2, 3)],
        {"loss": None, "hidden": torch.ones(2, 3)},
        Output(torch.ones(2, 3), features={"penultimate": torch.zeros(2, 9)}),
    ],
)
def test_first_tensor_of_a_collection_is_the_feature(result: object) -> None:
    model = Parts(result)
    with FeatureExtractor(model, {"x": ":output"}) as extractor:
        assert extractor(torch.zeros(2, 4))["x"].equal(torch.ones(2, 3))
    assert extractor.output is result


def test_keyword_argument_is_an_input() -> None:
    model = Parts(None)
    with FeatureExtractor(model, {"x": ":input"}) as extractor:
        assert extractor(None, mask=torch.ones(3))["x"].equal(torch.ones(3))


def test_place_without_a_tensor_is_named() -> None:
    message = r"layer 'x': the output of module '' holds no tensor"
    with FeatureExtractor(Parts("text"), {"x": ":output"}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2, 4))


def test_classwise_features_of_an_output_model() -> None:
    model = Classwise(4, 3, 5).eval()
    images = torch.randn(2, 4)
    with FeatureExtractor(model, {"classwise": "split"}) as extractor:
        features = extractor(images)
    torch.testing.assert_close(features["classwise"], model(images).features["classwise"])
    assert first_tensor(extractor.output) is not None
