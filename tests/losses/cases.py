"""Random multi-label problems for the loss tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """Sizes, a seed and the share of positives, from none to all."""

    images: int
    classes: int
    width: int
    density: float
    seed: int

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def targets(self) -> Tensor:
        return (torch.rand(self.images, self.classes, generator=self.generator()) < self.density).to(torch.int64)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Float64 leaf; differs from shape to shape and from the targets."""
        generator = torch.Generator().manual_seed(self.seed + 1 + sum(shape))
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).requires_grad_()


problems = st.builds(
    Problem,
    images=st.integers(1, 5),
    classes=st.integers(2, 5),
    width=st.integers(1, 6),
    density=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    seed=st.integers(0, 10_000),
)


def assert_same_value_and_gradient(ours: Tensor, reference: Tensor, inputs: list[Tensor]) -> None:
    """Compare two scalars of the same float64 leaves, and their gradients."""
    torch.testing.assert_close(ours, reference, rtol=1e-8, atol=1e-8)
    expected = torch.autograd.grad(reference, inputs, allow_unused=True) if reference.requires_grad else None
    found = torch.autograd.grad(ours, inputs)
    for k, gradient in enumerate(found):
        wanted = None if expected is None else expected[k]
        torch.testing.assert_close(
            gradient, torch.zeros_like(gradient) if wanted is None else wanted, rtol=1e-7, atol=1e-8
        )


def assert_finite_with_gradient(loss: Tensor, *inputs: Tensor) -> None:
    assert torch.isfinite(loss).all()
    for gradient in torch.autograd.grad(loss.sum(), inputs):
        assert torch.isfinite(gradient).all()


def counts_of(problem: Problem) -> list[int]:
    """Class counts from 1 to some hundreds, another set for each problem."""
    values = problem.normal(problem.classes, scale=1.5).detach().exp()
    return (1 + 9 * values).long().tolist()


def partly_unknown(problem: Problem) -> Tensor:
    """Targets of a problem, some of them -1."""
    known = problem.normal(problem.images, problem.classes, 1)[..., 0] > -1
    return problem.targets().where(known, -1)


def assert_exactly_the_reference(ours: Tensor, reference: Tensor, logits: Tensor) -> None:
    """Compare two losses of the same float64 logits to 1e-10: values, and the gradients of their sums."""
    torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-10)
    (found,) = torch.autograd.grad(ours.sum(), logits, retain_graph=True)
    (wanted,) = torch.autograd.grad(reference.sum(), logits, retain_graph=True)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
