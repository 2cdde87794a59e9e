from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from nctools.errors import UnknownNameError
from nctools.features import FeatureExtractor
from nctools.features.batches import logits_of, reduce_map
from nctools.features.classifier import FoundClassifier, find_classifier
from nctools.features.unwrapping import unwrapped
from nctools.models.output import Output
from tests.features.models import Classwise, compiled, linear_model


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def assert_logits_are_linear(model: nn.Module, inputs: list[Tensor], found: FoundClassifier) -> None:
    """The statement of ``exact``, computed in another way: by the extractor and the anchors."""
    model.eval()
    with FeatureExtractor(model, found.layers) as extractor:
        features = reduce_map(extractor(*inputs)["penultimate"], found.maps)
    logits, anchors = logits_of(extractor.output), found.anchors(model)
    assert logits is not None
    assert list(anchors.weight.shape) == [found.num_outputs, found.num_features]
    bias = 0.0 if anchors.bias is None else anchors.bias
    torch.testing.assert_close(features @ anchors.weight.T + bias, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("resnet18", 32, "features: global_pool (512); classifier: fc (10 x 512)"),
        ("vit_tiny_patch16_224", 32, "features: head_drop (192); classifier: head (10 x 192)"),
        ("convnext_atto", 32, "features: head.norm (320); classifier: head.fc (10 x 320)"),
        ("efficientnet_lite0", 32, "features: global_pool (1280); classifier: classifier (10 x 1280)"),
        ("mobilenetv3_small_050", 32, "features: act2 (1024); classifier: classifier (10 x 1024)"),
        ("swin_tiny_patch4_window7_224", 56, "features: head.global_pool (768); classifier: head.fc (10 x 768)"),
        ("regnetx_002", 32, "features: head.global_pool (368); classifier: head.fc (10 x 368)"),
        ("poolformer_s12", 32, "features: head.norm (512); classifier: head.fc (10 x 512)"),
        (
            "resnetv2_50",
            32,
            "features: mean over the places of head.global_pool (2048); "
            "classifier: head.fc (1x1 convolution, 10 x 2048)",
        ),
    ],
)
def test_classifier_of_a_timm_model_is_found_exactly(name: str, size: int, expected: str) -> None:
    import_torchvision()
    timm = importlib.import_module("timm")
    sized = {"img_size": size} if name.startswith(("vit", "swin")) else {}
    model = timm.create_model(name, pretrained=False, num_classes=10, **sized)
    images = torch.randn(2, 3, size, size)
    found = find_classifier(model, [images])
    assert str(found) == expected
    assert found.exact
    assert_logits_are_linear(model, [images], found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *(
            "densenet121",
            "dla34",
            "edgenext_xx_small",
            "fastvit_t8",
            "ghostnet_100",
            "hrnet_w18_small",
            "mobilevit_xxs",
        ),
        *("mobilenetv4_conv_small", "nfnet_l0", "rexnet_100", "tf_efficientnetv2_b0", "tresnet_m", "coat_tiny"),
        *("cait_xxs24_224", "eva02_tiny_patch14_224", "maxvit_pico_rw_256", "pit_ti_224", "vit_small_patch14_dinov2"),
    ],
)
def test_classifier_of_further_families_is_found_exactly(name: str) -> None:
    import_torchvision()
    timm = importlib.import_module("timm")
    size = 56 if "patch14" in name else 64
    sized = {"img_size": size} if name.startswith(("coat", "cait", "eva", "maxvit", "pit", "vit")) else {}
    model = timm.create_model(name, pretrained=False, num_classes=10, **sized)
    images = torch.randn(2, 3, size, size)
    found = find_classifier(model, [images])
    assert found.exact
    assert found.num_outputs == 10
    assert_logits_are_linear(model, [images], found)


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "volo_d1_224"])
def test_model_that_mixes_several_heads_is_not_exact(name: str) -> None:
    import_torchvision()
    timm = importlib.import_module("timm")
    model = timm.create_model(name, pretrained=False, num_classes=10, img_size=64)
    found = find_classifier(model, [torch.randn(2, 3, 64, 64)])
    assert (found.num_outputs, found.exact) == (10, False)
    assert str(found).endswith("a layer follows it")


def test_classifier_of_squeezenet_is_its_convolution_and_not_exact() -> None:
    model = import_torchvision().models.squeezenet1_1(weights=None)
    found = find_classifier(model, [torch.randn(2, 3, 64, 64)])
    assert str(found) == (
        "features: mean over the places of features.12 (512); classifier: classifier.1 (1x1 convolution, 1000 x 512); "
        "its outputs are not what the model returns: a layer follows it"
    )
    assert (found.kind, found.maps, found.exact) == ("conv1x1", "mean", False)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_classifier_of_a_torchvision_model_is_found_exactly(name: str) -> None:
    model = getattr(import_torchvision().models, name)(weights=None)
    images = torch.randn(2, 3, 32, 32)
    found = find_classifier(model, [images])
    assert found.exact
    assert_logits_are_linear(model, [images], found)


