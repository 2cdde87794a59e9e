"""A folder of the user's own with annotations in the form of VOC is read in each of its usual layouts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nctools.data.own.voc_files import read_voc_folder
from nctools.errors import DatasetError

CONTENT = {"a": ["dog", "cat"], "b": ["dog"], "c": []}


def put(folder: Path, content: dict[str, list[str]] | None = None, *, filename: str = "", difficult: str = "0") -> Path:
    """Write an annotation file for each image."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, classes in (CONTENT if content is None else content).items():
        objects = "".join(f"<object><name>{c}</name><difficult>{difficult}</difficult></object>" for c in classes)
        inside = f"<filename>{filename}</filename>" if filename else ""
        (folder / f"{name}.xml").write_text(f"<annotation>{inside}{objects}</annotation>")
    return folder


def put_images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        *(("Annotations", "JPEGImages"), ("annotations", "images"), ("Annotations", "Images")),
        *(("", ""), ("", "images"), ("Annotations", "Annotations"), ("Annotations", "")),
    ],
)
def test_layouts(annotations: str, images: str, tmp_path: Path) -> None:
    root = tmp_path / "pets"
    put(root / annotations)
    put_images(root / images, "a.jpg", "b.PNG", "c.jpeg", "without_annotation.jpg", "notes.txt")
    found, splits = read_voc_folder(root)
    assert found.problems == []
    assert (found.name, found.ids, found.class_names, splits) == ("pets", ["a", "b", "c"], ["cat", "dog"], {})
    prefix = f"{images}/" if images else ""
    assert found.files == [f"{prefix}a.jpg", f"{prefix}b.PNG", f"{prefix}c.jpeg"]
    assert all(path.is_file() for path in found.paths)
    assert found.labels.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert found.doubtful is not None
    assert not found.doubtful.any()


def test_difficult_objects_are_present_and_doubtful(tmp_path: Path) -> None:
    put(tmp_path, {"a": ["cat"]}, difficult="1")
    put_images(tmp_path, "a.jpg")
    found, _ = read_voc_folder(tmp_path)
    assert found.doubtful is not None
    assert (found.labels.tolist(), found.doubtful.tolist()) == ([[1]], [[1]])


@pytest.mark.parametrize(
    ("inside", "present", "file"),
    [
        ("other.jpg", ["a.jpg"], "a.jpg"),  # the image was renamed, the text in the file was not
        ("other.jpg", ["a.jpg", "other.jpg"], "a.jpg"),
        ("a.png", ["a.jpg", "a.png"], "a.png"),
        ("", ["a.jpg", "a.png"], "a.jpg"),
        ("photo.jpg", ["photo.jpg"], "photo.jpg"),
        (r"C:\photos\photo.jpg", ["photo.jpg"], "photo.jpg"),
        ("../../photo.jpg", ["photo.jpg"], "photo.jpg"),
    ],
)
def test_the_image_of_an_annotation_file(inside: str, present: list[str], file: str, tmp_path: Path) -> None:
    put(tmp_path / "Annotations", {"a": ["cat"]}, filename=inside)
    put_images(tmp_path / "images", *present)
    found, _ = read_voc_folder(tmp_path)
    assert (found.files, found.problems) == ([f"images/{file}"], [])


def test_images_that_are_missing_or_shared_are_problems(tmp_path: Path) -> None:
    put(tmp_path / "Annotations", {"a": ["cat"]})
    put(tmp_path / "Annotations", {"b": ["cat"], "c": ["cat"]}, filename="photo.jpg")
    put(tmp_path / "Annotations", {"d": ["cat"]}, filename="gone.jpg")
    put_images(tmp_path / "images", "photo.jpg")
    found, _ = read_voc_folder(tmp_path)
    assert found.files == [f"images/{name}" for name in ("a.jpg", "photo.jpg", "photo.jpg", "gone.jpg")]
    folder, images = tmp_path / "Annotations", tmp_path / "images"
    assert [str(problem) for problem in found.problems] == [
        f"{folder / 'a.xml'}: {images} has no image called 'a': add it",
        f"{folder / 'c.xml'}: its image 'photo.jpg' is that of b.xml too: correct <filename>",
        f"{folder / 'd.xml'}: {images} has no image called 'd', nor the file 'gone.jpg': add it",
    ]


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt", "Annotations/classes.txt"])
def test_a_list_of_classes_gives_their_order(name: str, tmp_path: Path) -> None:
    put(tmp_path / "Annotations", CONTENT | {"c": ["car"]})
    put_images(tmp_path / "images", "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / name).write_text("dog\n\n traffic   light \ncat\n")
    found, _ = read_voc_folder(tmp_path)
    assert found.class_names == ["dog", "traffic light", "cat"]
    assert found.labels.tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 0]]
    assert [str(problem) for problem in found.problems] == [
        f"{tmp_path / 'Annotations' / 'c.xml'}: 'car' is none of the 3 classes: correct the name"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [("\n", r"classes\.txt names no class: write one in each line"), ("dog\ncat\ndog\n", "names the class 'dog' more")],
)
def test_wrong_lists_of_classes(content: str, message: str, tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "classes.txt").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_voc_folder(tmp_path)


def test_lists_of_splits(tmp_path: Path) -> None:
    put(tmp_path / "Annotations")
    put_images(tmp_path / "JPEGImages", "a.jpg", "b.jpg", "c.jpg")
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("c\na\n")
    (main / "val.txt").write_text("")
    (main / "test.txt").write_text("b\nb\nb.jpg\n")
    (main / "dog_train.txt").write_text("a 1\n")
    found, splits = read_voc_folder(tmp_path)
    assert splits == {"train": ["c", "a"], "val": [], "test": ["b"]}
    assert [str(problem) for problem in found.problems] == [
        f"{main / 'test.txt'}, line 2: 'b' was listed before, in line 1: remove one of the two",
        f"{main / 'test.txt'}, line 3: 'b.jpg' has no annotation file: write the name of its .xml file without the "
        "suffix",
    ]


def test_a_damaged_file_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    put(tmp_path)
    put_images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "b.xml").write_text("<annotation>\n<object>")
    found, _ = read_voc_folder(tmp_path)
    assert (found.ids, found.labels.tolist()) == (["a", "b", "c"], [[1, 1], [0, 0], [0, 0]])
    assert [problem.place for problem in found.problems] == [f"{tmp_path / 'b.xml'}, line 2"]


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone does not exist: give ROOT/Annotations/\*\.xml with the images in"):
        read_voc_folder(tmp_path / "gone")
    put_images(tmp_path / "Annotations", "a.json", "._a.xml")
    with pytest.raises(DatasetError, match=r"Annotations has no file that ends in \.xml \(2 other files\): give ROOT"):
        read_voc_folder(tmp_path)
    with pytest.raises(DatasetError, match="is no folder: give"):
        read_voc_folder(tmp_path / "Annotations" / "a.json")
    put(tmp_path / "Annotations", {"a": [], "b": []})
    with pytest.raises(DatasetError, match=r"Annotations has 2 \.xml files, but none of them holds an object"):
        read_voc_folder(tmp_path)


def test_progress_is_told(tmp_path: Path) -> None:
    put(tmp_path)
    calls: list[tuple[int, int]] = []
    read_voc_folder(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (3, 3)]


def test_the_modules_load_without_torch() -> None:
    modules = ("own.voc_files", "sets.voc", "sets.voc_folders", "sets.voc_xml", "label_cache")
    code = (
        f"import sys; {'; '.join(f'import nctools.data.{name}' for name in modules)}; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
