"""What the constants of the distribution-balanced loss come to on the training labels, in words."""

from __future__ import annotations

from torch import Tensor

from nctools.losses.distribution_balanced import DistributionBalancedLoss
from nctools.losses.rebalancing import weight_summary
from nctools.methods.recipe import Recipe


def balance_notes(loss: DistributionBalancedLoss, recipe: Recipe, targets: Tensor) -> list[str]:
    """Tell what weights and shift come to, and whether the sampler is the one that the weights correct.

    Args:
        loss: The loss.
        recipe: How the method is trained.
        targets: ``[N, C]`` training labels.

    Returns:
        Lines of text; without weights (NT-BCE) about the shift alone.
    """
    nu = loss.tolerance()
    shift = f"nu of the classes from {nu.min():.4f} to {nu.max():.4f}"
    if not loss.rebalance:
        return [shift]
    weights = weight_summary(targets, loss.class_counts.cpu(), alpha=loss.alpha, beta=loss.beta, mu=loss.mu)
    told = (
        f"weights of the training labels from {weights.smallest:.3f} to {weights.largest:.3f}, "
        f"{weights.of_positives:.3f} on average for positives and {weights.of_negatives:.3f} for negatives; {shift}"
    )
    if recipe.sampler == "class_aware":
        return [told]
    return [
        told,
        f"the sampler is {recipe.sampler}, but the weights of this loss correct class-aware sampling, and without "
        "it they put the classes off balance: take --set recipe.sampler=class_aware, or another loss",
    ]
