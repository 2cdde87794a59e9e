"""MultiLabelDataset: images, in memory or in files, with the labels each of them holds."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nctools.collapse.groups import check_groups
from nctools.data.boxes import Boxes, BoxReader
from nctools.data.dataset_checks import check_images, check_one_class_each, check_targets, checked_unknown, distinct
from nctools.data.image_files import ImageFiles
from nctools.data.transforms import ImageTransform
from nctools.errors import DatasetError


class MultiLabelDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images, their label sets and what belongs to them.

    Args:
        images: uint8 ``[N, 3, H, W]``, or files, which are read when they are needed and may differ in size.
        targets: ``[N, C]``, 1 where the image holds the class, else 0; any dtype.
        class_names: C different names, in the order of the columns of ``targets``.
        groups: Named lists of class indices (head, medium, tail), made from the **training** counts and the same for
            every split: ``nctools.collapse.groups.head_medium_tail(train_counts)``.
        ids: N different names of images; default ``"0"``, ``"1"``, ...
        transform: Called on the uint8 images on access, on ``[3, H, W]`` or on a whole batch ``[B, 3, H, W]``. Images
            from files always come one by one. For loading in batches it must bring them to one size.
        name: Name of the data set.
        split: Name of the split.
        extras: More tensors with a row per image, by name.
        single_label: Whether every image holds exactly one class; then this is checked.
        unknown: ``[N, C]``, 1 where it is not known whether the image holds the class (``targets`` has 0 there); None:
            all is known. ``with_unknown_marked`` shows it to a loss, ``evaluation`` leaves such entries out.
        notes: What the user should know about this set.
        train_counts: Images of each class among the training images that this split belongs to; None: nobody knows.
        box_reader: Reads the boxes of images by their ids, when ``boxes`` is called; None: there are none.

    Raises:
        TypeError: If ``images`` is not uint8.
        ValueError: If shapes do not fit, a target is neither 0 nor 1, a name or id occurs twice, or an image of a
            single-label set holds no class or several.

    Example:
        >>> images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
        >>> data = MultiLabelDataset(images, torch.eye(2), ["cat", "dog"], {"head": [0], "tail": [1]})
        >>> data.class_counts, data[1][1]
        ([1, 1], tensor([0., 1.]))
    """

    def __init__(
        self,
        images: Tensor | ImageFiles,
        targets: Tensor,
        class_names: Sequence[str],
        groups: Mapping[str, Sequence[int]],
        *,
        ids: Sequence[str] | None = None,
        transform: Callable[..., Tensor] | None = None,
        name: str = "",
        split: str = "",
        extras: Mapping[str, Tensor] | None = None,
        single_label: bool = False,
        unknown: Tensor | None = None,
        notes: Iterable[str] = (),
        train_counts: Sequence[int] | None = None,
        box_reader: BoxReader | None = None,
    ) -> None:
        if not isinstance(images, ImageFiles):
            check_images(images)
        check_targets(targets, len(images), len(class_names))
        self.images = images
        self.targets = targets.to(torch.float32)
        self.class_names = distinct("class_names", class_names)
        self.groups = check_groups(groups, len(self.class_names))
        self.ids = distinct("ids", map(str, range(len(images))) if ids is None else ids)
        self.transform = transform
        self.name = name
        self.split = split
        self.extras = dict(extras or {})
        self.single_label = single_label
        self.unknown = checked_unknown(unknown, targets)
        self.notes = list(notes)
        self.train_counts = None if train_counts is None else list(train_counts)
        self.box_reader = box_reader
        self._shown = self.targets
        self.class_counts: list[int] = targets.sum(dim=0, dtype=torch.int64).tolist()
        for key, rows in [("ids", len(self.ids)), *((key, len(value)) for key, value in self.extras.items())]:
            if rows != len(images):
                raise ValueError(f"`{key}` has {rows} rows but there are {len(images)} images: give one per image.")
        if single_label:
            check_one_class_each(self.targets, self.ids)

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._image(index), self._shown[index]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        return self.items(indices)

    def items(self, indices: Sequence[int], seeds: Sequence[int] | None = None) -> list[tuple[Tensor, Tensor]]:
        """Give several items; a loader calls ``__getitems__``, which is this, once per batch.

        Args:
            indices: Their places.
            seeds: One for each, from which a transform of ``nctools.data`` makes its random changes; any other draws as
                it likes.

        Returns:
            Pairs of image and targets.
        """
        # A transform of a tensor runs once, not once per image. A batch of photographs as they are would not fit into
        # memory: each is made small before the next is read.
        if isinstance(self.images, ImageFiles):
            each = [None] * len(indices) if seeds is None else seeds
            return [(self._image(index, seed), self._shown[index]) for index, seed in zip(indices, each, strict=True)]
        rows = torch.as_tensor(indices, dtype=torch.int64)
        images = self.images[rows]
        if self.transform is not None:
            seeded = seeds is not None and isinstance(self.transform, ImageTransform)
            images = self.transform(images, seeds) if seeded else self.transform(images)
        return list(zip(images, self._shown[rows], strict=True))

    def with_transform(self, transform: Callable[..., Tensor] | None) -> MultiLabelDataset:
        """Return the same images with another transform; nothing is copied.

        Args:
            transform: As in the constructor.

        Returns:
            A data set that shares images and labels with this one.
        """
        other = copy.copy(self)
        other.transform = transform
        return other

    def with_groups(self, groups: Mapping[str, Sequence[int]], *, notes: Iterable[str] = ()) -> MultiLabelDataset:
        """Return the same images with other groups of classes; nothing is copied.

        Args:
            groups: Named lists of class indices.
            notes: What the user should know about them.

        Returns:
            A data set that shares images and labels with this one.
        """
        other = copy.copy(self)
        other.groups = check_groups(groups, self.num_classes)
        other.notes = [*self.notes, *notes]
        return other

    def with_unknown_marked(self) -> MultiLabelDataset:
        """Return the same images, whose items have -1 in their targets where the label is not known.

        Returns:
            A data set that shares images with this one; ``targets`` themselves keep 0 there.
        """
        if self.unknown is None:
            return self
        other = copy.copy(self)
        other._shown = self.targets.masked_fill(self.unknown, -1)
        return other

    def with_targets_shown(self, shown: Tensor) -> MultiLabelDataset:
        """Return the same images, whose items have other targets than ``targets``, counts and groups are made of.

        Args:
            shown: ``[N, C]`` in {0, 1}, -1 where the label is not known.

        Returns:
            A data set that shares images with this one; ``targets`` themselves stay.

        Raises:
            ValueError: If the shape does not fit, or an entry is something else.

        Example:
            >>> images = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
            >>> data = MultiLabelDataset(images, torch.tensor([[1, 0]]), ["cat", "dog"], {"all_of_them": [0, 1]})
            >>> other = data.with_targets_shown(torch.tensor([[1, 1]]))
            >>> other[0][1], other.targets, other.class_counts
            (tensor([1., 1.]), tensor([[1., 0.]]), [1, 0])
        """
        check_targets(shown.masked_fill(shown == -1, 0), len(self), self.num_classes, argument="shown")
        other = copy.copy(self)
        other._shown = shown.to(torch.float32)
        return other

    def boxes(self, rows: Sequence[int] | None = None) -> Boxes:
        """Read where classes are seen, for data that say so; nothing is read before.

        Args:
            rows: Places of the images; None: all.

        Returns:
            The boxes in pixels of the images as they are, before any transform; ``images`` counts along ``rows``.

        Raises:
            DatasetError: If the data have no boxes, or they cannot be read.

        Example:
            >>> from nctools.data import load_dataset
            >>> load_dataset("digits_lt", "test").boxes([3]).corners.shape[1]
            4
        """
        if self.box_reader is None:
            raise DatasetError(
                f"{self.name or 'this data set'} has no boxes: digits_lt, VOC, COCO and your own data in the form of "
                "VOC or COCO have"
            )
        return self.box_reader(self.ids if rows is None else [self.ids[row] for row in rows])

    def fingerprint(self) -> str:
        """Return what tells this data set from any other, whatever its name and wherever it lies.

        Returns:
            SHA-256, in hexadecimal, over class names, ids, targets, ``single_label`` and the images: the pixels of a
            tensor; name, size and time of modification of files, which are not read for it.

        Raises:
            DatasetError: If an image file is missing.
        """
        if isinstance(self.images, ImageFiles):
            images = self.images.fingerprint()
        else:
            pixels = self.images.contiguous().cpu().numpy()
            images = f"{pixels.shape} {hashlib.sha256(pixels.data).hexdigest()}"
        digest = hashlib.sha256(json.dumps([self.class_names, self.ids, self.single_label, images]).encode())
        for mask in (self.targets, self.unknown):
            if mask is not None:
                digest.update(mask.to(torch.uint8).contiguous().cpu().numpy().data)
        return digest.hexdigest()

    def _image(self, index: int, seed: int | None = None) -> Tensor:
        image = self.images[index]
        if self.transform is None:
            return image
        try:
            seeded = seed is not None and isinstance(self.transform, ImageTransform)
            return self.transform(image, [seed]) if seeded else self.transform(image)
        except ValueError as error:
            if not isinstance(self.images, ImageFiles):
                raise
            # In a worker process, among thousands of files, the size alone would not tell which one it is.
            raise DatasetError(f"{self.images.paths[index]}: {error}") from error

    def __repr__(self) -> str:
        return f"MultiLabelDataset({self.name!r}, {self.split!r}, {len(self)} images, {self.num_classes} classes)"
