"""How a method is trained: optimiser, schedule, epochs, batch, sampler, EMA, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

# The rows of nctools.data.sampler_catalogue.
SamplerName = Literal["uniform", "class_aware", "square_root", "class_uniform", "reversed", "progressive"]
EpochLength = Literal["images", "balanced"]
# Lightning's names: float32; autocast to bfloat16 or, on a GPU, to float16 with a scaled loss.
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Recipe:
    """Plain values of one training run: Adam with a one-cycle schedule.

    Args:
        epochs: Passes of the sampler.
        batch_size: Images per step, of all processes and all accumulated parts together.
        max_lr: Peak learning rate of the one-cycle schedule.
        pct_start: Share of the steps in which the learning rate rises.
        weight_decay: L2 penalty, on weights with more than one dimension only.
        sampler: ``"uniform"`` (each image once), ``"class_aware"`` (each class equally often), or another name of
            ``nctools.data.SAMPLERS``.
        epoch_length: Draws of the sampler in an epoch: ``"images"``, the number of training images, or ``"balanced"``,
            ``floor(n_max C / sampler_reduce)``, as in MLC-NC's code. Uniform sampling takes each image once.
        ema_decay: Decay of the averaged weights that are kept beside the raw ones; None keeps none.
        gradient_clip: Largest norm of the gradient; None does not clip.
        num_samples_per_class: Images of a class each time the class-aware sampler draws it.
        sampler_reduce: Divides the ``"balanced"`` length of an epoch.
        precision: Lightning's name: ``"32-true"``, ``"bf16-mixed"`` or ``"16-mixed"``, which a CPU computes in float32.
    """

    epochs: int = 100
    batch_size: int = 64
    max_lr: float = 1e-4
    pct_start: float = 0.2
    weight_decay: float = 1e-4
    sampler: SamplerName = "uniform"
    epoch_length: EpochLength = "images"
    ema_decay: float | None = 0.9997
    gradient_clip: float | None = None
    num_samples_per_class: int = 1
    sampler_reduce: int = 1
    precision: Precision = "32-true"


# The embedded data: 60 epochs of about 1,400 images train the small backbone in about a minute. The decay of the
# average is shorter than the paper's because a run has 2,600 steps, not 20,000 and more. Clipping raised the validation
# mAP of MLC-NC and of the control at this learning rate (docs/results.md).
DIGITS_LT = Recipe(epochs=60, batch_size=32, max_lr=3e-3, ema_decay=0.998, gradient_clip=1.0)

# Sets of photographs that the recipe of MLC-NC was published for, and those of their kind.
LONG_TAILED = ("voc_lt", "coco_lt", "vg200", "plt_voc", "plt_coco")
WHOLE = ("voc", "coco")
PHOTOGRAPH_SETS = (*LONG_TAILED, *WHOLE)
# Paper and released script; the mixed precision is theirs too.
PHOTOGRAPHS = Recipe(precision="16-mixed")


def on_photographs(recipe: Recipe) -> dict[str, Recipe]:
    """Give the recipes of the sets of photographs.

    Args:
        recipe: That of the long-tailed sets.

    Returns:
        Recipe by name of the data set. The whole sets have epochs of as many draws as they have images: the balanced
        length (classes times images of the largest) would be 8 (VOC) and 43 (COCO) passes over sets that are large.
    """
    whole = replace(recipe, epoch_length="images")
    return dict.fromkeys(LONG_TAILED, recipe) | dict.fromkeys(WHOLE, whole)
