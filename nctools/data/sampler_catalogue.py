"""The samplers that have a name: what they draw and who builds them. Loads no torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nctools.errors import UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from nctools.data.epoch_sampler import EpochSampler


@dataclass(frozen=True)
class SamplerEntry:
    """One row of the catalogue.

    Args:
        name: What the user types.
        title: One line about it.
        builder: ``"module:class"``.
        arguments: Arguments that make the class this sampler.
        takes: Settings of ``build_sampler`` that it understands beside seed, rank and number of processes.
        needs: Which of them it cannot do without.
    """

    name: str
    title: str
    builder: str
    takes: tuple[str, ...]
    arguments: Mapping[str, float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


_PRIOR = "nctools.data.weighted_samplers:ClassPriorSampler"

SAMPLERS: dict[str, SamplerEntry] = {
    "uniform": SamplerEntry(
        name="uniform",
        title="each image once (instance-balanced)",
        builder="nctools.data.weighted_samplers:UniformSampler",
        takes=(),
    ),
    "class_aware": SamplerEntry(
        name="class_aware",
        title="cycles over shuffled classes, each drawn class gives images from a cycle of its own",
        builder="nctools.data.samplers:ClassAwareSampler",
        takes=("length", "num_samples_per_class"),
    ),
    "square_root": SamplerEntry(
        name="square_root",
        title="a class with probability ~ sqrt(n_c), then one of its images",
        builder=_PRIOR,
        takes=("length",),
        arguments={"q": 0.5},
    ),
    "class_uniform": SamplerEntry(
        name="class_uniform",
        title="a class, each with the same probability, then one of its images",
        builder=_PRIOR,
        takes=("length",),
        arguments={"q": 0.0},
    ),
    "reversed": SamplerEntry(
        name="reversed",
        title="a class with probability ~ 1 / n_c, then one of its images (BBN)",
        builder=_PRIOR,
        takes=("length",),
        arguments={"q": -1.0},
    ),
    "progressive": SamplerEntry(
        name="progressive",
        title="from the frequencies of the labels to equal classes over the epochs",
        builder="nctools.data.weighted_samplers:ProgressivelyBalancedSampler",
        takes=("length", "num_epochs"),
        needs=("num_epochs",),
    ),
}


def sampler_entry(name: str) -> SamplerEntry:
    """Return the catalogue row of a sampler.

    Args:
        name: A key of ``SAMPLERS``.

    Returns:
        Its row.

    Raises:
        UnknownNameError: If there is no such sampler; near misses are listed.

    Example:
        >>> sampler_entry("reversed").arguments
        {'q': -1.0}
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, list(SAMPLERS))
    return SAMPLERS[name]


def build_sampler(
    name: str,
    targets: Tensor | NDArray[np.generic],
    *,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    **settings: int,
) -> EpochSampler[int]:
    """Build a sampler.

    Args:
        name: A key of ``SAMPLERS``.
        targets: ``[N, C]``, 1 where the image holds the class, else 0, or -1 where that is unknown; tensor or array.
        seed: Non-negative seed.
        rank: Index of this process.
        world_size: Number of processes.
        **settings: What the sampler takes among ``length``, ``num_samples_per_class`` and ``num_epochs``;
            ``progressive`` needs the last.

    Returns:
        The sampler.

    Raises:
        UnknownNameError: If there is no such sampler, or it does not take a setting; near misses are listed.
        ValueError: If a value does not fit, or a setting that the sampler needs is missing.

    Example:
        >>> import numpy as np
        >>> sampler = build_sampler("class_uniform", np.array([[1, 0], [1, 0], [0, 1]]), length=6)
        >>> len(list(sampler))
        6
    """
    entry = sampler_entry(name)
    for key in settings:
        if key not in entry.takes:
            raise UnknownNameError(f"setting of the sampler {name}", key, [*entry.takes, "seed", "rank", "world_size"])
    for key in entry.needs:
        if key not in settings:
            raise ValueError(f"the sampler {name} needs `{key}`: build_sampler({name!r}, targets, {key}=...)")
    module, _, attribute = entry.builder.partition(":")
    chosen = getattr(importlib.import_module(module), attribute)
    built: EpochSampler[int] = chosen(
        len(targets) if name == "uniform" else targets,
        **entry.arguments,
        **settings,
        seed=seed,
        rank=rank,
        world_size=world_size,
    )
    return built
