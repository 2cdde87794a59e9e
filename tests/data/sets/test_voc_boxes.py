from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nctools.data import load_own, open_dataset
from nctools.data.published.facts import VOC_CLASSES
from nctools.data.sets.voc_boxes import read_voc_boxes
from nctools.data.sets.voc_xml import VocXmlError
from tests.data.voc_tree import make_voc_tree

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def written(folder: Path, *objects: str) -> Path:
    path = folder / "a.xml"
    path.write_text("<annotation>\n" + "\n".join(f"<object>{text}</object>" for text in objects) + "\n</annotation>")
    return path


def test_pixels_are_counted_from_one_and_both_ends_belong_to_the_box(tmp_path: Path) -> None:
    path = written(tmp_path, "<name>cat</name>" + BOX.format(1, 3, 8, 4.5))
    assert read_voc_boxes(path) == [("cat", (0, 2, 8, 4.5))]


def test_a_box_may_stand_before_the_name_and_need_not_be_there(tmp_path: Path) -> None:
    path = written(tmp_path, BOX.format(2, 2, 5, 5) + "<name>cat</name>", "<name>dog</name>")
    assert read_voc_boxes(path) == [("cat", (1, 1, 5, 5))]


def test_boxes_of_parts_are_left_out(tmp_path: Path) -> None:
    part = "<part><name>head</name>" + BOX.format(3, 3, 4, 4) + "</part>"
    both = (
        "<name>person</name>" + part + BOX.format(1, 1, 9, 9),
        "<name>person</name>" + BOX.format(1, 1, 8, 8) + part,
    )
    assert read_voc_boxes(written(tmp_path, *both)) == [("person", (0, 0, 9, 9)), ("person", (0, 0, 8, 8))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOX.format(1, 1, "far", 5), "object 2 has the xmax 'far': write a number"),
        (BOX.format(1, 1, "inf", 5), "object 2 has the xmax 'inf'"),
        (BOX.format(9, 1, 4, 5), r"box of object 2 reaches from \(9, 1\) to \(4, 5\)"),
        ("<bndbox><xmin>1</xmin><ymax>4</ymax></bndbox>", "box of object 2 has no ymin and no xmax"),
    ],
)
def test_a_box_that_is_none_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, "<name>dog</name>", "<name>cat</name>" + text)
    with pytest.raises(VocXmlError, match=rf"a\.xml, line 3: .*{message}"):
        read_voc_boxes(path)


def test_voc_sets_have_boxes_also_where_labels_were_kept(tmp_path: Path) -> None:
    tree = make_voc_tree(tmp_path / "data")
    data = open_dataset("voc", root=tree.root).load("test")
    assert data.ids == [image.id for image in tree.test]
    boxes = data.boxes()
    # Every label comes from an object, and every object of the tree has a box.
    pairs = set(zip(boxes.images.tolist(), boxes.classes.tolist(), strict=True))
    assert pairs == {tuple(pair) for pair in data.targets.nonzero().tolist()}
    assert set((boxes.corners[:, 2] - boxes.corners[:, 0]).tolist()) == {20.0}
    row = next(row for row, image in enumerate(tree.test) if len(image.classes) > 1)
    second = VOC_CLASSES.index(tree.test[row].classes[1])
    assert data.boxes([row]).of(0, second)[:, :2].tolist() == [[1, 2], [2, 3]]


def test_boxes_follow_the_images_that_a_split_keeps(tmp_path: Path) -> None:
    from nctools.data.settings import DataSettings

    tree = make_voc_tree(tmp_path)
    opened = open_dataset("voc", root=tree.root, settings=DataSettings(val_fraction=0.25))
    whole = open_dataset("voc", root=tree.root).load("train")
    held_out = opened.load("validation")
    assert 0 < len(held_out) < len(whole)
    for row, name in enumerate(held_out.ids):
        expected = whole.boxes([whole.ids.index(name)])
        np.testing.assert_array_equal(held_out.boxes([row]).corners, expected.corners)


def test_own_annotations_in_the_form_of_voc_have_boxes(tmp_path: Path) -> None:
    tree = make_voc_tree(tmp_path)
    data = load_own(tree.voc2007)
    boxes = data.boxes()
    pairs = set(zip(boxes.images.tolist(), boxes.classes.tolist(), strict=True))
    assert pairs == {tuple(pair) for pair in data.targets.nonzero().tolist()}
