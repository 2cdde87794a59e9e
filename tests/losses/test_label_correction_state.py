"""What RLC remembers: probabilities of earlier positives, and the labels that it added in this epoch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nctools.losses import ReflectiveLabelCorrectorLoss, multi_focal_modifier_loss
from nctools.losses.label_correction import PriorKind
from tests.losses.test_label_correction import COUNTS, batches, started


def test_before_its_first_epoch_the_loss_is_zero_with_a_graph_but_it_sees_the_batch() -> None:
    logits, targets = batches(1)[0]
    loss = ReflectiveLabelCorrectorLoss(COUNTS, start_epoch=2)
    for epoch in (0, 1):
        value = loss(logits, targets, epoch=epoch)
        assert value == 0
        assert (torch.autograd.grad(value, logits)[0] == 0).all()
        assert (loss.flip_counts == 0).all()
    assert (loss.prior_counts == 2 * targets.sum(0)).all()
    assert loss(logits, targets, epoch=2) > 0


def test_without_positives_seen_the_threshold_is_the_given_one() -> None:
    logits = torch.full((2, 4), 0.9)  # p = 0.711
    loss = started()
    loss(logits, torch.zeros(2, 4), epoch=0)
    assert loss.flip_counts.tolist() == [2] * 4
    assert (loss.class_prior(logits) == 0).all()


def test_the_prior_is_the_mean_probability_of_earlier_annotated_positives() -> None:
    loss = started()
    loss(torch.tensor([[3.0, 9.0, 9.0, 9.0], [1.0, -9.0, -9.0, -9.0]]), torch.tensor([[1, 0, 0, 0]] * 2), epoch=0)
    expected = torch.sigmoid(torch.tensor([3.0, 1.0])).mean()  # 0.842
    torch.testing.assert_close(loss.class_prior(torch.zeros(1, 4))[0], expected)
    # This batch's own positives do not count for itself.
    below, above = torch.logit(expected - 0.01).item(), torch.logit(expected + 0.01).item()
    before = loss.flip_counts.clone()
    batch = torch.tensor([[below, -9, -9, -9], [above, -9, -9, -9], [9.0, -9, -9, -9]])
    loss(batch, torch.tensor([[0] * 4, [0] * 4, [1, 0, 0, 0]]), epoch=0)
    assert (loss.flip_counts - before).tolist() == [1, 0, 0, 0]


def test_a_cast_of_the_method_leaves_what_it_remembers() -> None:
    straight, cast = started(), started()
    for logits, targets in batches(4):
        loss = straight(logits, targets, epoch=0)
        assert cast.half()(logits, targets, epoch=0) == loss
    for name, values in straight.state_dict().items():
        assert (cast.state_dict()[name] == values).all()


def test_the_prior_of_the_last_epoch_forgets_those_before() -> None:
    loss = started(prior="epoch")
    (first, targets), (second, others), (third, last) = batches(3)
    loss(first, targets, epoch=0)
    assert (loss.class_prior(first) == 0).all()
    loss(second, others, epoch=1)
    loss(third, last, epoch=2)
    probabilities = torch.sigmoid(second.detach()) * others
    torch.testing.assert_close(loss.class_prior(third), probabilities.sum(0) / others.sum(0).clamp_min(1))


def test_the_order_of_images_does_not_matter() -> None:
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    straight, shuffled = started(), started()
    for logits, targets in batches(3):
        loss, other = straight(logits, targets, epoch=0), shuffled(logits[order], targets[order], epoch=0)
        torch.testing.assert_close(other, loss)
        slopes = [torch.autograd.grad(value, logits)[0] for value in (loss, other)]
        torch.testing.assert_close(slopes[1], slopes[0])
    for name, values in straight.state_dict().items():
        torch.testing.assert_close(shuffled.state_dict()[name], values)


def test_permuted_classes_change_nothing() -> None:
    classes = torch.tensor([2, 0, 3, 1])
    straight, permuted = started(), ReflectiveLabelCorrectorLoss(torch.tensor(COUNTS)[classes], start_epoch=0)
    for logits, targets in batches(3):
        other = permuted(logits[:, classes], targets[:, classes], epoch=0)
        torch.testing.assert_close(other, straight(logits, targets, epoch=0))
    assert (permuted.flip_counts == straight.flip_counts[classes]).all()


def test_counts_with_added_labels_start_anew_in_every_epoch() -> None:
    logits, targets = batches(1)[0]
    # The threshold of the batch alone: only the counts could make a difference.
    loss = started(prior="batch", threshold=0.5)
    first = loss(logits, targets, epoch=0)
    flips = loss.flip_counts.clone()
    assert flips.sum() > 0
    again = loss(logits, targets, epoch=0)
    assert again != first
    assert (loss.flip_counts == 2 * flips).all()
    assert loss(logits, targets, epoch=1) == first
    assert (loss.flip_counts == flips).all()


def test_the_head_tail_factor_counts_the_labels_of_this_batch_too() -> None:
    logits = torch.tensor([[9.0, -1.0], [9.0, -1.0]], dtype=torch.float64)
    targets = torch.zeros(2, 2)
    # Class 0 has 1 + 2 labels, and is the largest then.
    value = ReflectiveLabelCorrectorLoss([1, 2], start_epoch=0)(logits, targets, epoch=0)
    expected = multi_focal_modifier_loss(logits, torch.tensor([[1, 0], [1, 0]]), [3, 2])
    torch.testing.assert_close(value, expected)


@pytest.mark.filterwarnings("ignore:1 of 2 classes have no training positive")
def test_a_class_without_labels_counts_its_added_ones() -> None:
    logits = torch.tensor([[-1.0, 9.0], [-1.0, 9.0]], dtype=torch.float64)
    value = ReflectiveLabelCorrectorLoss([5, 0], start_epoch=0)(logits, torch.zeros(2, 2), epoch=0)
    torch.testing.assert_close(value, multi_focal_modifier_loss(logits, torch.tensor([[0, 1]] * 2), [5, 2]))


@pytest.mark.parametrize("prior", ["cumulative", "epoch"])
def test_a_training_resumed_in_the_middle_of_an_epoch_goes_on_with_the_same_loss(prior: PriorKind) -> None:
    arguments: dict[str, Any] = {"start_epoch": 1, "prior": prior, "threshold": 0.5}
    whole, half = (ReflectiveLabelCorrectorLoss(COUNTS, **arguments) for _ in range(2))
    steps = list(zip(batches(5), [0, 1, 1, 1, 2], strict=True))
    losses = [whole(logits, targets, epoch=epoch) for (logits, targets), epoch in steps]
    for (logits, targets), epoch in steps[:2]:
        half(logits, targets, epoch=epoch)
    resumed = ReflectiveLabelCorrectorLoss([1, 1, 1, 1], **arguments)
    resumed.load_state_dict(half.state_dict())
    again = [resumed(logits, targets, epoch=epoch) for (logits, targets), epoch in steps[2:]]
    assert again == losses[2:]
    # Without its state it would be another loss.
    fresh = ReflectiveLabelCorrectorLoss(COUNTS, **arguments)
    (logits, targets), epoch = steps[2]
    assert fresh(logits, targets, epoch=epoch) != losses[2]


def test_the_halves_of_two_processes_gathered_are_one_batch() -> None:
    one, first, second = started(threshold=0.5), started(threshold=0.5), started(threshold=0.5)
    for logits, targets in batches(3):
        loss = one(logits, targets, epoch=0)
        expected = torch.autograd.grad(loss, logits)[0]
        for rank, process in enumerate((first, second)):
            # The gradient of a process is that of its own images; those of the other have come as numbers.
            own, other = logits.detach()[rank::2].requires_grad_(), logits.detach()[1 - rank :: 2]
            order = torch.cat([torch.arange(6)[rank::2], torch.arange(6)[1 - rank :: 2]])
            gathered = torch.cat([own, other])[order.argsort()]
            value = process(gathered, targets, epoch=0)
            torch.testing.assert_close(value, loss, rtol=0, atol=0)
            torch.testing.assert_close(torch.autograd.grad(value, own)[0], expected[rank::2])
    for name, values in one.state_dict().items():
        torch.testing.assert_close(first.state_dict()[name], values)
        torch.testing.assert_close(second.state_dict()[name], values)
    # The halves each on their own are another loss: that is why they must be gathered.
    (logits, targets), apart = batches(1)[0], [started(threshold=0.5) for _ in range(2)]
    mean = sum(process(logits[rank::2], targets[rank::2], epoch=0) for rank, process in enumerate(apart)) / 2
    assert mean.item() != pytest.approx(started(threshold=0.5)(logits, targets, epoch=0).item(), rel=1e-6)


def test_an_evaluation_leaves_the_state_alone() -> None:
    (first, targets), (logits, others) = batches(2)
    loss = started()
    loss(first, targets, epoch=0)
    before = {name: values.clone() for name, values in loss.state_dict().items()}
    loss.eval()
    within, after = loss(logits, others, epoch=0), loss(logits, others, epoch=1)
    assert within != after  # the flips of epoch 0 are not those of epoch 1
    for name, values in loss.state_dict().items():
        assert (values == before[name]).all()
    assert loss.train()(logits, others, epoch=0) == within
