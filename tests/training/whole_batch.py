"""What one process, or each of several, makes of the same batches: losses, gradients, statistics, class centres.

``python -m tests.training.whole_batch FOLDER RANK SIZE`` is one of several processes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

IMAGES, CLASSES = 12, 5
Found = dict[str, Tensor]


def work(rank: int, size: int) -> Found:
    """Do everything with the images of one process.

    Args:
        rank: Which takes every ``size``-th image.
        size: Number of processes; ``torch.distributed`` joins them where there are several.

    Returns:
        Tensors by name; gradients are those that the optimiser would see.
    """
    found: Found = {}
    for momentum in (0.1, None):
        found |= {f"norm {momentum}: {name}": value for name, value in _norm(momentum, rank, size).items()}
    return found | _method(rank, size)


def _norm(momentum: float | None, rank: int, size: int) -> Found:
    from nctools.training.shared_batch_norm import share_batch_norm

    torch.manual_seed(0)
    values = 3 + 5 * torch.randn(IMAGES, 3, 4, 4, dtype=torch.float64)
    factors = torch.randn_like(values)
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=momentum).double())
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    if size > 1:
        share_batch_norm(network, on_gpu=False)
    for _ in range(2):  # running statistics move twice
        mine = values[rank::size].clone().requires_grad_()
        result = network(mine)
    (result.square() * factors[rank::size]).sum().backward()
    gradients = {name: _summed(parameter.grad, size) for name, parameter in network.named_parameters()}
    state = {name: value.double() for name, value in network.state_dict().items()}
    evaluated = network.eval()(values)
    return {"value": result.detach(), "gradient": mine.grad} | gradients | state | {"eval": evaluated.detach()}


def _method(rank: int, size: int) -> Found:
    # The loss of MLC-NC, twice: in its warm-up, and with class centres of the first time.
    from nctools.methods.assembly import build
    from nctools.training.global_batch import global_batch
    from nctools.training.shared_batch_norm import share_batch_norm

    torch.manual_seed(1)
    method = build(
        "mlc_nc", num_classes=CLASSES, class_counts=[6, 5, 4, 2, 1], backbone="small", attention="multihead",
        num_features=8, num_heads=2, dropout=0.0, projection_features=4,
    ).double()  # fmt: skip
    images = torch.randn(IMAGES, 3, 24, 24, dtype=torch.float64)
    targets = (torch.rand(IMAGES, CLASSES) < 0.4).double()
    if size > 1:
        share_batch_norm(method, on_gpu=False)

    class Trained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.method = method

        def forward(self, epoch: int) -> Tensor:
            output, mine = self.method(images[rank::size]), targets[rank::size]
            losses = self.method.loss(*global_batch(output, mine), epoch=epoch)
            self.method.observe(output, mine)
            return losses["loss"]

    trained: nn.Module = Trained()
    if size > 1:
        trained = nn.parallel.DistributedDataParallel(trained, find_unused_parameters=True)
    found: Found = {}
    for epoch in (0, 9):
        trained.zero_grad()
        loss = trained(epoch)
        loss.backward()
        method.end_epoch()
        found[f"loss {epoch}"] = loss.detach()
        for name, parameter in method.named_parameters():
            if parameter.grad is not None:  # as in one process: none, not zero
                found[f"gradient {epoch}: {name}"] = parameter.grad.clone()
        found |= {f"buffer {epoch}: {name}": value.double().clone() for name, value in method.named_buffers()}
    return found


def _summed(gradient: Tensor | None, size: int) -> Tensor:
    if gradient is None:
        raise ValueError("no gradient")
    if size > 1:
        dist.all_reduce(gradient)
    return gradient


def work_together(folder: Path, rank: int, size: int) -> Found:
    """Do the work as one of several processes.

    Args:
        folder: Where all meet.
        rank: Which one this is.
        size: Number of processes.

    Returns:
        What this one found.
    """
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=size)
    try:
        return work(rank, size)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    target, number = Path(sys.argv[1]), int(sys.argv[2])
    torch.save(work_together(target, number, int(sys.argv[3])), target / f"{number}.pt")
