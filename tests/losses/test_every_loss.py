"""What all losses of the table have in common: finite everywhere, blind to order, and no side effects."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import nctools.losses
from nctools.losses import LOSSES, build
from nctools.losses.building import setting_names
from nctools.losses.catalogue import Setting
from tests.losses.cases import assert_finite_with_gradient

COUNTS, IMAGES = [7, 4, 3, 1, 2], 10
TARGETS = torch.tensor([[1, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 0, 0]])
UNKNOWN = torch.tensor([[1, 0, -1, 0, 0], [-1, 1, 0, 0, -1], [0, -1, 0, -1, 0], [-1, -1, -1, -1, -1]])
# Entries that are not annotated are what these two are about.
OF_UNKNOWN = {"p_asl", "rlc"}
# The positives of an image compete.
OF_SOFTMAX = {"pick_all_labels", "kpos"}
EVERY = list(LOSSES)
WITH_COUNTS = [name for name, entry in LOSSES.items() if "class_counts" in entry.needs]
WITH_IMAGES = [name for name, entry in LOSSES.items() if "num_images" in entry.needs]


def pairs() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    labels = (torch.rand(IMAGES, len(COUNTS), generator=generator) < 0.4).long()
    return labels.T @ labels


def built(
    name: str, counts: list[int] | None = None, cooccurrence: Tensor | None = None, **settings: Setting
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss in eval mode as a function; RLC at an epoch in which it corrects."""
    return as_function(module(name, counts, cooccurrence, **settings))


def module(
    name: str, counts: list[int] | None = None, cooccurrence: Tensor | None = None, **settings: Setting
) -> nn.Module:
    told = {"class_counts": counts or COUNTS, "cooccurrence": pairs() if cooccurrence is None else cooccurrence}
    return build(name, num_images=IMAGES, **told, **settings).eval()  # type: ignore[arg-type]


