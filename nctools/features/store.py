"""Reads a feature file: what is in it, whole layers, or a stream of positive pairs."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import cast

import h5py
import torch
from torch import Tensor

from nctools.errors import UnknownNameError
from nctools.features.batches import LayerKind
from nctools.features.feature_file import CACHE_BYTES, FeatureFile, read_description
from nctools.features.layer_slices import read_anchors, read_images, read_pair_index, read_pairs
from nctools.features.random_access import LayerDataset, read_class
from nctools.features.writer import FORMAT, FORMAT_VERSION
from nctools.models.output import Anchors


class FeatureStore:
    """The features of a data set in one HDF5 file, made by ``extract``.

    The description is read at once, and a wrong file refused; features are read when asked for. The file is opened on
    first use in each process and can be closed at any time, so a store can be handed to dataloader workers. Features
    are float32 tensors whatever they are stored as.

    Args:
        path: The file.

    Raises:
        StoreError: If the file is missing, is no feature file, is damaged, or was written by a newer nctools.
        ModuleNotFoundError: If its features are compressed and hdf5plugin, which reads them, is not installed.

    Example:
        >>> FeatureStore("nowhere.h5")
        Traceback (most recent call last):
        nctools.errors.StoreError: no feature file at ...nowhere.h5: make one with nctools.extract or `nctools extract`
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = FeatureFile(path)
        try:
            self._document = self._file.read(read_description)
            self._file.read(self._check_shapes)
        finally:
            self.close()

    # --- what is in the file ---

    @property
    def path(self) -> Path:
        """Absolute path of the file."""
        return self._file.path

    @property
    def layers(self) -> list[str]:
        """Names of the layers, in the order they were given."""
        return list(self._layers)

    @property
    def num_classes(self) -> int:
        """Number of classes ``C``."""
        return len(self.classes)

    @property
    def classes(self) -> list[str]:
        """Class names, ``C`` of them; running numbers where none were given."""
        return list(cast("list[str]", self._document["class_names"]))

    @property
    def groups(self) -> dict[str, list[int]] | None:
        """Group name -> class indices, or None where none were given."""
        return cast("dict[str, list[int]] | None", self._document["groups"])

    @property
    def single_label(self) -> bool:
        """Whether the targets were class indices: exactly one label per image."""
        return bool(self._document["single_label"])

    @property
    def attrs(self) -> dict[str, object]:
        """Where the features come from: ``"provenance"``, ``"model"``, ``"places"`` of the layers, ``"dtype"``, ..."""
        keys = ("provenance", "model", "places", "pairs", "dtype")
        facts = {key: self._document[key] for key in keys}
        # Files of before there was a choice have no such entry.
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **facts, "compression": self.compression}

    @property
    def compression(self) -> str | None:
        """How the features are compressed: ``"zstd"``, ``"blosc"``, ``"gzip"``, ``"lzf"``; None if they are not."""
        return cast("str | None", self._document.get("compression"))

    @property
    def description(self) -> dict[str, object]:
        """A copy of the whole description that stands in the file, ready for JSON."""
        return copy.deepcopy(self._document)

    def kind(self, layer: str) -> LayerKind:
        """Tell whether features belong to images or to images and classes.

        Args:
            layer: Name of the layer.

        Returns:
            ``"shared"`` or ``"classwise"``.

        Raises:
            UnknownNameError: If there is no such layer.
        """
        return cast("LayerKind", self._layer(layer)["kind"])

    def num_features(self, layer: str) -> int:
        """Give the width ``D`` of a layer.

        Args:
            layer: Name of the layer.

        Returns:
            ``D``.

        Raises:
            UnknownNameError: If there is no such layer.
        """
        return cast("int", self._layer(layer)["num_features"])

    # --- by image ---

    @property
    def ids(self) -> list[str]:
        """Ids of the N images, in the order of the rows."""
        return self._file.read(lambda file: list(file["ids"].asstr(errors="surrogatepass")[()]))

    @property
    def targets(self) -> Tensor:
        """Label sets ``[N, C]`` uint8."""
        return self._file.read(lambda file: torch.from_numpy(file["targets"][()]))

    @property
    def logits(self) -> Tensor | None:
        """Logits ``[N, C]`` float32, or None if the model gave none."""
        return self._file.read(lambda file: torch.from_numpy(file["logits"][()]) if "logits" in file else None)

    # --- features ---

    def features(self, layer: str) -> Tensor:
        """Read all features of a layer into memory.

        Args:
            layer: Name of the layer.

        Returns:
            Float32: ``[N, D]`` if shared; if class-wise ``[M, D]`` (the positive pairs, see ``pair_index``), or
            ``[N, C, D]`` if all pairs were kept.

        Raises:
            UnknownNameError: If there is no such layer.
            StoreError: If the file cannot be read.
        """
        self._layer(layer)
        return self._file.read(lambda file: torch.from_numpy(file["layers"][layer]["features"][()]).float())

    def pair_index(self, layer: str) -> tuple[Tensor, Tensor]:
        """Give image and class of each positive pair, in the order of ``iterate``: by image, then by class.

        Args:
            layer: Name of the layer.

        Returns:
            Row of the image ``[M]`` and class ``[M]``, int64.

        Raises:
            UnknownNameError: If there is no such layer.
            StoreError: If the file cannot be read.
        """
        if not self._holds_pairs(layer):
            samples, classes = self.targets.nonzero(as_tuple=True)
            return samples, classes
        return self._file.read(partial(read_pair_index, layer=layer, part=slice(None)))

    def iterate(self, layer: str, chunk_size: int = 8192) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Stream the positive pairs of a layer without reading the file as a whole.

        The feature of a shared layer comes once for each label of its image.

        Args:
            layer: Name of the layer.
            chunk_size: Most pairs that come at once.

        Returns:
            An iterator over features ``[m, D]`` float32, classes ``[m]`` int64 and rows of the images ``[m]`` int64,
            with ``m`` at most ``chunk_size``; by image, then by class.

        Raises:
            UnknownNameError: If there is no such layer.
            ValueError: If ``chunk_size`` is less than 1.
            StoreError: If the file cannot be read.
        """
        pairs = self._holds_pairs(layer)
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}: pass at least 1")
        return self._stored_pairs(layer, chunk_size) if pairs else self._pairs_of_images(layer, chunk_size)

    def holds_images(self, layer: str) -> bool:
        """Tell whether a layer holds the features of every image, also for classes that the image does not show.

        Args:
            layer: Name of the layer.

        Returns:
            False for class-wise layers of which only positive pairs were kept.

        Raises:
            UnknownNameError: If there is no such layer.
        """
        return not self._holds_pairs(layer)

    def iterate_images(self, layer: str, chunk_size: int = 1024) -> Iterator[tuple[Tensor, Tensor]]:
        """Stream all images of a layer, also those without a label, without reading the file as a whole.

        Args:
            layer: Name of the layer.
            chunk_size: Most images that come at once.

        Returns:
            An iterator over features ``[m, D]``, or ``[m, C, D]`` if class-wise, float32, and rows ``[m]`` int64.

        Raises:
            UnknownNameError: If there is no such layer.
            ValueError: If ``chunk_size`` is less than 1, or only positive pairs were kept.
            StoreError: If the file cannot be read.
        """
        self._need_images(layer)
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}: pass at least 1")
        return self._all_images(layer, chunk_size)

    def of_class(self, layer: str, class_index: int) -> Tensor:
        """Read the positive pairs of one class, without reading the other classes.

        Where all pairs were kept, only the chunks of this class are read that hold one of its images. Features of
        pairs alone, and shared ones, stand by image: chunks without a pair of the class are left out.

        Args:
            layer: Name of the layer.
            class_index: The class, from 0.

        Returns:
            Features ``[n, D]`` float32, in the order of the images; those that ``iterate`` gives for this class.

        Raises:
            UnknownNameError: If there is no such layer.
            IndexError: If there is no such class.
            StoreError: If the file cannot be read.
        """
        self._layer(layer)
        if not 0 <= class_index < self.num_classes:
            raise IndexError(f"class_index is {class_index}, but there are {self.num_classes} classes, from 0")
        return self._file.read(partial(read_class, layer=layer, class_index=class_index))

    def as_dataset(self, layer: str) -> LayerDataset:
        """View a layer as a data set for a dataloader, for example to fit a linear probe.

        Args:
            layer: Name of a layer that holds all images.

        Returns:
            A data set whose item ``i`` is (feature ``[D]``, or ``[C, D]`` if class-wise, float32; label set ``[C]``
            uint8). It reads the file in each worker on its own, forked or spawned.

        Raises:
            UnknownNameError: If there is no such layer.
            ValueError: If only positive pairs were kept.
        """
        self._need_images(layer)
        return LayerDataset(self._file, layer, len(self))

    def anchors(self, layer: str) -> Anchors | None:
        """Give the rows that NC3 compares the class means of a layer with.

        Args:
            layer: Name of the layer.

        Returns:
            Classifier or label embeddings ``[C, D]`` with bias and kind, or None where none were stored.

        Raises:
            UnknownNameError: If there is no such layer.
            StoreError: If the file cannot be read.
        """
        self._layer(layer)
        return self._file.read(lambda file: read_anchors(file["layers"][layer]))

    @property
    def classifier(self) -> Anchors | None:
        """The classifier of the first layer that has one, or None."""
        found = (self.anchors(layer) for layer in self.layers)
        return next((rows for rows in found if rows is not None and rows.kind == "classifier"), None)

    # --- life of the handle ---

    def close(self) -> None:
        """Close the file. Reading opens it again; closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return cast("int", self._document["num_images"])

    def __repr__(self) -> str:
        layers = ", ".join(f"{name} {self.kind(name)} D={self.num_features(name)}" for name in self.layers)
        return f"FeatureStore('{self.path}': {len(self)} images, {self.num_classes} classes; {layers})"

    # --- reading ---

    @property
    def _layers(self) -> dict[str, dict[str, object]]:
        return cast("dict[str, dict[str, object]]", self._document["layers"])

    def _layer(self, name: str) -> dict[str, object]:
        if name not in self._layers:
            raise UnknownNameError("layer", name, self._layers)
        return self._layers[name]

    def _holds_pairs(self, layer: str) -> bool:
        return self._layer(layer)["pairs"] == "positive"

    def _need_images(self, layer: str) -> None:
        if not self.holds_images(layer):
            raise ValueError(f"layer {layer!r} holds positive pairs only: extract it with pairs='all'")

    def _check_shapes(self, file: h5py.File) -> None:
        # The description is held against the data sets, so that a damaged file is refused at once.
        images = {"ids": (len(self),), "targets": (len(self), self.num_classes)}
        if "logits" in file:
            images["logits"] = (len(self), self.num_classes)
        for name, shape in images.items():
            if file[name].shape != shape:
                raise ValueError(f"{name} has shape {file[name].shape}, not {shape}")
        for layer in self.layers:
            group, width = file["layers"][layer], self.num_features(layer)
            if self._holds_pairs(layer):
                shape = (len(group["classes"]), width)
            else:
                shape = (len(self), width) if self.kind(layer) == "shared" else (len(self), self.num_classes, width)
            if group["features"].shape != shape:
                raise ValueError(f"layer {layer} has features of shape {group['features'].shape}, not {shape}")

    def _stored_pairs(self, layer: str, chunk_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        num_pairs = self._file.read(lambda file: len(file["layers"][layer]["classes"]))
        for start in range(0, num_pairs, chunk_size):
            yield self._file.read(partial(read_pairs, layer=layer, part=slice(start, start + chunk_size)))

    def _rows_at_once(self, layer: str, chunk_size: int) -> int:
        row_bytes = 4 * self.num_features(layer) * (self.num_classes if self.kind(layer) == "classwise" else 1)
        # Whole chunks, of 64 rows in files with all pairs, where memory allows.
        num_rows = max(1, min(chunk_size, CACHE_BYTES // row_bytes))
        return num_rows - num_rows % 64 if num_rows > 64 else num_rows

    def _all_images(self, layer: str, chunk_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        num_rows = self._rows_at_once(layer, chunk_size)
        for start in range(0, len(self), num_rows):
            _, features = self._file.read(partial(read_images, layer=layer, part=slice(start, start + num_rows)))
            yield features.float(), torch.arange(start, start + len(features))

    def _pairs_of_images(self, layer: str, chunk_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        num_rows = self._rows_at_once(layer, chunk_size)
        for start in range(0, len(self), num_rows):
            targets, features = self._file.read(partial(read_images, layer=layer, part=slice(start, start + num_rows)))
            pairs = targets.nonzero()
            # An empty tensor would be split into one empty piece.
            for samples, classes in (piece.unbind(1) for piece in (pairs.split(chunk_size) if len(pairs) else ())):
                index = (samples, classes) if features.ndim == 3 else (samples,)
                yield features[index].float(), classes, samples + start
