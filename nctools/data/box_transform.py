"""Where boxes lie in what a model sees: after the resizing and the centre crop of the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nctools.data.boxes import Boxes
from nctools.data.dataset import MultiLabelDataset
from nctools.data.image_files import ImageFiles
from nctools.data.preprocessing import Preprocessing
from nctools.data.transforms import ImageTransform
from nctools.errors import DatasetError


class InputBoxes(NamedTuple):
    """Boxes in the coordinates of a model's input.

    Args:
        boxes: In pixels of the input; what lies outside of the crop is gone.
        sizes: int64 ``[n, 2]``, height and width of the input of each image.
    """

    boxes: Boxes
    sizes: NDArray[np.int64]


def input_boxes(data: MultiLabelDataset, rows: Sequence[int] | None = None) -> InputBoxes:
    """Read the boxes of images and follow them through the transform of the data set.

    Args:
        data: Images with boxes, and no transform or one of ``test_transform``.
        rows: Places of the images; None: all.

    Returns:
        The boxes in the coordinates of the input. ``Boxes.images`` counts along ``rows``.

    Raises:
        DatasetError: If the data have no boxes, they cannot be read, or the transform is another one.

    Example:
        >>> from nctools.data import load_dataset
        >>> found = input_boxes(load_dataset("digits_lt", "test"), [0])
        >>> found.sizes.tolist(), np.diff(found.boxes.corners[:, ::2]).ravel().tolist()[0]
        ([[48, 48]], 16.0)
    """
    wanted = list(range(len(data)) if rows is None else rows)
    preprocessing = _preprocessing(data)
    stored = data.boxes(wanted)
    if isinstance(data.images, ImageFiles):
        sizes = np.array([data.images.size_of(row) for row in wanted], dtype=np.int64).reshape(-1, 2)
    else:
        sizes = np.tile(np.array(data.images.shape[-2:], dtype=np.int64), (len(wanted), 1))
    return boxes_after(stored, sizes, preprocessing)


def boxes_after(boxes: Boxes, sizes: NDArray[np.int64], preprocessing: Preprocessing | None) -> InputBoxes:
    """Follow boxes through resizing and centre crop, exactly as ``resized_and_cropped`` moves the pixels.

    Args:
        boxes: In pixels of the images as they are.
        sizes: int64 ``[n, 2]``, height and width of each image.
        preprocessing: ``resize``, ``crop`` and ``resize_mode``; None: the images stay as they are.

    Returns:
        The boxes cut off at the edges of the input; those of which nothing is left are dropped.

    Example:
        >>> from nctools.data.boxes import boxes_from
        >>> half = Preprocessing((0.5,), (0.5,), resize=20, crop=20)
        >>> found = boxes_after(boxes_from([(0, 0, (20, 0, 40, 40)), (0, 1, (0, 0, 5, 9))]), np.array([[40, 60]]), half)
        >>> found.boxes.corners.tolist()
        [[5.0, 0.0, 15.0, 20.0]]
    """
    resized = np.array([_resized(height, width, preprocessing) for height, width in sizes.tolist()], dtype=np.int64)
    resized = resized.reshape(-1, 2)
    crop = None if preprocessing is None else preprocessing.crop
    final = resized if crop is None else np.full_like(resized, crop)
    # Python's rounding, half to even, as torchvision cuts.
    offset = np.round((resized - final) / 2)
    scale = resized / np.maximum(sizes, 1)
    twice = np.array([1, 0, 1, 0])  # y, x -> x0, y0, x1, y1
    moved = boxes.corners * scale[boxes.images][:, twice] - offset[boxes.images][:, twice]
    moved = np.clip(moved, 0, final[boxes.images][:, twice])
    left = (moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])
    return InputBoxes(Boxes(boxes.images[left], boxes.classes[left], moved[left]), final)


def _resized(height: int, width: int, preprocessing: Preprocessing | None) -> tuple[int, int]:
    side = None if preprocessing is None else preprocessing.resize
    if preprocessing is None or side is None:
        return height, width
    if preprocessing.resize_mode == "square":
        return side, side
    # The longer side is rounded down.
    return (side, int(side * width / height)) if height <= width else (int(side * height / width), side)


def _preprocessing(data: MultiLabelDataset) -> Preprocessing | None:
    if data.transform is None:
        return None
    if not isinstance(data.transform, ImageTransform) or data.transform.training:
        what = "a random one" if isinstance(data.transform, ImageTransform) else "of another kind"
        raise DatasetError(
            f"the boxes of {data.name} cannot be followed through its transform, which is {what}: take test_transform "
            "of nctools.data"
        )
    return data.transform.preprocessing
