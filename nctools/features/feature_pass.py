"""One pass of a model over batches, written to a feature file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from nctools.features.batches import BatchReader, MapChoice
from nctools.features.compression import Compression
from nctools.features.description import checked_groups, settled_anchors
from nctools.features.hooks import FeatureExtractor
from nctools.features.inference import Autocast, read_batch, ready_model
from nctools.features.loading import BatchOrder, LoadedBatch
from nctools.features.parts_folder import PartsFolder
from nctools.features.progress import image_progress
from nctools.features.shards import run_lengths
from nctools.features.writer import FeatureWriter
from nctools.models.output import Anchors

Advance = Callable[[int], None]


@dataclass
class FeaturePass:
    """A model, its data, and what is the same for all feature files that are written of them.

    Args:
        model: Any module.
        order: The batches.
        extractor: Its hooks go on the model in ``running``.
        reader: Checks features and labels.
        device: Where to run.
        autocast: Half type of the forward pass, or None.
        channels_last: Lay model and images out for ``torch.channels_last``.
        facts: What the features are made from, for the manifest.
        metadata: Description of the file, as far as it is known before the first batch.
        class_names: One name per class, or None.
        groups: Group name -> class indices, or None.
        anchors: Layer name -> rows, or None for those of the classifiers.
        maps: What is made of convolutional maps.
        compression: Of the features.
    """

    model: nn.Module
    order: BatchOrder
    extractor: FeatureExtractor
    reader: BatchReader
    device: torch.device
    autocast: Autocast | None
    channels_last: bool
    facts: dict[str, object]
    metadata: dict[str, object]
    class_names: Sequence[str] | None
    groups: Mapping[str, Sequence[int]] | None
    anchors: Mapping[str, Anchors] | None
    maps: MapChoice
    compression: Compression | None

    @contextmanager
    def running(self, parts: PartsFolder, total: int | None, progress: bool) -> Iterator[Advance]:
        """Make the model ready and show progress.

        Args:
            parts: Knows what to say about a full disk.
            total: Number of images.
            progress: Show it.

        Yields:
            A function to be called with the number of images that were just done.
        """
        with (
            parts.naming_full_disk(),
            self.order.naming_lost_workers(),
            ready_model(self.model, self.device, channels_last=self.channels_last),
            self.extractor,
            image_progress(total, enabled=progress) as advance,
            self.order.closing_workers(),
        ):
            yield advance

    def write(self, path: Path, batches: Iterable[LoadedBatch], advance: Advance) -> None:
        """Write a feature file of some batches.

        Args:
            path: The file to make.
            batches: At least one.
            advance: Is told the number of images.
        """
        lengths: list[int] = []
        anchors: Mapping[str, Anchors] = {}
        metadata = dict(self.metadata)
        with FeatureWriter(path, self.compression) as writer:
            for batch in batches:
                self.reader.num_images = batch.start
                rows = read_batch(
                    self.extractor,
                    self.reader,
                    batch.images,
                    batch.targets,
                    device=self.device,
                    autocast=self.autocast,
                    channels_last=self.channels_last,
                )
                if not lengths:  # the first batch has told the number of classes and the widths
                    anchors = settled_anchors(self.anchors, self.model, self.extractor.layers, rows, self.maps)
                    metadata["groups"] = checked_groups(self.groups, rows.targets.shape[1])
                writer.append(rows)
                lengths.append(len(rows.ids))
                advance(len(rows.ids))
            names = range(self.reader.num_classes or 0) if self.class_names is None else self.class_names
            metadata |= {"class_names": [str(name) for name in names], "single_label": self.reader.single_label}
            writer.finish({**metadata, "batches": run_lengths(lengths)}, anchors)
