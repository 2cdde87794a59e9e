from __future__ import annotations

import gc
import importlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nctools._torchvision_guard import import_torchvision
from nctools.features import FeatureExtractor
from nctools.features.selection import first_tensor
from nctools.models.output import Output
from tests.features.models import Classwise, classifier_of, compiled, linear_model


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


def test_calls_of_a_module_are_listed_with_their_shapes_and_how_to_choose() -> None:
    message = (
        r'choose one of "block:output#1" \[2, 4\], "block:output#2" \[2, 4\], "block:output#3" \[2, 4\] \(or #last'
    )
    with FeatureExtractor(Repeats(), {"x": "block"}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2, 4))


@pytest.mark.parametrize(("place", "applied"), [("#1", 1), ("#2", 2), ("#3", 3), ("#last", 3), (":input#3", 2)])
def test_one_call_of_a_module_is_chosen(place: str, applied: int) -> None:
    model, images = Repeats(), torch.randn(2, 4)
    with FeatureExtractor(model, {"x": f"block{place}"}) as extractor:
        found = extractor(images)["x"]
    for _ in range(applied):
        images = model.block(images)
    torch.testing.assert_close(found, images)


def test_call_that_does_not_happen_is_named() -> None:
    message = r"'block' has no call #4 in one forward pass: choose one of \"block:output#1"
    with FeatureExtractor(Repeats(), {"x": "block#4"}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2, 4))


class Many(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.alive: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        size = (3, 1237)
        for step in range(20):
            self.relu(torch.full(size, float(step)))
            # By type(): isinstance would ask proxies of torch for their class.
            self.alive.append(sum(found.shape == size for found in gc.get_objects() if type(found) is Tensor))
        return images


@pytest.mark.parametrize(("place", "value"), [("relu#last", 19.0), ("relu#7", 6.0)])
def test_only_the_wanted_call_is_held_in_memory(place: str, value: float) -> None:
    model = Many()
    with FeatureExtractor(model, {"x": place}) as extractor:
        assert extractor(torch.zeros(1))["x"].eq(value).all()
    assert max(model.alive) <= 1


def test_many_calls_are_listed_in_short() -> None:
    with (
        FeatureExtractor(Many(), {"x": "relu"}) as extractor,
        pytest.raises(ValueError, match=r"#10.*\.\.\. up to #20"),
    ):
        extractor(torch.zeros(1))


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


@dataclass
class Plain:
    note: str
    hidden: Tensor
    states: tuple[Tensor, ...]


ONES, TWOS = torch.ones(2, 3), torch.full((2, 3), 2.0)


@pytest.mark.parametrize(
    ("result", "place"),
    [
        ((ONES, TWOS), "[1]"),
        ([ONES, (ONES, TWOS)], ":output[1][1]"),
        ({"a": ONES, "b": TWOS}, "[b]"),
        (OrderedDict(hidden=(ONES, TWOS)), "[hidden][-1]"),
        (Pair(ONES, TWOS), "[right]"),
        (Plain("x", ONES, (ONES, TWOS)), "[states][1]"),
        (Plain("x", TWOS, (ONES,)), ":output"),
        (({"a": (None, TWOS)}, ONES), "[0]"),
    ],
)
def test_part_of_what_a_module_returns_is_chosen(result: object, place: str) -> None:
    with FeatureExtractor(Parts(result), {"x": place}) as extractor:
        assert extractor(torch.zeros(2, 4))["x"].equal(TWOS)


def test_argument_is_chosen_by_position_or_name() -> None:
    layers = {"first": ":input[0]", "by_name": ":input[images]", "mask": ":input[mask]"}
    with FeatureExtractor(Parts(None), layers) as extractor:
        features = extractor(ONES, mask=TWOS)
    assert features["first"].equal(ONES)
    assert features["by_name"].equal(ONES)
    assert features["mask"].equal(TWOS)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("[c]", r"the output of module '' has no part \[c\]: choose one of \[a\], \[b\]"),
        ("[a][0]", r"has no part \[0\]: nothing can be chosen from it"),
        (":input[mask]", r"the input of module '' has no part \[mask\]: choose one of \[0\], \[images\]"),
        ("[b]", "the output of module '' holds no tensor"),
    ],
)
def test_part_that_is_absent_is_named_with_those_that_are_there(place: str, message: str) -> None:
    model = Parts({"a": ONES, "b": None})
    with FeatureExtractor(model, {"x": place}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2, 4))


