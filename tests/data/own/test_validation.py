"""Every problem of a user's own data is listed with its place, and the check goes on to the end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from nctools.data.own.findings import KINDS, ValidationReport
from nctools.data.own.loading import load_own
from nctools.data.own.validation import validate
from nctools.errors import DatasetError


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Noise-like, so that a file of half its bytes lacks half of its rows.
    image = Image.new("RGB", (40, 30))
    image.putdata([((x * 37 + shade) % 256, (x * x) % 256, (x * 11) % 256) for x in range(1200)])
    image.save(path)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def kinds(report: ValidationReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in report.problems:
        found.setdefault(finding.kind, []).append(str(finding))
    return found


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A table with one of nearly everything that can be wrong."""
    for shade, name in enumerate(["a.jpg", "b.jpg", "c.jpg", "stray.jpg", "sub/d.png", "sub/stray.png"]):
        picture(tmp_path / name, shade * 40)
    (tmp_path / "copy.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    picture(tmp_path / "cut.jpg")
    cut(tmp_path / "cut.jpg")
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "circle.jpg").symlink_to(tmp_path / "circle.jpg")
    rows = [
        ("a.jpg", "train", "1", "0", "0", "0"),  # line 2
        ("b.jpg", "train", "0", "yes", "0", "0"),
        ("c.jpg", "train", "0", "0", "0", "0"),
        ("sub/d.png", "train", "1", "1", "0", "0"),
        ("sub/../a.jpg", "test", "1", "0", "0", "0"),
        ("copy.jpg", "test", "1", "0", "1", "0"),
        ("cut.jpg", "test", "1", "0", "1", "0"),
        ("text.jpg", "test", "1", "0", "0", "0"),
        ("folder.jpg", "test", "1", "0", "0", "0"),  # line 10
        ("pipe.jpg", "test", "1", "0", "0", "0"),
        ("circle.jpg", "test", "1", "0", "0", "0"),
        ("absent.jpg", "test", "1", "0", "0", "0"),
        ("x" * 5000, "test", "1", "0", "0", "0"),
        ("short.jpg", "test"),
    ]
    table = tmp_path / "labels.csv"
    lines = [("image", "split", "cat", "dog", "cow", "elk"), *rows]
    table.write_text("\n".join(",".join(row) for row in lines) + "\n")
    return table


def test_everything_that_is_wrong_is_listed_with_file_and_line(broken: Path) -> None:
    report = validate(broken)
    found = kinds(report)
    expected = {
        "row_length": ["line 15: 2 fields, but the header has 6"],
        "bad_value": ["line 3, column 'dog': 'yes' is neither 0 nor 1, nor -1 for unknown"],
        "duplicate_id": ["line 6: 'sub/../a.jpg' was listed before, at line 2"],
        "truncated_image": ["line 8: "],
        "unreadable_image": ["line 9: ", "line 10: ", "line 11: "],
        "missing_image": ["line 12: ", "line 13: ", "line 14: "],
        "duplicate_image": ["line 7: 'copy.jpg' has the same content as 'a.jpg', which is in train, and this one in t"],
        "no_label": ["line 4: holds no class"],
        "empty_class": ["no image holds the class 'elk'"],
        "no_train_positive": ["no image of the split train holds the class 'cow'"],
        "no_test_positive": ["no image of the split test holds the class 'dog'"],
        "orphan_image": ["/stray.jpg: lies beside", "/sub/stray.png: lies beside"],
    }
    assert {kind: len(told) for kind, told in found.items()} == {kind: len(told) for kind, told in expected.items()}
    for kind, texts in expected.items():
        for text, told in zip(texts, found[kind], strict=True):
            assert text in told, (kind, told)
            assert told.startswith(str(broken.parent)) or kind in {"empty_class"}, told
    assert "is a pipe or a device, not an image file" in found["unreadable_image"][2]
    assert "is a folder, not an image file" in found["unreadable_image"][1]
    assert "is a link that leads nowhere" in found["missing_image"][0]
    assert not report.ok
    assert (report.form, report.num_images, report.num_labels) == ("CSV table", 12, 13)
    assert report.splits == {
        "train": {"images": 4, "labels": 3, "unknown": 0},
        "test": {"images": 8, "labels": 10, "unknown": 0},
    }
    assert report.class_counts == {"cat": 10, "dog": 1, "cow": 2, "elk": 0}


def test_report_is_the_same_for_any_number_of_workers(broken: Path) -> None:
    alone = validate(broken)
    calls: list[tuple[int, int]] = []
    assert validate(broken, workers=3, progress=lambda done, total: calls.append((done, total))) == alone
    assert calls == [(done, 12) for done in range(1, 13)]
    with pytest.raises(ValueError, match="`workers` is -1"):
        validate(broken, workers=-1)