def conv_model(*after: nn.Module) -> nn.Sequential:
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1), *after, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def test_convolutional_classifier_without_an_activation_is_exact() -> None:
    images = torch.randn(4, 3, 9, 9)
    model = conv_model()
    found = find_classifier(model, [images])
    assert str(found) == "features: mean over the places of 1 (8); classifier: 2 (1x1 convolution, 5 x 8)"
    assert found.exact
    assert_logits_are_linear(model, [images], found)
    assert not find_classifier(conv_model(nn.ReLU()), [images]).exact


class Dictionary(nn.Module):
    """Returns a mapping whose first tensor are not the logits, and calls auxiliary heads after its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(4, 6)
        self.classifier = nn.Linear(6, 3)
        self.auxiliary = nn.Linear(6, 3)

    def forward(self, images: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
        hidden = self.trunk(images * scale).relu()
        logits = self.classifier(hidden)
        return {"auxiliary": self.auxiliary(hidden), "logits": logits}


def test_outputs_that_are_returned_go_before_the_order_of_the_calls() -> None:
    model = Dictionary()
    found = find_classifier(model, [torch.randn(2, 4), 2.0])
    assert str(found) == "features: input of classifier (6); classifier: classifier (3 x 6)"
    assert found.source is None  # relu() is no module
    assert_logits_are_linear(model, [torch.randn(2, 4)], found)


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled, lambda model: nn.Sequential(compiled(model))])
def test_classifier_of_a_wrapped_model_is_found(wrap: type[nn.DataParallel[nn.Module]]) -> None:
    model = wrap(Dictionary())
    found = find_classifier(model, [torch.randn(2, 4)])
    assert found.exact
    assert found.module.rpartition(".")[2] == "classifier"
    assert_logits_are_linear(model, [torch.randn(2, 4)], found)


class Scaled(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.body = scale, linear_model()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(images) * self.scale
        return logits


def test_scaled_logits_are_not_exact() -> None:
    images = torch.randn(4, 4)
    found = find_classifier(Scaled(1.001), [images])
    assert (found.module, found.exact, found.returned) == ("body.2", False, False)
    assert str(found) == (
        "features: body.1 (6); classifier: body.2 (3 x 6); "
        "its outputs are not what the model returns: a layer follows it"
    )
    assert find_classifier(Scaled(1.0), [images]).exact


class Cosine(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(nn.functional.normalize(input), nn.functional.normalize(self.weight), self.bias)


def test_subclass_that_computes_something_else_is_not_exact() -> None:
    model = nn.Sequential(nn.Linear(4, 6), Cosine(6, 3))
    found = find_classifier(model, [torch.randn(4, 4)])
    assert (found.module, found.exact, found.returned) == ("1", False, True)
    assert str(found).endswith("; the model returns its outputs, but they are not W h + b of the features")


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "reparametrize",
    [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm],
)
def test_weight_of_a_reparametrized_classifier_is_the_effective_one(reparametrize: object) -> None:
    assert callable(reparametrize)
    model = linear_model()
    reparametrize(model[2])
    found = find_classifier(model, [torch.randn(4, 4)])
    assert (found.module, found.exact) == ("2", True)
    assert_logits_are_linear(model, [torch.randn(5, 4)], found)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.fc(images).relu())
        return logits


def test_classifier_called_several_times_is_its_last_call() -> None:
    model, images = Twice(), torch.randn(3, 4)
    found = find_classifier(model, [images])
    assert (found.layers, found.calls, found.exact) == ({"penultimate": "fc:input#last"}, 2, True)
    assert_logits_are_linear(model, [images], found)


class Overwritten(nn.Module):
    """Writes into what a module returned before the classifier reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.trunk(images).relu_())
        return logits