def test_part_is_needed_in_the_chosen_call_only() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Parts({})

        def forward(self, images: Tensor) -> None:
            for result in ({}, {"a": ONES}, {"a": TWOS}, {"b": ONES}):
                self.block.result = result
                self.block(images)

    with FeatureExtractor(Grows(), {"x": "block[a]#3", "y": "block#last"}) as extractor:
        features = extractor(torch.zeros(2))
    assert features["x"].equal(TWOS)
    assert features["y"].equal(ONES)
    message = r"no part \[a\]: choose one of \[b\]"
    with FeatureExtractor(Grows(), {"x": "block[a]#last"}) as extractor, pytest.raises(ValueError, match=message):
        extractor(torch.zeros(2))


def child_compiled(model: nn.Module) -> nn.Module:
    return nn.Sequential(compiled(model))


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="aot_eager")
    return model


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("wrap", [nn.DataParallel, AveragedModel, compiled, child_compiled, compiled_in_place])
def test_layers_inside_a_wrapper_are_read(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model, images = linear_model().eval(), torch.randn(5, 4)
    wrapped = wrap(model)
    with torch.no_grad():
        expected = wrapped(images)  # compiled before the hooks are there
    place = "0.2:input" if wrap is child_compiled else "module.2:input"
    with FeatureExtractor(wrapped, {"x": place, "first": place.replace("2:input", "0")}) as extractor:
        features = extractor(images)
    hidden = model[0](images).detach()
    torch.testing.assert_close(features["first"], hidden)
    torch.testing.assert_close(features["x"], hidden.relu())
    torch.testing.assert_close(extractor.output, expected)
    assert num_hooks(wrapped) == 0
    torch.testing.assert_close(wrapped(images), expected)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_hooks_are_gone_after_an_error_in_another_hook_or_an_interruption(error: type[BaseException]) -> None:
    model = linear_model()

    def fail(module: nn.Module, args: object, output: object) -> None:
        raise error("stop")

    handle = model[2].register_forward_hook(fail)
    with pytest.raises(error, match="stop"), FeatureExtractor(model, {"x": "0", "y": "2"}) as extractor:
        extractor(torch.zeros(2, 4))
    handle.remove()
    assert num_hooks(model) == 0
    with extractor:
        assert list(extractor(torch.zeros(2, 4))) == ["x", "y"]


def test_memory_does_not_grow_over_many_batches() -> None:
    model, images = linear_model(), torch.zeros(4, 4)

    def alive() -> tuple[int, int]:
        gc.collect()
        found = gc.get_objects()
        return len(found), sum(type(thing) is Tensor for thing in found)

    with FeatureExtractor(model, {"x": "0", "y": "2:input", "z": "1#last"}) as extractor:
        extractor(images)
        before = alive()
        for _ in range(10_000):
            extractor(images)
        after = alive()
    assert after[1] == before[1]
    assert after[0] - before[0] < 100


def test_parameters_and_inputs_that_need_gradients_leave_no_graph() -> None:
    model, images = linear_model().train(), torch.randn(3, 4, requires_grad=True)
    with FeatureExtractor(model, {"in": ":input", "x": "0", "y": "2"}) as extractor:
        features = extractor(images)
    assert [tensor.grad_fn for tensor in features.values()] == [None] * 3
    assert not any(tensor.requires_grad for tensor in features.values())
    assert torch.is_grad_enabled()


def test_module_under_two_names_is_read_under_both() -> None:
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": shared, "b": shared})

    class Uses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = model

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.parts["a"](images)
            return found

    with FeatureExtractor(Uses(), {"x": "parts.a", "y": "parts.b"}) as extractor:
        features = extractor(torch.ones(2, 4))
    assert features["x"].equal(features["y"])


def test_autocast_features_have_the_type_of_the_layer() -> None:
    model, images = linear_model(), torch.randn(2, 4)
    extractor = FeatureExtractor(model, {"in": "0:input", "x": "0", "y": "2:input"})
    with extractor, torch.autocast("cpu", dtype=torch.bfloat16):
        features = extractor(images)
    assert [tensor.dtype for tensor in features.values()] == [torch.float32, torch.bfloat16, torch.bfloat16]
    assert features["in"].equal(images)
    torch.testing.assert_close(features["y"].float(), model[0](images).relu().detach(), rtol=0.02, atol=0.02)


def test_tokens_of_a_vision_transformer_and_what_its_head_reads() -> None:
    import_torchvision()
    timm = importlib.import_module("timm")
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=5, pretrained=False).eval()
    layers = {"early": "blocks.3", "tokens": "norm", "penultimate": "head:input", "logits": "head"}
    images = torch.randn(2, 3, 32, 32)
    with FeatureExtractor(model, layers) as extractor:
        features = extractor(images)
    assert features["early"].shape == features["tokens"].shape == (2, 5, 192)
    torch.testing.assert_close(features["tokens"], model.forward_features(images).detach())
    torch.testing.assert_close(features["penultimate"], features["tokens"][:, 0])
    torch.testing.assert_close(features["logits"], extractor.output)


