from __future__ import annotations

import json
from pathlib import Path

from nctools.data.sets.coco_boxes import CocoBoxes
from nctools.data.sets.coco_json import read_instances


def document(**changed: object) -> dict[str, object]:
    first = {"id": 1, "image_id": 9, "category_id": 3, "area": 40.0, "bbox": [1, 2, 8, 5]}
    return {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
        "annotations": [{**first, **changed}, {"image_id": 7, "category_id": 1, "bbox": [0, 0, 3, 3]}],
        "categories": [{"id": 3, "name": "tree"}, {"id": 1, "name": "traffic_light"}],
    }


def written(folder: Path, content: dict[str, object]) -> Path:
    path = folder / "own.json"
    path.write_text(json.dumps(content))
    return path


def test_boxes_come_with_the_labels_and_follow_a_selection(tmp_path: Path) -> None:
    found = read_instances(written(tmp_path, document()), root=tmp_path)
    assert found.class_names == ["traffic light", "tree"]
    chosen = found.select([1])
    assert chosen.boxes is not None
    boxes = chosen.boxes(chosen.ids)
    assert (boxes.images.tolist(), boxes.classes.tolist(), boxes.corners.tolist()) == ([0], [1], [[1, 2, 9, 7]])
    assert chosen.boxes(found.ids).classes.tolist() == [1, 0]


def test_what_is_no_label_has_no_box(tmp_path: Path) -> None:
    each: list[dict[str, object]] = [{"area": 0}, {"ignore": 1}, {"bbox": [0, 0, 0.5, 9]}, {"bbox": None}, {"bbox": []}]
    for changed in each:
        path = written(tmp_path, document(**changed))
        assert CocoBoxes(path, ("tree",))(["9", "7"]).corners.tolist() == [], changed
    path = written(tmp_path, document(area=None, iscrowd=1))
    assert len(CocoBoxes(path, ("tree",))(["9"])) == 1
