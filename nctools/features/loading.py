"""Loads the batches of a dataloader that are still needed, and names the images that cannot be loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nctools.errors import DatasetError
from nctools.features.batch_order import (
    ONCE,
    Indices,
    check_num_images,
    check_permutation,
    expected_images,
    known_batches,
)

ITERATED = "iterated"
# What an error has that a worker reports, and what comes out where a worker has died while it handed a batch over.
_ORIGINAL = "Original Traceback"
_CUT_OFF = (ConnectionError, EOFError, FileNotFoundError)


class LoadedBatch(NamedTuple):
    """One batch and where it belongs."""

    number: int
    start: int
    images: Tensor
    targets: Tensor


class _Listed:
    """A batch sampler over batches that are known."""

    def __init__(self, batches: Sequence[Indices]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class BatchOrder:
    """The batches of a dataloader.

    Those of a plain ``DataLoader`` over a map-style data set are known beforehand, so that any of them can be loaded
    without the others. Anything else is gone through from its beginning, once.

    Args:
        dataloader: Gives pairs of images and targets.
        ids: One id per image in the order of the dataloader, or None.

    Attributes:
        expected: Number of images, or None if it is not known.
        batches: Indices into the data set, batch by batch; None if they are not known.

    Raises:
        ValueError: If the dataloader does not give every image of its data set once, or shuffles though there are ids.
    """

    def __init__(self, dataloader: Iterable[object], ids: Sequence[str] | None) -> None:
        self._loader, self._ids = dataloader, ids
        self.expected = expected_images(dataloader, ids)
        self.batches = None if self.expected is None else known_batches(dataloader, self.expected)
        if self.batches is not None and self.expected is not None:
            check_permutation(self.batches, self.expected)
        self.lengths = None if self.batches is None else [len(batch) for batch in self.batches]
        self._starts = [0] if self.lengths is None else [0, *np.cumsum(self.lengths).tolist()]
        self._stream: Iterator[object] | None = None
        self._awaited = 0
        self._running: object = None
        self._digest = hashlib.sha256()

    @property
    def hash(self) -> str:
        """SHA-256 of the indices in their order, or ``"iterated"``."""
        if self.batches is None:
            return ITERATED
        return hashlib.sha256(np.concatenate(self.batches).tobytes()).hexdigest()

    @property
    def batch_size(self) -> str | None:
        """Number of images in a batch, or the SHA-256 of uneven ones; None if the batches are not known."""
        if self.lengths is None:
            return None
        size = self.lengths[0]
        even = all(length == size for length in self.lengths[:-1]) and self.lengths[-1] <= size
        return str(size) if even else "uneven " + hashlib.sha256(repr(self.lengths).encode()).hexdigest()

    @property
    def seen(self) -> str:
        """SHA-256 of the targets that a pass over unknown batches gave, to hold ranks against each other."""
        return self._digest.hexdigest()

    def longest(self) -> int:
        """Count the images of the longest batch, or of the first where the batches are not known.

        Returns:
            Their number.

        Raises:
            ValueError: If there is no batch.
        """
        if self.lengths is not None:
            return max(self.lengths)
        stream = self._opened()
        first = self._next(stream)
        if first is None:
            check_num_images(0, self.expected, self._ids)
        self._stream = chain([first], stream)
        return max(1, len(_pair(first)[1]))

    def sample(self, most: int = 2) -> Tensor:
        """Load the first images, for a trial pass; they come again in ``load``.

        Args:
            most: Number of images, if there are so many.

        Returns:
            Images ``[b, ...]`` as the dataloader gives them.

        Raises:
            DatasetError: If they cannot be loaded.
            ValueError: If there is no batch.
        """
        if self.batches is None or not isinstance(self._loader, DataLoader):
            self.longest()  # looks at the first batch, and keeps it
            stream = self._opened()
            first = next(stream)
            self._stream = chain([first], stream)
            return _pair(first)[0][:most]
        # In this process: workers would be started for two images.
        few = DataLoader(
            self._loader.dataset,
            batch_sampler=_Listed([self.batches[0][:most]]),
            collate_fn=self._loader.collate_fn,
            generator=torch.Generator(),
        )
        return _pair(self._next(iter(few)))[0]

    def load(self, numbers: Iterable[int] | None = None) -> Iterator[LoadedBatch]:
        """Load batches.

        Args:
            numbers: Which, in rising order; None is all. Where the batches are not known all are loaded.

        Yields:
            The batches. Only when the last is asked for one more is the number of images checked.

        Raises:
            DatasetError: If the data set raises an error; names the image.
            ValueError: If there are more or fewer images than expected.
        """
        if self.batches is not None:
            yield from self._load_known(list(range(len(self.batches)) if numbers is None else numbers))
            return
        stream, start, number = self._opened(), 0, 0
        while (batch := self._next(stream)) is not None:
            images, targets = _pair(batch)
            self._digest.update(f"{targets.dtype} {list(targets.shape)}".encode() + targets.cpu().numpy().tobytes())
            yield LoadedBatch(number, start, images, targets)
            start, number = start + len(targets), number + 1
            self._awaited = number
        check_num_images(start, self.expected, self._ids)

    @contextmanager
    def naming_lost_workers(self) -> Iterator[None]:
        """Turn the message that a worker died, which comes out at any place, into one that names the images.

        Yields:
            Nothing.

        Raises:
            DatasetError: If a worker of the dataloader died.
            RuntimeError: Any other, as it came.
        """
        try:
            yield
        except RuntimeError as error:
            if not _lost_worker(error):
                raise
            raise self._lost(error) from error

    @contextmanager
    def closing_workers(self) -> Iterator[None]:
        """End the workers at the end of the block, also after an error.

        While torch knows of a dead worker it raises its message wherever the main process happens to be.

        Yields:
            Nothing.

        Raises:
            RuntimeError: If ending them failed for another reason.
        """
        try:
            yield
        finally:
            running, self._running = self._running, None
            try:
                getattr(running, "_shutdown_workers", lambda: None)()
            except RuntimeError as error:  # the same message, and the workers are ended all the same
                if not _lost_worker(error):
                    raise

    def _load_known(self, numbers: Sequence[int]) -> Iterator[LoadedBatch]:
        if not numbers or self.batches is None or not isinstance(self._loader, DataLoader):
            return
        stream = self._running = iter(_rebuilt(self._loader, [self.batches[number] for number in numbers]))
        for number in numbers:
            self._awaited = number
            batch = self._next(stream)
            found = 0 if batch is None else len(_pair(batch)[1])
            if found != len(self.batches[number]):
                raise ValueError(
                    f"the dataloader gave {found} images for {self._describe(number)}, "
                    f"which has {len(self.batches[number])}: {ONCE}"
                )
            yield LoadedBatch(number, self._starts[number], *_pair(batch))

    def _opened(self) -> Iterator[object]:
        stream, self._stream = self._stream, None
        if stream is not None:
            return stream
        stream = iter(self._loader)
        # Persistent workers belong to the loader, which would wait for them the next time.
        self._running = None if getattr(self._loader, "persistent_workers", False) else stream
        return stream

    def _next(self, stream: Iterator[object]) -> object:
        if not isinstance(self._loader, DataLoader):
            return next(stream, None)
        try:
            return next(stream, None)
        except Exception as error:
            if _lost_worker(error):
                raise  # named outside, where it also comes out
            if self._loader.num_workers and isinstance(error, _CUT_OFF) and _ORIGINAL not in str(error):
                raise self._lost(error) from error
            raise self._named(self._loader.dataset, error) from error

    def _lost(self, error: Exception) -> DatasetError:
        return DatasetError(
            f"a worker of the dataloader died while {self._describe(self._awaited)} was awaited "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): it may have run out of memory; "
            "use fewer workers (num_workers=...) or smaller batches, or look at the images that come next"
        )

    def _named(self, dataset: Any, error: Exception) -> DatasetError:
        place = self._describe(self._awaited)
        if self.batches is not None and not str(error).startswith("DataLoader timed out"):
            for row, index in enumerate(self.batches[self._awaited].tolist()):
                try:
                    dataset[index]
                except Exception as again:
                    if _lost_worker(again):  # this message comes out anywhere
                        raise
                    place, error = f"image {self._name(self._awaited, row)} (in batch {self._awaited})", again
                    break
        message = f"{type(error).__name__}: {error}".strip()
        if _ORIGINAL in message:  # of a worker, and the image could be loaded now
            message = message.splitlines()[-1]
        return DatasetError(
            f"{place} cannot be loaded ({message}): mend the image or the transform, or leave it out (in Python with "
            "a torch.utils.data.Subset). nctools data validate PATH lists all such images of your own data"
        )

    def _describe(self, number: int) -> str:
        if self.batches is None:
            return f"batch {number}"
        return f"batch {number} (images {self._name(number, 0)} to {self._name(number, -1)})"

    def _name(self, number: int, row: int) -> str:
        # By its id, else by its index in the data set.
        if self.batches is None:
            return str(row)
        position = range(self._starts[number], self._starts[number + 1])[row]
        return str(int(self.batches[number][row])) if self._ids is None else repr(self._ids[position])


def _lost_worker(error: Exception) -> bool:
    # An error that a worker reports before it goes on has "in DataLoader worker process 1".
    return "DataLoader worker (pid" in str(error)


def _pair(batch: object) -> tuple[Tensor, Tensor]:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)):
        parts = [type(part).__name__ for part in batch] if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise TypeError(f"the dataloader gave {parts}: each batch must be a pair of tensors (images, targets)")
    images, targets = batch
    if len(images) != len(targets):
        raise ValueError(f"a batch has {len(images)} images but {len(targets)} targets: give one target per image")
    return images, targets


def _rebuilt(loader: DataLoader[object], batches: Sequence[Indices]) -> DataLoader[object]:
    return DataLoader(
        loader.dataset,
        batch_sampler=_Listed(batches),
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
    )
