from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nctools.data.box_transform import boxes_after, input_boxes
from nctools.data.boxes import Boxes, boxes_from
from nctools.data.dataset import MultiLabelDataset
from nctools.data.image_files import ImageFiles
from nctools.data.preprocessing import Preprocessing
from nctools.data.transforms import resized_and_cropped, train_transform
from nctools.data.transforms import test_transform as of_the_test
from nctools.errors import DatasetError

PLAIN = {"mean": (0.5,), "std": (0.5,)}


@settings(max_examples=60)
@given(
    sides=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    size=st.sampled_from([(64, 56, "shorter"), (64, None, "shorter"), (48, None, "square"), (48, 33, "square")]),
    corner=st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)),
    extent=st.tuples(st.floats(0.2, 0.4), st.floats(0.2, 0.4)),
)
def test_boxes_go_where_the_pixels_go(
    sides: tuple[int, int], size: tuple[int, int | None, str], corner: tuple[float, float], extent: tuple[float, float]
) -> None:
    height, width = sides
    resize, crop, mode = size
    preprocessing = Preprocessing(**PLAIN, resize=resize, crop=crop, resize_mode=mode, interpolation="nearest")  # type: ignore[arg-type]
    x0, y0 = int(corner[0] * width), int(corner[1] * height)
    x1, y1 = x0 + max(2, int(extent[0] * width)), y0 + max(2, int(extent[1] * height))
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, y0:y1, x0:x1] = 255
    moved = resized_and_cropped(image, preprocessing)[0] > 0
    found = boxes_after(boxes_from([(0, 0, (x0, y0, x1, y1))]), np.array([[height, width]]), preprocessing)
    assert found.sizes.tolist() == [list(moved.shape)]
    rows, columns = moved.any(1).nonzero().flatten().tolist(), moved.any(0).nonzero().flatten().tolist()
    if not rows:
        assert all(corners[2] - corners[0] < 1 or corners[3] - corners[1] < 1 for corners in found.boxes.corners)
        return
    drawn = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(found.boxes.corners[0], drawn, atol=1.0)  # a pixel is bright or not


def test_what_lies_outside_of_the_crop_is_dropped_and_the_rest_cut() -> None:
    preprocessing = Preprocessing(**PLAIN, resize=20, crop=20)  # type: ignore[arg-type]
    boxes = boxes_from([(1, 0, (0, 0, 10, 20)), (1, 1, (5, 0, 15, 20)), (0, 2, (0, 0, 20, 20))])
    found = boxes_after(boxes, np.array([[20, 20], [20, 40]]), preprocessing)
    assert found.boxes.classes.tolist() == [1, 2]
    assert found.boxes.images.tolist() == [1, 0]
    assert found.boxes.corners.tolist() == [[0, 0, 5, 20], [0, 0, 20, 20]]


def test_boxes_of_images_of_different_sizes_in_files_are_followed(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "wide.png")
    Image.new("RGB", (20, 30)).save(tmp_path / "high.png")
    turned = Image.Exif()
    turned[274] = 6  # orientation: lying on its side
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=turned)
    files = ImageFiles([tmp_path / name for name in ("wide.png", "high.png", "turned.jpg")])
    assert [files.size_of(row) for row in range(3)] == [tuple(image.shape[1:]) for image in files]

    def whole(ids: list[str]) -> Boxes:
        return boxes_from([(0, 0, (10, 0, 30, 20))] if ids == ["0"] else [])

    data = MultiLabelDataset(files, torch.ones(3, 1), ["cat"], {"x": [0]}, box_reader=whole)  # type: ignore[arg-type]
    half = Preprocessing((0.5,) * 3, (0.5,) * 3, resize=10, crop=10)
    found = input_boxes(data.with_transform(of_the_test(half)), [0])
    assert found.boxes.corners.tolist() == [[0, 0, 10, 10]]
    assert input_boxes(data, [0, 1, 2]).sizes.tolist() == [[20, 40], [30, 20], [40, 20]]


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"a\.jpg: is empty or no image"):
        ImageFiles([tmp_path / "a.jpg"]).size_of(0)


def test_boxes_are_not_followed_through_what_is_random_or_unknown() -> None:
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    data = MultiLabelDataset(
        images, torch.ones(1, 1), ["cat"], {"x": [0]}, name="cats", box_reader=lambda ids: boxes_from([])
    )
    with pytest.raises(DatasetError, match=r"boxes of cats cannot be followed .* a random one"):
        input_boxes(data.with_transform(train_transform(Preprocessing((0.5,) * 3, (0.5,) * 3))))
    with pytest.raises(DatasetError, match="of another kind: take test_transform"):
        input_boxes(data.with_transform(torch.flip))
