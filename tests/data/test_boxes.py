from __future__ import annotations

import numpy as np
import pytest
import torch

from nctools.data import load_dataset
from nctools.data.boxes import Boxes, boxes_from
from nctools.data.dataset import MultiLabelDataset
from nctools.errors import DatasetError


def test_boxes_are_found_by_image_and_class() -> None:
    boxes = boxes_from([(1, 2, (0, 0, 1, 1)), (0, 2, (0, 0, 2, 2)), (1, 0, (0, 0, 3, 3)), (1, 2, (0, 0, 4, 4))])
    assert boxes.of(1)[:, 2].tolist() == [1, 3, 4]
    assert boxes.of(1, 2)[:, 2].tolist() == [1, 4]
    pairs = boxes.by_pair()
    assert {pair: corners[:, 2].tolist() for pair, corners in pairs.items()} == {
        (0, 2): [2],
        (1, 0): [3],
        (1, 2): [1, 4],
    }
    assert list(pairs) == sorted(pairs)


def test_no_boxes_are_a_valid_answer() -> None:
    nothing = boxes_from([])
    assert (len(nothing), nothing.of(0).shape, nothing.by_pair()) == (0, (0, 4), {})


def test_lengths_that_do_not_agree_are_told() -> None:
    with pytest.raises(ValueError, match=r"`corners` has shape \[3, 4\], `images` \[2\]"):
        Boxes(np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros((3, 4)))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_label_of_digits_lt_has_its_cell_as_box(split: str) -> None:
    data = load_dataset("digits_lt", split)
    boxes = data.boxes()
    images, classes = data.targets.nonzero(as_tuple=True)
    np.testing.assert_array_equal(boxes.images, images)
    np.testing.assert_array_equal(boxes.classes, classes)
    cells = data.extras["cells"][images, classes].numpy()
    np.testing.assert_array_equal(boxes.corners[:, :2], 16 * cells[:, ::-1])  # cells are (row, column)
    np.testing.assert_array_equal(boxes.corners[:, 2:] - boxes.corners[:, :2], 16)


def test_a_digit_is_brighter_in_its_box_than_where_nothing_is() -> None:
    data = load_dataset("digits_lt", "test")
    for row in range(100):
        image = data.images[row].float().mean(0)
        emptiest = image.unfold(0, 16, 16).unfold(1, 16, 16).mean((2, 3)).min()
        for x0, y0, x1, y1 in data.boxes([row]).corners.astype(int).tolist():
            assert image[y0:y1, x0:x1].mean() > 1.2 * emptiest


def test_boxes_of_some_images_are_those_of_all() -> None:
    data = load_dataset("digits_lt", "validation")
    whole, some = data.boxes(), data.boxes([7, 3])
    np.testing.assert_array_equal(some.of(0), whole.of(7))
    np.testing.assert_array_equal(some.of(1), whole.of(3))


def test_boxes_stay_with_other_transforms_and_groups() -> None:
    data = load_dataset("digits_lt", "validation")
    other = data.with_transform(None).with_groups({"both": [0, 1]}).with_unknown_marked()
    np.testing.assert_array_equal(other.boxes([4]).corners, data.boxes([4]).corners)


def test_data_without_boxes_say_so() -> None:
    images = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    data = MultiLabelDataset(images, torch.ones(1, 1), ["cat"], {"all of it": [0]}, name="cats")
    with pytest.raises(DatasetError, match="cats has no boxes: digits_lt, VOC, COCO"):
        data.boxes()


def test_boxes_are_read_only_when_they_are_asked_for() -> None:
    asked = []

    def read(ids: list[str]) -> Boxes:
        asked.append(list(ids))
        return boxes_from([])

    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    data = MultiLabelDataset(images, torch.ones(2, 1), ["cat"], {"x": [0]}, ids=["a", "b"], box_reader=read)  # type: ignore[arg-type]
    assert (data[0][0].shape, asked) == ((3, 4, 4), [])
    data.boxes([1])
    assert asked == [["b"]]
