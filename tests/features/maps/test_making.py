from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import nctools
from nctools.errors import UnknownNameError
from nctools.features.maps import MAP_METHODS, class_maps
from tests.features.maps.cases import from_timm, images, own_method

CASES = [(name, method) for name in ("erm", "class_attention", "mlc_nc") for method in MAP_METHODS]
CASES = [case for case in CASES if case not in {("erm", "attention"), ("class_attention", "cam"), ("mlc_nc", "cam")}]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_all_classes_and_images_in_one_call_equal_one_by_one(name: str, method: str) -> None:
    model, given = own_method(name), images(3)
    together = class_maps(model, given, method=method)
    assert together.maps.shape == (3, 5, 6, 6)
    assert together.classes.tolist() == [0, 1, 2, 3, 4]
    for image in range(3):
        for index in range(5):
            alone = class_maps(model, given[image : image + 1], method=method, classes=[index])
            assert alone.classes.tolist() == [index]
            torch.testing.assert_close(alone.maps[0, 0], together.maps[image, index], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["cam", "gradcam"])
def test_networks_of_timm_give_the_same_one_by_one(method: str) -> None:
    model, given = from_timm("resnet18", num_classes=4), images(2, (64, 64))
    together = class_maps(model, given, method=method)
    for image in range(2):
        alone = class_maps(model, given[image : image + 1], method=method, classes=[2])
        torch.testing.assert_close(alone.maps[0, 0], together.maps[image, 2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["cam", "gradcam", "gradcam++"])
def test_the_model_runs_once_over_the_batch(method: str) -> None:
    model, sizes = own_method("erm", 20), []
    model.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    class_maps(model, images(6), method=method, layer="backbone")
    assert sizes == [6]
    class_maps(model, images(6), method=method)
    # Where no layer is named, gradients need a look at one image.
    assert sizes[1:] == ([6] if method == "cam" else [1, 6])


def state(model: nn.Module) -> list[object]:
    return [
        *((module.training, len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()),
        *((parameter.requires_grad, parameter.grad is None) for parameter in model.parameters()),
    ]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_model_and_caller_are_left_as_they_were(name: str, method: str) -> None:
    model = own_method(name).train()
    model.backbone.body.norm.eval()  # type: ignore[union-attr]
    next(model.parameters()).requires_grad_(False)
    before, weights = state(model), {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    class_maps(model, images(), method=method)
    assert state(model) == before
    assert all(value.equal(weights[key]) for key, value in model.state_dict().items())
    assert torch.get_rng_state().equal(random)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("layer", [None, "backbone"])
@pytest.mark.parametrize("method", ["attention", "cam", "gradcam", "smoothgradcam++"])
def test_model_is_left_as_it_was_after_an_error(method: str, layer: str | None) -> None:
    model = own_method("class_attention").train()

    def fail(module: nn.Module, args: object, output: object) -> None:
        raise KeyboardInterrupt("stop")

    handle = model.classifier.register_forward_hook(fail)  # type: ignore[union-attr]
    before = state(model)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        class_maps(model, images(), method=method, layer=layer)
    assert state(model) == before
    handle.remove()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", MAP_METHODS)
def test_callers_without_gradients_get_the_same_maps(method: str, mode: type[torch.no_grad]) -> None:
    model = own_method("erm" if method == "cam" else "class_attention")
    expected = class_maps(model, images(), method=method)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with mode():
        given = images().clone()
        found = class_maps(model, given, method=method)
        assert not torch.is_grad_enabled()
    assert not found.maps.requires_grad
    assert not found.maps.is_inference()
    torch.testing.assert_close(found.maps, expected.maps)


def test_model_made_in_inference_mode_is_refused() -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"made inside torch.inference_mode\(\).*make it outside"):
        class_maps(model, images(), method="gradcam")


def test_maps_of_many_classes_hold_one_gradient_at_a_time() -> None:
    held: list[int] = []

    class Watched(nn.Module):
        def forward(self, given: Tensor) -> Tensor:
            if given.requires_grad:
                given.register_hook(lambda gradient: held.append(gradient.numel()))
            return given

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 8, stride=8), Watched(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(16, 1000))
    found = class_maps(model, images(4), method="gradcam", layer="0")
    assert found.maps.shape == (4, 1000, 6, 6)
    assert held == [4 * 16 * 36] * 1000
    assert class_maps(model, images(4), method="cam").maps.shape == (4, 1000, 6, 6)


def test_public_name_is_the_function() -> None:
    assert nctools.class_maps is class_maps
    assert nctools.load_class_maps is nctools.features.load_class_maps


@pytest.mark.parametrize("wrapped", [nn.DataParallel, torch.optim.swa_utils.AveragedModel])
def test_wrappers_are_taken_off(wrapped: type[nn.Module]) -> None:
    model = own_method("erm")
    found = class_maps(wrapped(model), images(), method="gradcam", layer="module.backbone")
    assert found.layer == "backbone:output"
    torch.testing.assert_close(found.maps, class_maps(model, images(), method="gradcam").maps)


def test_unknown_method_and_layer_list_near_misses() -> None:
    model = own_method("erm")
    with pytest.raises(UnknownNameError, match=r"method of class maps 'grad-cam'; did you mean gradcam or"):
        class_maps(model, images(), method="grad-cam")
    with pytest.raises(UnknownNameError, match=r"unknown layer 'backbon'; did you mean backbone"):
        class_maps(model, images(), method="gradcam", layer="backbon")
    with pytest.raises(UnknownNameError, match=r"unknown layer 'backbon'; did you mean backbone"):
        class_maps(model, images(), method="cam", layer="backbon:input")


@pytest.mark.parametrize("method", ["attention", "gradcam"])
def test_classes_out_of_range_are_refused(method: str) -> None:
    model = own_method("mlc_nc")
    with pytest.raises(ValueError, match=r"class 5 is out of range: the model has 5 classes, give 0 to 4"):
        class_maps(model, images(), method=method, classes=[0, 5])
    with pytest.raises(ValueError, match="class -1 is out of range"):
        class_maps(model, images(), method=method, classes=torch.tensor([-1]))
    with pytest.raises(ValueError, match="classes is empty"):
        class_maps(model, images(), method=method, classes=[])
    with pytest.raises(TypeError, match=r"dtype torch.float32: pass a list of indices"):
        class_maps(model, images(), method=method, classes=torch.tensor([1.0]))


def test_images_that_are_no_batch_are_refused() -> None:
    model = own_method("erm")
    with pytest.raises(ValueError, match=r"images have shape \[3, 48, 48\].*one image as images\[None\]"):
        class_maps(model, images()[0], method="cam")
    with pytest.raises(ValueError, match=r"dtype torch\.uint8: .* nctools\.data\.test_transform\(Preprocessing\("):
        class_maps(model, images().byte(), method="cam")
    with pytest.raises(TypeError, match=r"images is a list: .*test_transform\(Preprocessing\("):
        class_maps(model, [images()], method="cam")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"images is a Image: .*pil_to_tensor"):
        class_maps(model, Image.new("RGB", (8, 8)), method="cam")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["attention", "gradcam"])