def test_without_decoding_only_presence_and_emptiness_are_looked_at(broken: Path) -> None:
    (broken.parent / "b.jpg").write_bytes(b"")
    found = kinds(validate(broken, decode=False))
    assert "truncated_image" not in found
    assert ["b.jpg is empty (0 bytes)" in told for told in found["unreadable_image"]] == [True, False, False]


def test_report_becomes_a_document_that_any_program_reads(broken: Path) -> None:
    report = validate(broken)
    document = json.loads(json.dumps(report.to_document()))
    assert (document["ok"], document["images"], document["classes"]) == (False, 12, 4)
    assert document["errors"] + document["warnings"] == len(document["problems"]) == len(report.problems)
    assert set(document["problems"][0]) == {"level", "kind", "place", "what"}
    assert list(report.by_kind())[-1] == "orphan_image"
    assert {finding.kind for finding in report.problems} <= set(KINDS)


def test_sound_data_have_no_finding_and_load(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for shade, name in enumerate(["a.jpg", "b.png"]):
            picture(tmp_path / split / ("cat", "dog")[shade] / name, shade * 70 + len(split))
    report = validate(tmp_path)
    assert (report.problems, report.ok, report.form) == ([], True, "image folder")
    assert report.splits == {split: {"images": 2, "labels": 2, "unknown": 0} for split in ("test", "train")}
    assert len(load_own(tmp_path, "test")) == 2


def test_copies_within_a_split_are_a_warning_and_across_splits_an_error(tmp_path: Path) -> None:
    original = picture(tmp_path / "train/cat/1.png")
    for name in ("train/cat/2.png", "val/cat/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(original.read_bytes())
    report = validate(tmp_path)
    assert [(one.level, one.what.split(":")[0]) for one in report.problems] == [
        ("warning", "'train/cat/2.png' has the same content as 'train/cat/1.png'"),
        (
            "error",
            "'val/cat/3.png' has the same content as 'train/cat/1.png', which is in train, and this one in val",
        ),
    ]


def test_a_folder_that_would_not_load_has_errors(tmp_path: Path) -> None:
    picture(tmp_path / "train/cat/1.png", 1)
    picture(tmp_path / "train/dog/2.png", 2)
    picture(tmp_path / "val/cat/3.png", 3)
    picture(tmp_path / "val/elk/4.png", 4)
    picture(tmp_path / "val/5.png", 5)
    report = validate(tmp_path)
    assert [(one.level, one.kind, Path(one.place).name) for one in report.problems] == [
        ("error", "unknown_class", "elk"),
        ("error", "no_test_positive", tmp_path.name),
        ("warning", "orphan_image", "5.png"),
    ]
    with pytest.raises(DatasetError):
        load_own(tmp_path, "val")


def test_folders_that_link_to_each_other_come_to_an_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        picture(tmp_path / name / f"{name}.png", ord(name))
        for number in range(3):
            (tmp_path / name / f"link{number}").symlink_to(tmp_path / other)
    report = validate(tmp_path)
    assert report.class_counts == {"a": 4, "b": 4}


def test_folder_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "cat/1.png")
    picture(tmp_path / "cat/closed/2.png")
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    report = validate(tmp_path)
    assert [str(one) for one in report.problems] == [f"{tmp_path}/cat/closed: cannot be read: Permission denied"]
    assert not report.ok


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".webp", ".tif", ".bmp"])
def test_images_that_end_too_early_are_found_in_every_format(tmp_path: Path, suffix: str) -> None:
    cut(picture(tmp_path / f"a{suffix}"))
    (tmp_path / "labels.csv").write_text(f"image,label\na{suffix},cat\n")
    report = validate(tmp_path / "labels.csv")
    assert [one.kind in {"truncated_image", "unreadable_image"} for one in report.problems] == [True]
    if suffix in {".jpg", ".png"}:
        assert report.problems[0].kind == "truncated_image"