class Reused(nn.Module):
    """Frees what a module returned, so that the memory may serve for what the classifier reads."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        wide = images.repeat(1, 2)[:, :6].contiguous()
        address = (hidden := self.trunk(images)).data_ptr()
        del hidden
        tries = [wide * 0.5 for _ in range(8)]
        features = next((found for found in tries if found.data_ptr() == address), tries[0])
        logits: Tensor = self.fc(features)
        return logits


@pytest.mark.parametrize("make", [Overwritten, Reused])
def test_memory_with_other_contents_is_no_source(make: type[nn.Module]) -> None:
    # Several sizes and times: when freed memory is given again is the allocator's choice.
    for num_images in [20_000] * 4 + [2] * 4:
        found = find_classifier(make(), [torch.randn(num_images, 4)])
        assert (found.source, found.exact) == (None, True)


def test_inplace_activation_and_dropout_before_the_classifier() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(6, 3))
    assert find_classifier(model, [torch.randn(2, 4)]).source == "1"


@pytest.mark.parametrize("num_classes", [3, 6])
def test_model_without_logits_is_searched_for_the_number_of_classes(num_classes: int) -> None:
    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = linear_model()

        def forward(self, images: Tensor) -> str:
            self.body(images)
            return "done"

    found = find_classifier(Silent(), [torch.randn(2, 4)], num_classes=num_classes)
    assert (found.module, found.num_outputs, found.exact) == (
        f"body.{0 if num_classes == 6 else 2}",
        num_classes,
        False,
    )


def test_last_linear_is_taken_where_none_has_as_many_outputs() -> None:
    model = nn.Sequential(linear_model(), nn.ZeroPad1d(2))
    found = find_classifier(model, [torch.randn(2, 4)])
    assert (found.module, found.num_outputs, found.exact) == ("0.2", 3, False)
    assert found.anchors(model).weight.shape == (3, 6)


def test_rows_of_another_model_are_refused() -> None:
    found = find_classifier(linear_model(), [torch.randn(2, 4)])
    with pytest.raises(UnknownNameError, match=r"unknown classifier '2'"):
        found.anchors(nn.Sequential(nn.Linear(4, 3)))


def test_classwise_features_are_no_tokens() -> None:
    found = find_classifier(Classwise(4, 3, 5), [torch.randn(2, 4)])
    assert (found.module, found.source, found.num_outputs, found.exact) == ("classifier", "trunk.0", 1, False)


class TokenHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token_head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.token_head(self.embed(tokens)).amax(dim=1)
        return logits


class Tokens(nn.Module):
    """Adds to its head an auxiliary one that reads every token and runs last."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.token_head, self.head = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embed(tokens)
        hidden, _ = self.attention(hidden, hidden, hidden)
        logits: Tensor = self.head(hidden.mean(dim=1)) + 0.5 * self.token_head(hidden).amax(dim=1)
        return logits


def test_head_for_each_token_is_refused_with_the_choices() -> None:
    message = (
        r"'token_head' .* shape \[2, 5, 6\].*\":output\".*\"token_head:input\".*\"class\", \"patches\" or \"mean\""
    )
    with pytest.raises(ValueError, match=message):
        find_classifier(TokenHead(), [torch.randn(2, 5, 4)])


def test_head_for_each_image_goes_before_an_auxiliary_one_for_each_token() -> None:
    found = find_classifier(Tokens(), [torch.randn(2, 5, 4)])
    assert (found.module, found.exact) == ("head", False)


def test_model_without_a_classifier_is_refused_with_its_last_modules() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    with pytest.raises(
        ValueError, match=r"Sequential has no nn.Linear or 1x1 conv.*: 0, 1, 2; .*\[2, 36\].*\":output\""
    ):
        find_classifier(model, [torch.randn(2, 3, 5, 5)])
    with pytest.raises(ValueError, match=r"has no nn\.Linear"):  # it is not called
        find_classifier(nn.MultiheadAttention(4, 2), [torch.randn(2, 3, 4)] * 3)


def test_model_that_is_one_linear_layer() -> None:
    found = find_classifier(nn.Linear(4, 2), [torch.randn(2, 4)])
    assert str(found) == "features: input of the model itself (4); classifier: the model itself (2 x 4)"
    assert found.layers == {"penultimate": ":input"}


def test_output_object_and_half_precision() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = linear_model()

        def forward(self, images: Tensor) -> Output:
            return Output(self.body(images))

    assert find_classifier(Named(), [torch.randn(2, 4)]).exact
    images = torch.randn(4, 4, dtype=torch.bfloat16)
    assert find_classifier(Named().bfloat16(), [images]).exact
    assert not find_classifier(Scaled(1.5).bfloat16(), [images]).exact
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert find_classifier(Named(), [torch.randn(4, 4)]).exact


def test_model_is_left_as_it_was_also_after_an_error() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = linear_model()

        def forward(self, images: Tensor) -> Tensor:
            self.body(images)
            assert not torch.is_grad_enabled()
            assert not self.training
            raise KeyboardInterrupt

    model = Fails().train()
    model.body[1].eval()
    with pytest.raises(KeyboardInterrupt):
        find_classifier(model, [torch.randn(2, 4)])
    find_classifier(model.body, [torch.randn(2, 4)])
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unwrapped(model).modules())
    assert torch.is_grad_enabled()


def test_one_forward_pass_is_enough() -> None:
    passes = []
    model = linear_model()
    model.register_forward_pre_hook(lambda module, args: passes.append(args))
    find_classifier(model, [torch.randn(2, 4)])
    assert len(passes) == 1