def as_function(loss: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    takes_epoch = "epoch" in inspect.signature(loss.forward).parameters
    return lambda logits, targets: loss(logits, targets, **({"epoch": 1} if takes_epoch else {}))


def logits(*, dtype: torch.dtype = torch.float32, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return scale * torch.randn(TARGETS.shape, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("name", EVERY)
def test_value_and_gradient_are_finite_for_huge_logits(name: str, size: float) -> None:
    loss = built(name)
    signs = torch.tensor([1.0, -1, -1, 1] * 5).reshape(4, 5)
    for targets in (TARGETS, UNKNOWN):
        leaf = (size * signs).requires_grad_()
        found = loss(leaf, targets)
        assert found.dtype == torch.float32
        assert_finite_with_gradient(found, leaf)


@pytest.mark.parametrize(
    "targets",
    [torch.zeros(4, 5), torch.ones(4, 5), torch.full((4, 5), -1.0), torch.eye(4, 5), torch.eye(5)[[4, 4, 4, 4]]],
    ids=["no positive", "all positive", "all unknown", "one of each", "one class"],
)
@pytest.mark.parametrize("name", EVERY)
def test_rows_and_columns_without_positives_or_negatives_are_finite(name: str, targets: Tensor) -> None:
    for scale in (1.0, 1e3):
        leaf = logits(scale=scale).requires_grad_()
        with torch.autograd.set_detect_anomaly(True, check_nan=True):
            assert_finite_with_gradient(built(name)(leaf, targets), leaf)


@pytest.mark.parametrize("name", EVERY)
def test_half_precision_is_computed_in_float32(name: str) -> None:
    given = logits().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = built(name)(given, TARGETS)
    assert found.dtype == torch.float32
    assert found == built(name)(given.float(), TARGETS)


@pytest.mark.parametrize("name", EVERY)
def test_double_precision_stays_double(name: str) -> None:
    wide = built(name)(logits(dtype=torch.float64), TARGETS)
    assert wide.dtype == torch.float64
    torch.testing.assert_close(built(name)(logits(), TARGETS), wide.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_logits_and_targets_stay_as_they_were(name: str) -> None:
    given, targets = logits(), UNKNOWN.clone()
    leaf = given.clone().requires_grad_()
    built(name)(leaf, targets).backward()
    assert (leaf.detach() == given).all()
    assert (targets == UNKNOWN).all()


@pytest.mark.parametrize("targets", [TARGETS, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_images_does_not_matter(name: str, targets: Tensor) -> None:
    order = torch.tensor([2, 0, 3, 1])
    first, second = (logits(dtype=torch.float64).requires_grad_() for _ in range(2))
    loss, shuffled = built(name)(first, targets), built(name)(second[order], targets[order])
    torch.testing.assert_close(shuffled, loss)
    (expected,), (found,) = torch.autograd.grad(loss, first), torch.autograd.grad(shuffled, second)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("targets", [TARGETS, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_classes_does_not_matter(name: str, targets: Tensor) -> None:
    order = torch.tensor([4, 2, 0, 1, 3])
    first, second = (logits(dtype=torch.float64).requires_grad_() for _ in range(2))
    loss = built(name)(first, targets)
    other = built(name, [COUNTS[k] for k in order], pairs()[order][:, order])
    shuffled = other(second[:, order], targets[:, order])
    torch.testing.assert_close(shuffled, loss)
    (expected,), (found,) = torch.autograd.grad(loss, first), torch.autograd.grad(shuffled, second)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in OF_UNKNOWN])
def test_unknown_entries_pass_no_gradient(name: str) -> None:
    leaf = logits(dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(built(name)(leaf, UNKNOWN), leaf)
    assert (gradient[UNKNOWN == -1] == 0).all()
    assert (gradient[UNKNOWN == 1] < 0).all()


@pytest.mark.parametrize("name", [name for name in EVERY if name not in OF_SOFTMAX])
def test_gradients_push_positives_up_and_negatives_down(name: str) -> None:
    # Logits near 0: far out some losses let go, which is what they are for.
    leaf = logits(scale=0.1).requires_grad_()
    (gradient,) = torch.autograd.grad(built(name)(leaf, TARGETS), leaf)
    assert (gradient[TARGETS == 1] < 0).all()
    assert (gradient[TARGETS == 0] >= 0).all()
    assert (gradient[TARGETS == 0] > 0).any()


@pytest.mark.parametrize("name", [name for name in EVERY if "reduction" in setting_names(name)])
def test_reductions_divide_the_same_entries(name: str) -> None:
    entries, total = (built(name, reduction=kind)(logits(), TARGETS) for kind in ("none", "sum"))
    torch.testing.assert_close(entries.sum(), total)
    batchmean, mean = (built(name, reduction=kind)(logits(), TARGETS) for kind in ("batchmean", "mean"))
    torch.testing.assert_close(batchmean, total / 4)
    # A softmax loss has one entry for each image.
    torch.testing.assert_close(mean, total / entries.numel())


@pytest.mark.parametrize("name", [name for name in EVERY if name != "rlc"])
def test_function_and_module_agree(name: str) -> None:
    function = getattr(nctools.losses, LOSSES[name].function)
    told: dict[str, object] = {"class_counts": COUNTS, "num_images": IMAGES, "cooccurrence": pairs()}
    given = {key: told[key] for key in LOSSES[name].needs}
    found = function(logits(), TARGETS, **given, **LOSSES[name].settings)
    torch.testing.assert_close(built(name)(logits(), TARGETS), found)


@pytest.mark.parametrize("name", EVERY)
def test_the_state_dict_holds_what_the_counts_gave(name: str) -> None:
    saved = module(name)
    # As a checkpoint is read: other counts are replaced by the weights, and pair counts are not at hand.
    other = module(name, [1, 2, 3, 4, 5], torch.zeros(5, 5, dtype=torch.long))
    other.load_state_dict(saved.state_dict())
    torch.testing.assert_close(as_function(other)(logits(), TARGETS), as_function(saved)(logits(), TARGETS))


@pytest.mark.parametrize("name", EVERY)
def test_a_copy_is_the_same_loss(name: str) -> None:
    loss = module(name)
    assert as_function(copy.deepcopy(loss))(logits(), TARGETS) == as_function(loss)(logits(), TARGETS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", EVERY)
def test_a_cast_of_the_method_leaves_the_loss(name: str, dtype: torch.dtype) -> None:
    # A cast of the method is one of the buffers of the loss too.
    given = logits(dtype=torch.float64)
    assert as_function(module(name).to(dtype))(given, TARGETS) == built(name)(given, TARGETS)


@pytest.mark.parametrize("name", EVERY)
def test_no_buffer_is_float64_which_not_all_devices_have(name: str) -> None:
    assert torch.float64 not in {values.dtype for values in module(name).state_dict().values()}


@pytest.mark.parametrize("name", [name for name in EVERY if name != "rlc"])  # it asks for the epoch that it is in
def test_shapes_follow_on_a_device_without_values_and_autocast(name: str) -> None:
    loss = as_function(module(name).to("meta"))
    assert loss(logits().to("meta"), TARGETS.bool().to("meta")).shape == ()


@pytest.mark.parametrize("name", EVERY)
def test_a_loss_is_shown_on_a_device_without_values_without_numbers_of_the_counts(name: str) -> None:
    assert ("?" in repr(module(name).to("meta"))) == (name in WITH_COUNTS and name != "rlc")  # rlc shows its choices


@pytest.mark.parametrize("name", EVERY)
def test_a_batch_of_one_image_and_one_class_is_finite(name: str) -> None:
    loss = built(name, [3], torch.tensor([[3]]))
    for target in (1, 0, -1):
        leaf = torch.tensor([[0.5]], requires_grad=True)
        assert_finite_with_gradient(loss(leaf, torch.tensor([[target]])), leaf)


@pytest.mark.parametrize("name", EVERY)
def test_bool_and_number_targets_agree(name: str) -> None:
    loss = built(name)
    assert loss(logits(), TARGETS) == loss(logits(), TARGETS.bool()) == loss(logits(), TARGETS.float())


@pytest.mark.parametrize("name", EVERY)
def test_ordinary_counts_warn_of_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built(name)(logits(), TARGETS)


@pytest.mark.parametrize("name", WITH_COUNTS)
def test_empty_classes_warn_once_and_stay_finite(name: str) -> None:
    empty = pairs().clone()
    empty[2] = empty[:, 2] = 0
    with pytest.warns(UserWarning, match=r"1 of 5 classes have no training positive \(the first is class 2\)") as seen:
        loss = built(name, [7, 4, 0, 1, 2], empty)
    assert len(seen) == 1
    for targets in (TARGETS, UNKNOWN):  # warnings are errors here: told once, when it is built
        leaf = logits().requires_grad_()
        assert_finite_with_gradient(loss(leaf, targets), leaf)


@pytest.mark.parametrize("name", WITH_COUNTS)
def test_a_class_in_every_image_is_finite(name: str) -> None:
    loss = built(name, [IMAGES, 4, 3, 1, 2])
    for scale in (1.0, 1e4):
        leaf = logits(scale=scale).requires_grad_()
        assert_finite_with_gradient(loss(leaf, TARGETS), leaf)


@pytest.mark.parametrize("name", WITH_COUNTS)
def test_counts_that_cannot_be_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"`class_counts\[3\]` is -1"):
        built(name, [7, 4, 3, -1, 2])
    with pytest.raises(ValueError, match=r"has 4 classes but `logits` has shape \[4, 5\]"):
        built(name, COUNTS[:4], pairs()[:4, :4])(logits(), TARGETS)


@pytest.mark.parametrize("name", WITH_IMAGES)
def test_counts_above_the_number_of_images_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"`class_counts\[0\]` is 11 but `num_images` is 10"):
        built(name, [11, 4, 3, 1, 2])


@pytest.mark.parametrize("number", [0, 10.5, float("nan")])
@pytest.mark.parametrize("name", WITH_IMAGES)
def test_a_number_of_images_that_cannot_be_is_named(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=f"`num_images` is {number}: pass the number of training images"):
        build(name, class_counts=[1], num_images=number)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in EVERY if "reduction" in setting_names(name)])
def test_a_wrong_reduction_is_named_when_the_loss_is_built(name: str) -> None:
    with pytest.raises(ValueError, match="`reduction` is 'average': pass one of 'mean', 'sum', 'batchmean', 'none'"):
        built(name, reduction="average")


@pytest.mark.parametrize("name", EVERY)
def test_what_is_no_tensor_is_named(name: str) -> None:
    with pytest.raises(TypeError, match=r"`targets` is of type ndarray: pass a tensor, .* torch\.as_tensor\(targets\)"):
        built(name)(logits(), TARGETS.numpy())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`logits` is of type list"):
        built(name)(logits().tolist(), TARGETS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EVERY)
def test_wrong_targets_are_named(name: str) -> None:
    soft = TARGETS.float()
    soft[1, 2] = 0.5
    with pytest.raises(ValueError, match=r"`targets\[1, 2\]` is 0\.5"):
        built(name)(logits(), soft)
    with pytest.raises(ValueError, match=r"`targets` has shape \[4, 4\] but `logits` has shape \[4, 5\]"):
        built(name)(logits(), TARGETS[:, :4])
    with pytest.raises(TypeError, match=r"`logits` has dtype torch\.int64"):
        built(name)(TARGETS, TARGETS)