@pytest.mark.parametrize("names", [["cat"], "cat", [None], np.array(["cat"])], ids=["list", "text", "none", "array"])
def test_names_of_classes_are_refused_in_words(method: str, names: Sequence[int]) -> None:
    with pytest.raises(TypeError, match=r"classes are .*: classes are indices, .*data\.class_names\.index\(NAME\)"):
        class_maps(own_method("mlc_nc"), images(), method=method, classes=names)


@pytest.mark.parametrize("method", ["attention", "cam", "gradcam"])
def test_numbers_that_are_not_finite_are_named(method: str) -> None:
    model, given = own_method("erm" if method == "cam" else "mlc_nc"), images(3)
    given[1, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match="the pixels of image 1 of the batch hold nan: check"):
        class_maps(model, given, method=method)
    with torch.no_grad():
        next(iter(model.backbone.parameters())).fill_(torch.nan)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="the logits of image 0 of the batch hold nan: check the checkpoint"):
        class_maps(model, images(3), method=method)


def test_model_without_logits_or_without_a_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"logits of shape \[2, 4, 46, 46\] for 2 images: maps of classes need logits"):
        class_maps(nn.Sequential(nn.Conv2d(3, 4, 3)), images(), method="gradcam", layer="0")
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 3))
    with pytest.raises(ValueError, match=r"Sequential has no map: no module returns .* last modules are: 0, 1"):
        class_maps(flat, images(), method="gradcam")
