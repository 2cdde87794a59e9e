from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nctools.data.annotations import Annotations
from nctools.data.sets.coco_json import read_instances
from nctools.errors import DatasetError
from tests.data.broken_files import mutations

Document = dict[str, list[dict[str, object]]]


def document() -> Document:
    return {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}, {"id": 12, "file_name": "c.jpg"}],
        "categories": [{"id": 20, "name": "my_tree"}, {"id": 4, "name": "house"}, {"id": 9, "name": "traffic_light"}],
        "annotations": [
            {"id": 41, "image_id": 3, "category_id": 20, "area": 12.5, "bbox": [0, 0, 5, 4.5], "iscrowd": 0},
            {"id": 42, "image_id": 7, "category_id": 4, "area": 30, "bbox": [1, 1, 6, 5], "iscrowd": 1},
            {"id": 43, "image_id": 7, "category_id": 9, "area": 1, "bbox": [1.5, 1, 1, 1], "ignore": 0},
        ],
    }


def read(folder: Path, content: object, **arguments: object) -> Annotations:
    path = folder / "own.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_instances(path, root=folder, **arguments)  # type: ignore[arg-type]


def told(found: Annotations, folder: Path) -> list[str]:
    return [str(problem).removeprefix(f"{folder / 'own.json'}, ") for problem in found.problems]


def test_classes_ascend_by_id_and_images_keep_their_order(tmp_path: Path) -> None:
    found = read(tmp_path, document(), file_prefix="images/")
    assert (found.name, found.root, found.problems) == ("own", tmp_path, [])
    assert found.class_names == ["house", "traffic light", "my_tree"]
    assert found.ids == ["7", "3", "12"]
    assert found.files == ["images/a.jpg", "images/b.jpg", "images/c.jpg"]
    assert found.labels.dtype == np.uint8
    assert found.labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("order", [("annotations", "categories", "images"), ("categories", "images", "annotations")])
def test_members_may_come_in_any_order_among_others(tmp_path: Path, order: tuple[str, ...]) -> None:
    members = {"info": {"a": [1, {}]}, **{name: document()[name] for name in order}, "licenses": [], "z": None}
    text = json.dumps(members, indent=2).replace(",\n", " \t,\r\n")
    assert read(tmp_path, "\ufeff" + text + "\n\n").labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "present"),
    [
        ({}, 1),
        ({"iscrowd": 1}, 1),
        ({"area": 0}, 0),
        ({"area": 0.01}, 1),
        ({"area": -3.0}, 0),
        ({"bbox": [5, 5, 0.99, 4]}, 0),
        ({"bbox": [5, 5, 4, 0.99]}, 0),
        ({"bbox": [-1, -1, 1, 1.0]}, 1),
        ({"ignore": 1}, 0),
        ({"ignore": True}, 0),
        ({"ignore": False}, 1),
        ({"area": None, "bbox": None, "ignore": None}, 1),
        ({"bbox": []}, 1),
    ],
)
def test_what_counts_as_present(tmp_path: Path, changes: dict[str, object], present: int) -> None:
    content = document()
    content["annotations"][0] |= changes
    found = read(tmp_path, content)
    assert found.labels[1].tolist() == [0, 0, present]
    assert found.problems == []


def test_labels_without_boxes_count(tmp_path: Path) -> None:
    content = document()
    content["annotations"] = [{"image_id": 12, "category_id": 4}, {"image_id": 12, "category_id": 20}]
    assert read(tmp_path, content).labels.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 1]]


