from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from nctools.models import ClassCentres
from nctools.models.class_centres import CentreMode
from tests.reference.models import class_means

CLASSES, WIDTH = 4, 3
Batch = tuple[Tensor, Tensor]


def make_batches(count: int, seed: int = 0, images: int = 6) -> list[Batch]:
    """Class 3 never has a positive."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(count):
        projected = F.normalize(torch.randn(images, CLASSES, WIDTH, generator=generator), dim=2)
        targets = (torch.rand(images, CLASSES, generator=generator) < 0.4).float()
        targets[:, 3] = 0
        batches.append((projected, targets))
    return batches


def assert_centres(centres: ClassCentres, expected: dict[int, Tensor]) -> None:
    assert centres.seen.tolist() == [c in expected for c in range(CLASSES)]
    for c in range(CLASSES):
        mean = expected.get(c, torch.zeros(WIDTH, dtype=torch.float64))
        torch.testing.assert_close(centres.centres[c].double(), mean, rtol=1e-6, atol=1e-7)


@given(st.integers(0, 1000), st.integers(1, 3))
def test_centres_of_an_epoch_are_the_means_of_its_positives(seed: int, count: int) -> None:
    centres = ClassCentres(CLASSES, WIDTH)
    first, second = make_batches(count, seed), make_batches(count, seed + 1)
    known: dict[int, Tensor] = {}
    for batches in (first, second):
        for projected, targets in batches:
            centres.update(projected, targets)
        assert_centres(centres, known)  # unchanged until the epoch ends
        centres.end_epoch()
        # A class without a positive in this epoch keeps its earlier centre.
        known = known | class_means(batches, CLASSES)
        assert_centres(centres, known)


@given(st.integers(0, 1000))
def test_running_centres_are_the_means_since_the_start(seed: int) -> None:
    centres, batches = ClassCentres(CLASSES, WIDTH, mode="running"), make_batches(4, seed)
    for last in range(0, 4, 2):
        for projected, targets in batches[last : last + 2]:
            centres.update(projected, targets)
        centres.end_epoch()
        assert_centres(centres, class_means(batches[: last + 2], CLASSES))


def test_class_not_seen_again_keeps_its_centre() -> None:
    centres = ClassCentres(2, WIDTH)
    centres.update(torch.ones(1, 2, WIDTH), torch.tensor([[1, 1]]))
    centres.end_epoch()
    centres.update(-torch.ones(1, 2, WIDTH), torch.tensor([[1, 0]]))
    centres.end_epoch()
    assert centres.centres[:, 0].tolist() == [-1, 1]
    assert centres.seen.all()


@pytest.mark.parametrize("mode", ["epoch", "running"])
def test_state_saved_in_the_middle_of_an_epoch_restores_exactly(mode: CentreMode, tmp_path: Path) -> None:
    batches = make_batches(6)
    whole, before = ClassCentres(CLASSES, WIDTH, mode), ClassCentres(CLASSES, WIDTH, mode)
    for k, batch in enumerate(batches):
        whole.update(*batch)
        if k < 4:
            before.update(*batch)
        if k == 2:
            whole.end_epoch()
            before.end_epoch()
    torch.save(before.state_dict(), tmp_path / "centres.pt")
    after = ClassCentres(CLASSES, WIDTH, mode)
    after.load_state_dict(torch.load(tmp_path / "centres.pt", weights_only=True))
    for batch in batches[4:]:
        after.update(*batch)
    for centres in (whole, after):
        centres.end_epoch()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name


def test_update_leaves_no_graph_and_ignores_negatives() -> None:
    centres = ClassCentres(2, WIDTH)
    projected = torch.ones(1, 2, WIDTH, requires_grad=True) * torch.tensor([1.0, torch.nan]).reshape(1, 2, 1)
    with torch.autocast("cpu", torch.bfloat16):
        centres.update(projected, torch.tensor([[1, 0]]))
    assert not centres.sums.requires_grad
    assert centres.sums.tolist() == [[1.0] * WIDTH, [0.0] * WIDTH]


def test_wrong_arguments_are_named() -> None:
    centres = ClassCentres(4, 3)
    with pytest.raises(ValueError, match=r"`projected` has shape \[2, 4, 5\] but the centres have shape \[4, 3\]"):
        centres.update(torch.zeros(2, 4, 5), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"`targets` has shape \[2, 5\] but `projected` has shape \[2, 4, 3\]"):
        centres.update(torch.zeros(2, 4, 3), torch.zeros(2, 5))
    with pytest.raises(ValueError, match="`mode` is 'batch'"):
        ClassCentres(4, 3, mode="batch")  # type: ignore[arg-type]


class WithCentres(nn.Module):
    """A network beside class centres, as a method has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.centres = ClassCentres(CLASSES, WIDTH)
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.layer(features)
        return output


def run_rank(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    # Every forward pass of it copies the buffers of rank 0 to the others.
    model = nn.parallel.DistributedDataParallel(WithCentres())
    for projected, targets in make_batches(4):
        half = slice(rank * 2, 2 if rank == 0 else None)  # unequal shares
        model.module.centres.update(model(projected[half]), targets[half])
    torch.save(model.module.centres.state_dict(), f"{folder}/middle{rank}.pt")
    model.module.centres.end_epoch()
    torch.save(model.module.centres.state_dict(), f"{folder}/end{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_equal_one_in_the_middle_and_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    single = ClassCentres(CLASSES, WIDTH)
    for batch in make_batches(4):
        single.update(*batch)
    for moment in ("middle", "end"):
        if moment == "end":
            single.end_epoch()
        for rank in range(2):
            torch.testing.assert_close(torch.load(tmp_path / f"{moment}{rank}.pt"), dict(single.state_dict()))
