"""A loader over the images of another loader: each once, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from nctools.errors import ConfigError

_BATCH_SIZE: Final = 256  # where the batches of the training have no common size


def in_order(
    loader: DataLoader[Any], *, batch: Callable[[Any], tuple[Tensor, Tensor]] | None = None
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Make a loader over the same data set that shows every image once, in order, whatever the first one samples.

    Args:
        loader: Any loader; its data set (with its transform), batch size, workers and ``collate_fn`` are taken over.
        batch: Applied to each batch.

    Returns:
        The loader.

    Raises:
        ConfigError: If the data set can only be iterated, so that nobody knows when each image was shown once.

    Example:
        >>> import torch
        >>> shuffled = DataLoader([(torch.tensor(i), torch.tensor(0)) for i in range(5)], batch_size=2, shuffle=True)
        >>> [images.tolist() for images, _ in in_order(shuffled)]
        [[0, 1], [2, 3], [4]]
    """
    if isinstance(loader.dataset, IterableDataset):
        raise ConfigError(
            f"{type(loader.dataset).__name__} can only be iterated, so no loader can show each of its images once: "
            "pass a dataloader with batches (images, targets) of your own"
        )
    size = loader.batch_size
    if size is None and loader.batch_sampler is not None:
        size = getattr(loader.batch_sampler, "batch_size", None) or _BATCH_SIZE
    return DataLoader(
        loader.dataset,
        batch_size=size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn if batch is None else _Collate(loader.collate_fn, batch),
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        timeout=loader.timeout,
    )


@dataclass(frozen=True)
class _Collate:
    # A class, not a closure: workers may have to pickle it.
    collate: Callable[[Any], Any]
    batch: Callable[[Any], tuple[Tensor, Tensor]]

    def __call__(self, items: object) -> tuple[Tensor, Tensor]:
        return self.batch(self.collate(items))