def test_wanted_classes_give_the_columns(tmp_path: Path) -> None:
    names = ["my_tree", "car", "traffic light", "house"]
    found = read(tmp_path, document(), class_names=names)
    assert (found.class_names, found.problems) == (names, [])
    assert found.labels.tolist() == [[0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    found = read(tmp_path, document(), class_names=["house", "car"])
    assert found.labels.tolist() == [[1, 0], [0, 0], [0, 0]]
    assert told(found, tmp_path) == [
        "category 3 (id 9): the class 'traffic light' is not among the 2 that are wanted (house, car)",
        "category 1 (id 20): the class 'my_tree' is not among the 2 that are wanted (house, car)",
    ]


def test_ids_may_be_texts_and_numbers_beside_each_other(tmp_path: Path) -> None:
    content = document()
    content["images"][1]["id"] = "3"
    content["annotations"][1]["image_id"] = "7"
    assert read(tmp_path, content).labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


def changed(member: str, index: int, **changes: object) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        content[member][index] |= changes

    return change


def without(member: str, index: int, key: str) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        del content[member][index][key]

    return change


def replaced(member: str, index: int, value: object) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        content[member][index] = value  # type: ignore[call-overload]

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (changed("annotations", 1, category_id=5), "annotation 2 (id 42): category_id 5 is not the id of one of the"),
        (
            changed("annotations", 2, image_id=99),
            "annotation 3 (id 43): image_id 99 is not the id of one of the images",
        ),
        (without("annotations", 2, "image_id"), 'annotation 3 (id 43): has no "image_id"'),
        (without("annotations", 0, "category_id"), 'annotation 1 (id 41): has no "category_id"'),
        (changed("annotations", 0, image_id=3.5), 'annotation 1 (id 41): "image_id" is 3.5: it must be a whole'),
        (changed("annotations", 0, image_id=None), 'annotation 1 (id 41): "image_id" is None'),
        (changed("annotations", 0, category_id="4"), "annotation 1 (id 41): \"category_id\" is '4'"),
        (changed("annotations", 0, category_id=True), 'annotation 1 (id 41): "category_id" is True'),
        (changed("annotations", 0, category_id=[[1]]), 'annotation 1 (id 41): "category_id" is [[1]]'),
        (changed("annotations", 0, area="12"), "annotation 1 (id 41): \"area\" is '12': it must be a number"),
        (changed("annotations", 0, area=float("nan")), 'annotation 1 (id 41): "area" is nan'),
        (changed("annotations", 0, area=10**400), 'annotation 1 (id 41): "area" is 1000'),
        (changed("annotations", 0, bbox=[1, 2, 3]), 'annotation 1 (id 41): "bbox" is [1, 2, 3]: it must be four'),
        (changed("annotations", 0, bbox=[1, 2, None, 4]), 'annotation 1 (id 41): "bbox" is [1, 2, None, 4]'),
        (changed("annotations", 0, bbox={"x": 1}), "annotation 1 (id 41): \"bbox\" is {'x': 1}"),
        (changed("annotations", 0, bbox="1234"), "annotation 1 (id 41): \"bbox\" is '1234'"),
        (changed("annotations", 0, ignore="no"), "annotation 1 (id 41): \"ignore\" is 'no'"),
        (replaced("annotations", 1, [1, 2]), "annotation 2: is [1, 2]: it must be an object"),
        (replaced("annotations", 1, None), "annotation 2: is None"),
        (changed("images", 2, id=7), "image 3 (id 7): another image has the same id"),
        (changed("images", 2, file_name="a.jpg"), "image 3 (id 12): file_name 'a.jpg' is that of image 1 too"),
        (without("images", 2, "file_name"), 'image 3 (id 12): has no "file_name"'),
        (changed("images", 2, file_name=5), 'image 3 (id 12): "file_name" is 5'),
        (changed("images", 2, file_name="c\0.jpg"), "image 3 (id 12): \"file_name\" is 'c\\x00.jpg'"),
        (changed("images", 2, file_name="\ud800.jpg"), "image 3 (id 12): \"file_name\" is '\\ud800.jpg'"),
        (without("images", 2, "id"), 'image 3: has no "id": add it'),
        (changed("images", 2, id=True), 'image 3: "id" is True: it must be a whole number'),
        (replaced("images", 2, "c.jpg"), "image 3: is 'c.jpg': it must be an object"),
        (changed("categories", 0, id=4), "category 2: has the id 4, and so has 'my_tree'"),
        (changed("categories", 0, name="house"), "category 1 (id 20): another category is called 'house' too"),
    ],
)
def test_a_wrong_entry_is_told_with_its_place(tmp_path: Path, change: Callable[[Document], None], problem: str) -> None:
    content = document()
    change(content)
    problems = told(read(tmp_path, content), tmp_path)
    assert any(line.startswith(problem) for line in problems), problems


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("categories", 2, "name"), "category 3: (id 9) has the name None"),
        (changed("categories", 2, id=9.0), "category 3: has the id 9.0"),
        (replaced("categories", 2, "x"), "category 3: has the id None"),
    ],
)
def test_a_category_that_is_left_out_is_told(tmp_path: Path, change: Callable[[Document], None], problem: str) -> None:
    content = document()
    change(content)
    found = read(tmp_path, content)
    first, second = told(found, tmp_path)
    assert first.startswith(problem)
    assert second.startswith("annotation 3 (id 43): category_id 9 is not the id of one of the categories")
    assert found.labels.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_the_annotations_of_an_image_that_was_left_out_are_not_told_again(tmp_path: Path) -> None:
    content = document()
    del content["images"][0]["file_name"]
    found = read(tmp_path, content)
    assert told(found, tmp_path) == ['image 1 (id 7): has no "file_name": add it']
    assert found.labels.tolist() == [[0, 0, 1], [0, 0, 0]]