@pytest.mark.parametrize(
    ("name", "layers", "shapes"),
    [
        ("squeezenet1_1", {"map": "classifier.1:input"}, [(2, 512, 3, 3)]),
        ("resnet18", {"x": "layer4", "y": "fc:input"}, [(2, 512, 2, 2), (2, 512)]),
        ("mobilenet_v2", {"x": "features", "y": "classifier.1:input"}, [(2, 1280, 2, 2), (2, 1280)]),
    ],
)
def test_layers_of_convolutional_networks(name: str, layers: dict[str, str], shapes: list[tuple[int, ...]]) -> None:
    model = getattr(import_torchvision().models, name)(weights=None).eval()
    images = torch.randn(2, 3, 64, 64)
    with FeatureExtractor(model, layers) as extractor:
        features = list(extractor(images).values())
    assert [tensor.shape for tensor in features] == shapes
    if len(features) == 2:  # the mean over the places is what the classifier reads
        torch.testing.assert_close(features[0].mean(dim=(2, 3)), features[1])


@pytest.mark.parametrize("times", [2, 5])
def test_shared_inplace_activation_is_read_before_it_is_overwritten(times: int) -> None:
    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, images: Tensor) -> Tensor:
            for _ in range(times):
                images = self.relu(images).sub_(1.0)
            return images

    with FeatureExtractor(Blocks(), {"x": "relu#1", "y": f"relu#{times}"}) as extractor:
        features = extractor(torch.full((2, 3), float(times)))
    assert features["x"].eq(float(times)).all()
    assert features["y"].eq(1.0).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_program_is_refused_with_a_way_out() -> None:
    program = torch.jit.script(linear_model())
    with pytest.raises(TypeError, match=r"module '2' is a TorchScript program.*load the program's state_dict"):
        FeatureExtractor(program, {"x": "2"})
    around = nn.Sequential(nn.Linear(4, 4), program)
    with FeatureExtractor(around, {"x": "0"}) as extractor:
        assert extractor(torch.zeros(2, 4))["x"].shape == (2, 4)


def test_classifier_gives_the_logits_from_its_features() -> None:
    model, images = linear_model(), torch.randn(2, 4)
    with FeatureExtractor(model) as extractor:
        features = extractor(images)["penultimate"]
    torch.testing.assert_close(classifier_of(model)(features), extractor.output)
