from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nctools.data.sets.visual_genome import VgSplit, find_vg, vg_annotations
from nctools.errors import DatasetError
from tests.data.broken_files import mutations
from tests.data.vg_tree import make_vg_tree


@pytest.mark.parametrize("above", ["", "vg", "data/vg"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_of_a_tree_are_read_wherever_it_lies(tmp_path: Path, above: str, split: VgSplit) -> None:
    root = tmp_path / above
    truth = make_vg_tree(root)[split]
    if above == "data/vg":  # one level too deep for images two levels below
        root = tmp_path / "data"
    found = vg_annotations(root, split)
    assert (found.name, found.problems, found.ids) == (f"VG200 {split}", [], truth.ids)
    np.testing.assert_array_equal(found.labels, truth.labels)
    assert all(path.is_file() for path in found.paths)
    assert {file.partition("/")[0] for file in found.files} == {"VG_100K", "VG_100K_2"}
    assert found.class_names[118] == "object 118"
    assert find_vg(root).missing_of(split) == []


def test_images_in_one_folder_of_any_name(tmp_path: Path) -> None:
    make_vg_tree(tmp_path)
    (tmp_path / "VG_100K_2").rename(tmp_path / "pictures")
    for path in (tmp_path / "VG_100K").iterdir():
        path.rename(tmp_path / "pictures" / path.name)
    (tmp_path / "VG_100K").rmdir()
    found = vg_annotations(tmp_path, "test")
    assert found.root == tmp_path / "pictures"
    assert found.files == found.ids
    assert all(path.is_file() for path in found.paths)


def test_names_of_the_classes_are_taken_from_a_file_of_200_lines(tmp_path: Path) -> None:
    make_vg_tree(tmp_path, images=False, names=True)
    (tmp_path / "a_category_notes.txt").write_text("one\ntwo\n")
    assert vg_annotations(tmp_path, "test").class_names[17] == "thing 17"


def test_the_paper_takes_the_beginning_of_the_lists(tmp_path: Path) -> None:
    truth = make_vg_tree(tmp_path, num_train=1010, num_test=12, images=False)
    found = vg_annotations(tmp_path, "train")
    assert (found.name, found.ids) == ("VG200 train (the first 1,000 of 1,010)", truth["train"].ids[:1000])
    np.testing.assert_array_equal(found.labels, truth["train"].labels[:1000])
    assert len(vg_annotations(tmp_path, "train", limit=None)) == 1010
    assert vg_annotations(tmp_path, "test", limit=5).ids == truth["test"].ids[:5]
    for wrong in (0, -1, "all"):
        with pytest.raises(ValueError, match=f"`limit` is {wrong!r}: give at least 1 line"):
            vg_annotations(tmp_path, "test", limit=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`split` is 'val'"):
        vg_annotations(tmp_path, "val")  # type: ignore[arg-type]


def test_lists_with_folders_find_labels_and_images(tmp_path: Path) -> None:
    truth = make_vg_tree(tmp_path)["test"]
    (tmp_path / "test_list_500.txt").write_text("\r\n".join(f"VG_100K/{name}" for name in truth.ids))
    found = vg_annotations(tmp_path, "test")
    assert (found.problems, found.ids[0]) == ([], f"VG_100K/{truth.ids[0]}")
    np.testing.assert_array_equal(found.labels, truth.labels)
    assert all(path.is_file() for path in found.paths)


def test_lines_and_labels_that_are_wrong_are_told(tmp_path: Path) -> None:
    make_vg_tree(tmp_path, images=False)
    labels = {"1.jpg": [0, 199], "2.jpg": [3, 200], "3.jpg": 5, "4.jpg": [True], "5.jpg": []}
    (tmp_path / "vg_category_200_labels_index.json").write_text(json.dumps(labels))
    (tmp_path / "test_list_500.txt").write_text("1.jpg\n2.jpg\n\n3.jpg\n4.jpg\n5.jpg\n6.jpg\n1.jpg\na\0.jpg\n")
    found = vg_annotations(tmp_path, "test")
    assert found.ids == [f"{number}.jpg" for number in range(1, 7)]
    assert [row.nonzero()[0].tolist() for row in found.labels] == [[0, 199], [3], [], [], [], []]
    lines = [str(problem).removeprefix(f"{tmp_path / 'test_list_500.txt'}, ") for problem in found.problems]
    file = tmp_path / "vg_category_200_labels_index.json"
    assert lines == [
        "line 8: '1.jpg' was listed before, at line 1: every image is listed once",
        "line 9: 'a\\x00.jpg' is no name of an image",
        f"line 2: '2.jpg' has the class 200 in {file}: classes are numbers from 0 to 199",
        f"line 4: the labels of '3.jpg' in {file} are 5: they must be a list of class indices",
        f"line 5: '4.jpg' has the class True in {file}: classes are numbers from 0 to 199",
        f"line 7: '6.jpg' has no entry in {file}: its labels are not known",
    ]


def test_labels_are_known_by_their_form_not_by_their_name(tmp_path: Path) -> None:
    make_vg_tree(tmp_path, images=False)
    usual = tmp_path / "vg_category_200_labels_index.json"
    usual.rename(tmp_path / "index.json")
    (tmp_path / "a_labels.json").write_text('[{"image_id": 1, "objects": []}]')
    (tmp_path / "image_data_labels.json").write_text('{"1.jpg": ["tree"]}')
    assert find_vg(tmp_path).labels == tmp_path / "index.json"
    (tmp_path / "z_labels.json").write_text('{"1.jpg": [' + "1, " * 1000 + "2]}")
    assert find_vg(tmp_path).labels == tmp_path / "z_labels.json"


def test_everything_that_is_missing_is_told(tmp_path: Path) -> None:
    found = find_vg(tmp_path)
    where = f"in {tmp_path} or up to 2 levels below: give the folder that holds it"
    assert found.missing_of("train") == [
        f"VG200 has no train_list_500.txt {where}",
        'VG200 has no labels {"1.jpg": [3, 17], ...} in a .json file (usually vg_category_200_labels_index.json) '
        f"{where}",
    ]
    with pytest.raises(DatasetError, match=r"VG200 has no test_list_500\.txt in"):
        vg_annotations(tmp_path, "test")
    (tmp_path / "test_list_500.txt").write_text("1.jpg\n")
    with pytest.raises(DatasetError, match=r'VG200 has no labels \{"1.jpg": \[3, 17\], ...\} in a .json file'):
        vg_annotations(tmp_path, "test")
    (tmp_path / "labels.json").write_text('{"1.jpg": [1], ')
    with pytest.raises(DatasetError, match=r"labels\.json is not valid JSON"):
        vg_annotations(tmp_path, "test")


def test_fifty_mutated_labels_are_read_or_refused(tmp_path: Path) -> None:
    make_vg_tree(tmp_path, num_train=2, num_test=3, images=False)
    path = tmp_path / "vg_category_200_labels_index.json"
    labels = json.dumps({name: [1, 50, 199] for name in (tmp_path / "test_list_500.txt").read_text().split()})
    read_well = 0
    for mutated in mutations(labels.encode(), 50, seed=3):
        path.write_bytes(mutated)
        try:
            found = vg_annotations(tmp_path, "test")
        except DatasetError:
            continue
        read_well += 1
        assert found.labels.shape == (3, 200)
        "".join(map(str, found.problems)).encode()
    assert read_well > 5