def test_an_image_in_two_splits_is_an_error_but_for_trainval(tmp_path: Path) -> None:
    for index, name in enumerate("abc"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg", index * 50)
        xml = tmp_path / "Annotations" / f"{name}.xml"
        xml.parent.mkdir(exist_ok=True)
        xml.write_text("<annotation><object><name>cat</name></object></annotation>")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, names in {"train": "a", "trainval": "ab", "val": "b", "test": "bc"}.items():
        (lists / f"{split}.txt").write_text("\n".join(names))
    report = validate(tmp_path)
    assert {(one.kind, Path(one.place).name, one.what) for one in report.problems} == {
        ("shared_image", "b.xml", "is in the splits val and test: leave it in one of them"),
        ("shared_image", "b.xml", "is in the splits test and trainval: leave it in one of them"),
    }


def test_broken_annotation_files_do_not_stop_the_check(tmp_path: Path) -> None:
    for index, name in enumerate("abcde"):
        picture(tmp_path / f"{name}.jpg", index * 40)
        (tmp_path / f"{name}.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "a.xml").write_text("<annotation>\n<object></annotation>")
    (tmp_path / "b.xml").write_text("<annotation><object><name>dgo</name></object></annotation>")
    (tmp_path / "c.jpg").unlink()
    cut(tmp_path / "d.jpg")
    (tmp_path / "e.xml").write_text("<annotation></annotation>")
    report = validate(tmp_path)
    assert [(one.level, one.kind, Path(one.place.split(", line")[0]).name) for one in report.problems] == [
        ("error", "malformed_xml", "a.xml"),
        ("error", "unknown_class", "b.xml"),
        ("error", "missing_image", "c.xml"),
        ("error", "truncated_image", "d.xml"),
        ("warning", "no_label", "e.xml"),
    ]
    assert report.problems[0].place.endswith("a.xml, line 2")


def test_what_cannot_be_read_at_all_is_no_report(tmp_path: Path) -> None:
    for name, content in {"a.json": "{", "b.csv": "cat\n1", "c.xlsx": ""}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(DatasetError):
            validate(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DatasetError, match="is neither a folder nor a file"):
        validate(tmp_path / "pipe.csv")
    with pytest.raises(DatasetError, match="does not exist"):
        validate(tmp_path / "nowhere")


def test_problems_of_a_coco_file_and_of_a_list_have_their_kinds(tmp_path: Path) -> None:
    for shade, name in enumerate("abc"):
        picture(tmp_path / f"{name}.jpg", shade * 50)
    images = [(1, "a.jpg"), (1, "b.jpg"), (2, "b.jpg"), (3, "c.jpg")]
    pairs = [(1, 5), (2, 6), (9, 5), (2, 5)]
    document = {
        "images": [{"id": identity, "file_name": name} for identity, name in images],
        "annotations": [{"id": i, "image_id": image, "category_id": kind} for i, (image, kind) in enumerate(pairs)],
        "categories": [{"id": 5, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    (tmp_path / "own.json").write_text(json.dumps(document))
    found = kinds(validate(tmp_path / "own.json"))
    assert {kind: len(told) for kind, told in found.items()} == {
        "duplicate_id": 1,
        "unknown_id": 1,
        "unknown_class": 1,
        "no_label": 1,
        "empty_class": 1,
    }
    assert found["duplicate_id"][0].startswith(f"{tmp_path}/own.json, image 2 (id 1): another image has the same id")
    assert found["no_label"][0].startswith(f"{tmp_path}/own.json, image id 3: holds no class")
    (tmp_path / "list.txt").write_text("a.jpg 0\n\nb.jpg\na.jpg 1\nabsent.jpg 1\nc.jpg -4\n")
    found = kinds(validate(tmp_path / "list.txt"))
    places = {
        kind: [told.removeprefix(f"{tmp_path}/list.txt, ").split(":")[0] for told in found[kind]] for kind in found
    }
    assert places == {
        "duplicate_id": ["line 4"],
        "bad_value": ["line 6"],
        "missing_image": ["line 5"],
        "no_label": ["line 3"],
    }


def test_a_link_to_itself_does_not_hide_the_other_images_of_a_voc_folder(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "b.jpg")
    for name in "ab":
        (tmp_path / f"{name}.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    assert [(one.kind, Path(one.place).name) for one in validate(tmp_path).problems] == [("missing_image", "b.xml")]


def test_labels_and_splits_that_may_be_meant_otherwise_are_warnings(tmp_path: Path) -> None:
    for shade, name in enumerate("abc"):
        picture(tmp_path / f"{name}.jpg", shade * 50)
    table = tmp_path / "labels.csv"
    table.write_text("image,label,split\na.jpg,cat,train\nb.jpg,dog,train\nc.jpg,cat;dog,trian\n")
    report = validate(table)
    assert report.ok
    told = {one.kind: one.place for one in report.of_level("warning")}
    assert {kind: told[kind] for kind in ("several_labels", "unknown_split")} == {
        "several_labels": f"{table}, line 4",
        "unknown_split": f"{table}, line 4",
    }


def test_images_named_from_another_folder_are_no_orphans(tmp_path: Path) -> None:
    for shade, name in enumerate(["0.jpg", "1.jpg", "sub/2.jpg", "stray.jpg"]):
        picture(tmp_path / "photos" / name, shade * 40)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    table = tmp_path / "photos/labels.csv"
    table.write_text("image,cat\n0.jpg,1\n../photos/1.jpg,1\n../link/sub/2.jpg,1\nsub/../../photos/sub/3.jpg,1\n")
    assert [Path(one.place) for one in validate(table).problems if one.kind == "orphan_image"] == [
        tmp_path / "photos/stray.jpg"
    ]