def test_an_unknown_image_is_told_once_with_its_first_place_beyond_a_piece(tmp_path: Path) -> None:
    content = document()
    content["annotations"] = [{"id": 1000 + n, "image_id": 7, "category_id": 4} for n in range(950)]
    for number in (333, 400, 900):
        content["annotations"][number]["image_id"] = 8
    content["annotations"][700]["category_id"] = "x"
    content["annotations"][701]["image_id"] = 5
    assert told(read(tmp_path, content), tmp_path) == [
        "annotation 701 (id 1700): \"category_id\" is 'x': it must be a whole number",
        "annotation 334 (id 1333): image_id 8 is not the id of one of the images (2 more annotations name it)",
        "annotation 702 (id 1701): image_id 5 is not the id of one of the images",
    ]


def test_annotations_of_which_none_counts_are_told(tmp_path: Path) -> None:
    content = document()
    for entry in content["annotations"]:
        entry["area"] = 0
    assert told(read(tmp_path, content), tmp_path) == [
        "annotations: none of 3 counts: each has area 0, a box less than 1 wide or high, or ignore"
    ]
    content["annotations"] = []
    assert read(tmp_path, content).problems == []


CAPTION = {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "id": 2, "caption": "A dog."}]}
PANOPTIC = {"images": [], "annotations": [{"image_id": 1, "segments_info": []}], "categories": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"own\.json is empty \(0 bytes\)"),
        (CAPTION, "looks like captions: texts, not labels .*labels are read from .images., .annotations. and .categ"),
        (PANOPTIC, "looks like panoptic annotations"),
        ([{"image_id": 3, "category_id": 4, "bbox": [], "score": 0.5}], r"looks like results of a model \(image_id"),
        ([{"a": 1, "b": 2}], "is a list of objects with 'a', 'b'"),
        ([1], r"is no JSON object: it begins with '\[1\]'"),
        ("image,label\na.jpg,0\n", r"is no JSON object: it begins with 'image,label"),
        ({"a.jpg": [0, 1]}, "has no images and no annotations and no categories: it has 'a.jpg'"),
        ({}, "it has nothing"),
        ({**document(), "annotations": {"1": 2}}, 'has an object as "annotations", where a list must be'),
        ({**document(), "images": None}, 'has null as "images"'),
        ({**document(), "images": []}, 'none of the images that labels are read from: "images" is empty'),
        ({**document(), "images": [{"id": 1}]}, 'none of the images .* image 1 .id 1.: has no "file_name"'),
        ({**document(), "categories": []}, 'none of the categories that labels are read from: "categories" is empty'),
        ({name: document()[name] for name in ("images", "categories")}, "no annotations: it lists images without labe"),
        ({name: document()[name] for name in ("images", "annotations")}, "no categories: nothing says which classes"),
        ('{"images": [], "images": []}', "has two members 'images'"),
        ('{"images": [{"id": 1} {"id": 2}]}' + " " * 20, r"not valid JSON: Expecting ',' or '\]' at line 1, column 23"),
        ('{"images" [1]}' + " " * 20, r"is not valid JSON: Expecting ':' at line 1, column 11 \(character 10\)"),
        ("{1: [1]}" + " " * 20, "is not valid JSON: Expecting property name"),
        ('{"info": 1} {"x": 2, "y": 3, "z": 4}', "is not valid JSON: Extra data at line 1, column 13"),
        ('{"x":' * 100_000, "is nested too deeply to be read"),
        ('{"images": [' + "[" * 100_000, "is nested too deeply to be read"),
        ('{"images": [' + "7" * 5000 + "]}", "holds a number that cannot be read near character 12: Exceeds"),
    ],
)
def test_files_of_another_kind_are_refused_with_what_they_look_like(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, content)


def test_missing_packed_and_foreign_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no\.json does not exist"):
        read_instances(tmp_path / "no.json", root=tmp_path)
    with pytest.raises(DatasetError, match="cannot be read: Is a directory"):
        read_instances(tmp_path, root=tmp_path)
    for start, packer in ((b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "zip")):
        (tmp_path / "x.json").write_bytes(start + b"abc")
        with pytest.raises(DatasetError, match=f"is packed by {packer}: unpack it"):
            read_instances(tmp_path / "x.json", root=tmp_path)
    (tmp_path / "x.json").write_bytes(b'{"caf\xe9": 1}')
    with pytest.raises(DatasetError, match=r"not text in UTF-8 \(invalid continuation byte at byte 5\)"):
        read_instances(tmp_path / "x.json", root=tmp_path)


def test_a_file_cut_off_anywhere_is_told_with_its_length(tmp_path: Path) -> None:
    text = json.dumps(document())
    for length in range(1, len(text)):
        with pytest.raises(DatasetError, match=rf"is cut off: it ends within the JSON, after {length:,} characters"):
            read(tmp_path, text[:length])


def test_progress_ends_with_the_whole_file(tmp_path: Path) -> None:
    content = document()
    content["annotations"] *= 9000
    calls: list[tuple[int, int]] = []
    read(tmp_path, content, progress=lambda done, total: calls.append((done, total)))
    size = len(json.dumps(content))
    assert len(calls) > 2
    assert calls == sorted(calls)
    assert calls[-1] == (size, size)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_labels_equal_those_of_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    images = data.draw(st.lists(st.integers(1, 10**12), min_size=1, max_size=6, unique=True))
    categories = data.draw(st.lists(st.integers(-5, 100), min_size=1, max_size=5, unique=True))
    sizes = st.sampled_from([0, 0.5, 1, 1.0, 7])
    entry = st.fixed_dictionaries(
        {"image_id": st.sampled_from(images), "category_id": st.sampled_from(categories)},
        optional={"area": sizes, "bbox": st.tuples(sizes, sizes, sizes, sizes), "ignore": st.integers(0, 1)},
    )
    entries = data.draw(st.lists(entry, max_size=12)) * data.draw(st.sampled_from([1, 60]))
    content = {
        "annotations": entries,
        "images": [{"id": identity, "file_name": f"{identity}.jpg"} for identity in images],
        "categories": [{"id": identity, "name": f"n{identity}"} for identity in categories],
    }
    expected = np.zeros((len(images), len(categories)), dtype=np.uint8)
    for one in entries:
        box = one.get("bbox", (0, 0, 1, 1))
        assert isinstance(box, tuple)
        if one.get("area", 1) > 0 and box[2] >= 1 and box[3] >= 1 and not one.get("ignore", 0):  # type: ignore[operator]
            expected[images.index(one["image_id"]), sorted(categories).index(one["category_id"])] = 1  # type: ignore[arg-type]
    found = read(tmp_path_factory.getbasetemp(), content)
    np.testing.assert_array_equal(found.labels, expected)


def test_a_hundred_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    content = document()
    content["annotations"][0]["segmentation"] = [[1.5, 2, 3e2, -4]]
    path = tmp_path / "own.json"
    refused = 0
    for mutated in mutations(json.dumps(content, indent=1).encode(), 100, seed=1):
        path.write_bytes(mutated)
        try:
            found = read_instances(path, root=tmp_path)
        except DatasetError:
            refused += 1
        else:
            assert found.labels.shape == (len(found.ids), len(found.class_names))
            assert found.labels.max(initial=0) <= 1
            "".join(map(str, found.problems)).encode()
    assert 10 < refused < 95
