"""VOC is found however it was unpacked, and both sources of its labels agree; what is missing is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nctools.data.annotations import Annotations
from nctools.data.published.facts import VOC_CLASSES
from nctools.data.sets.voc import label_masks, voc_annotations
from nctools.data.sets.voc_folders import VocSet, find_voc_set
from nctools.data.sets.voc_xml import VocObject
from nctools.errors import DatasetError
from tests.data.voc_tree import VocImage, VocTree, annotation, make_voc_tree, write_year


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> VocTree:
    return make_voc_tree(tmp_path_factory.mktemp("voc"))


@pytest.fixture
def own_tree(tree: VocTree, tmp_path: Path) -> VocTree:
    """A copy that a test may damage."""
    shutil.copytree(tree.root, tmp_path / "copy")
    folders = [tmp_path / "copy" / folder.relative_to(tree.root) for folder in (tree.voc2012, tree.voc2007)]
    return VocTree(tmp_path / "copy", folders[0], folders[1], tree.train, tree.test)


def assert_images(found: Annotations, images: list[VocImage]) -> None:
    assert found.ids == [image.id for image in images]
    assert found.files == [f"JPEGImages/{image.id}.jpg" for image in images]
    assert found.class_names == list(VOC_CLASSES)
    assert [set(np.array(VOC_CLASSES)[row == 1]) for row in found.labels] == [set(image.classes) for image in images]
    assert found.doubtful is not None
    assert [set(np.array(VOC_CLASSES)[row == 1]) for row in found.doubtful] == [
        set(image.only_difficult) for image in images
    ]
    assert found.labels.dtype == np.uint8
    assert found.doubtful.dtype == np.uint8


def test_the_tree_has_what_tests_rely_on(tree: VocTree) -> None:
    for images, least in ((tree.train, 2), (tree.test, 1)):
        for name in VOC_CLASSES:
            assert sum(name in image.classes and name not in image.only_difficult for image in images) >= least
        assert any(image.only_difficult for image in images)
        assert [image.id for image in images] == sorted({image.id for image in images})
    assert (tree.train[0].id, tree.test[0].id) == ("2008_000023", "000001")
    with Image.open(tree.voc2007 / "JPEGImages" / "000001.jpg") as image:
        assert (image.size, image.format) == ((48, 40), "JPEG")
    assert "<part>" in annotation(VocImage("a", ("person",)))


def test_the_tree_is_a_function_of_its_seed(tree: VocTree, tmp_path: Path) -> None:
    again, other = make_voc_tree(tmp_path / "a"), make_voc_tree(tmp_path / "b", seed=1)
    assert (again.train, again.test) == (tree.train, tree.test)
    assert other.train != tree.train
    picture = Path("JPEGImages", "000001.jpg")
    assert (again.voc2007 / picture).read_bytes() == (tree.voc2007 / picture).read_bytes()


@pytest.mark.parametrize("source", ["xml", "lists"])
def test_labels_are_those_of_the_tree(source: str, tree: VocTree) -> None:
    train = voc_annotations(tree.root, "2012", "trainval", source=source)  # type: ignore[arg-type]
    test = voc_annotations(tree.root, "2007", "test", source=source)  # type: ignore[arg-type]
    assert_images(train.checked(), tree.train)
    assert_images(test.checked(), tree.test)
    assert (train.name, train.root, test.root) == ("VOC2012 trainval", tree.voc2012, tree.voc2007)
    assert all(path.is_file() for path in train.paths + test.paths)


def test_the_other_sets_of_2012(tree: VocTree) -> None:
    assert_images(voc_annotations(tree.root, "2012", "train"), tree.train[::2])
    assert_images(voc_annotations(tree.root, "2012", "val", source="lists"), tree.train[1::2])


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())), min_size=1))
def test_masks_equal_their_definition(images: list[list[tuple[str, bool]]]) -> None:
    labels, doubtful = label_masks([[VocObject(*one) for one in image] for image in images], {"a": 0, "b": 1})
    for row, image in enumerate(images):
        for column, name in enumerate("ab"):
            marks = [difficult for other, difficult in image if other == name]
            assert labels[row, column] == bool(marks)
            assert doubtful[row, column] == (bool(marks) and all(marks))


def both_sets(root: Path) -> tuple[VocSet, VocSet]:
    return find_voc_set(root, "2012", "trainval"), find_voc_set(root, "2007", "test")


@pytest.mark.parametrize("start", ["", "VOCdevkit"])
@pytest.mark.parametrize("above", ["", "data", "data/deeper"])
def test_voc_is_found_from_several_folders(start: str, above: str, own_tree: VocTree) -> None:
    if above:
        (own_tree.root / above).mkdir(parents=True)
        shutil.move(own_tree.root / "VOCdevkit", own_tree.root / above)
    root = own_tree.root / start if not above else own_tree.root
    trainval, test = both_sets(root)
    if above == "data/deeper":  # four levels down
        assert (trainval.folder, test.folder) == (None, None)
        return
    devkit = own_tree.root / above / "VOCdevkit"
    assert (trainval.missing, test.missing, test.folder) == ("", "", devkit / "VOC2007")
    assert str(trainval) == f"VOC2012 trainval: 40 images in {devkit / 'VOC2012'}"
    assert (test.listed, test.annotated, test.pictured) == (24, 24, 24)


def test_archives_side_by_side_and_two_folders_of_2007(tmp_path: Path) -> None:
    tree = make_voc_tree(tmp_path, side_by_side=True)
    # Sorted before that of test: the first that is met is not the one that is wanted.
    trainval = tmp_path / "VOC-of-2007" / "VOCdevkit" / "VOC2007"
    write_year(trainval, tree.train[:20], {"trainval": tree.train[:20]})
    assert [found.folder for found in both_sets(tmp_path)] == [tree.voc2012, tree.voc2007]
    assert find_voc_set(tmp_path, "2007", "val").others == (trainval, tree.voc2007)
    assert find_voc_set(tmp_path, "2007", "trainval").folder == trainval
    assert not any(found.choice for found in both_sets(tmp_path))
    # A list without annotations, as in the archive without them, loses against one with them.
    shutil.copy(tree.voc2007 / "ImageSets" / "Main" / "test.txt", trainval / "ImageSets" / "Main")
    found = find_voc_set(tmp_path, "2007", "test")
    assert found.folder == tree.voc2007
    assert found.choice == f"VOC2007 test is taken from {tree.voc2007}, not from {trainval}"
    assert_images(voc_annotations(tmp_path, "2007", "test"), tree.test)


def test_the_folder_of_a_year_is_taken_with_the_other_one_beside_it(
    own_tree: VocTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    years = (own_tree.voc2012, own_tree.voc2007)
    # Another folder of the year that the user gave is not looked at.
    shutil.copytree(own_tree.voc2012, own_tree.voc2012.with_name("VOC2012_old"))
    for root in years:
        assert tuple(found.folder for found in both_sets(root)) == years
    assert find_voc_set(own_tree.voc2012, "2012", "trainval").passed_over == ()
    monkeypatch.chdir(own_tree.voc2012)
    assert len(voc_annotations("", "2012", "trainval")) == 40
    assert len(voc_annotations("", "2007", "test")) == 24
    shutil.rmtree(own_tree.voc2007)
    message = r"no folder VOC2007 is in .*VOC2012 or up to 3 levels below, nor beside it\. It comes with VOCtest"
    with pytest.raises(DatasetError, match=message):
        voc_annotations(own_tree.voc2012, "2007", "test")


@pytest.mark.parametrize("part", ["JPEGImages", "Annotations", "ImageSets/Main"])
def test_a_part_of_a_year_sends_to_the_folder_above(part: str, tree: VocTree) -> None:
    with pytest.raises(DatasetError) as caught:
        voc_annotations(tree.voc2012 / part, "2012", "trainval")
    assert str(caught.value) == (
        f"VOC2012 trainval was not found: {tree.voc2012 / part} is a part of VOC2012; give the folder above, "
        f"{tree.voc2012.parent}"
    )


def test_links_are_followed_but_not_in_circles(tree: VocTree, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree.root)
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "the same").symlink_to(tree.root)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    folders = [found.folder for found in both_sets(tmp_path)]
    assert folders == [tmp_path / "link/VOCdevkit/VOC2012", tmp_path / "link/VOCdevkit/VOC2007"]


def test_a_folder_that_cannot_be_read_is_passed_over(own_tree: VocTree, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_tree.root / "A").mkdir()
    real = os.scandir

    def scandir(path: str | os.PathLike[str]) -> object:
        if os.fspath(path).endswith("A"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert [found.missing for found in both_sets(own_tree.root)] == ["", ""]


def test_missing_test_annotations_are_named_with_their_archive(own_tree: VocTree) -> None:
    folder = own_tree.voc2007 / "Annotations"
    for file in sorted(folder.iterdir())[:3]:
        file.unlink()
    assert find_voc_set(own_tree.root, "2007", "test").missing == (
        f"VOC2007 test is not complete: 3 of its 24 annotation files are not in {folder}. It comes with "
        "VOCtest_06-Nov-2007.tar, an archive apart from that of VOC2007 trainval, which is to be unpacked in "
        f"{own_tree.root}"
    )
    read = voc_annotations(own_tree.root, "2007", "test")
    assert [problem.place for problem in read.problems] == [str(folder / f"{i.id}.xml") for i in own_tree.test[:3]]
    shutil.rmtree(folder)
    (own_tree.root / "VOCtest_06-Nov-2007.tar").touch()
    with pytest.raises(DatasetError, match=r"24 of its 24 annotation.* Unpack .*VOCtest_06-Nov-2007\.tar$"):
        voc_annotations(own_tree.root, "2007", "test")
    assert len(voc_annotations(own_tree.root, "2007", "test", source="lists")) == 24


def test_other_things_that_are_missing(own_tree: VocTree) -> None:
    (own_tree.voc2012 / "JPEGImages" / f"{own_tree.train[5].id}.jpg").unlink()
    (own_tree.voc2007 / "ImageSets" / "Main" / "test.txt").unlink()
    train, test = (found.missing for found in both_sets(own_tree.root))
    assert "1 of its 40 image files are not in" in train
    assert "It comes with VOCtrainval_11-May-2012.tar which is to be unpacked" in train
    assert test.startswith(
        f"VOC2007 test was not found: ImageSets/Main/test.txt is not in {own_tree.voc2007}. It comes"
    )
    with pytest.raises(DatasetError, match="The labels of this set were never published: test on VOC2007 test"):
        voc_annotations(own_tree.root, "2012", "test")
    with pytest.raises(DatasetError, match=r"VOCtrainval_06-Nov-2007\.tar"):
        voc_annotations(own_tree.root, "2007", "trainval")
    shutil.rmtree(own_tree.root / "VOCdevkit")
    with pytest.raises(
        DatasetError, match=r"VOC2012 trainval was not found: no folder VOC2012 is in .* 3 levels below\."
    ):
        voc_annotations(own_tree.root, "2012", "trainval")


def test_roots_that_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "VOC.tar").touch()
    with pytest.raises(DatasetError, match=r"VOC\.tar is a file: unpack it"):
        find_voc_set(tmp_path / "VOC.tar", "2007", "test")
    with pytest.raises(DatasetError, match="VOC does not exist: give the folder that holds VOCdevkit"):
        find_voc_set(tmp_path / "VOC", "2007", "test")


def test_wrong_arguments(tree: VocTree) -> None:
    with pytest.raises(ValueError, match=r'`year` is 2012: give "2012" or "2007"'):
        voc_annotations(tree.root, 2012, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`image_set` is '\.\./x': give"):
        voc_annotations(tree.root, "2012", "../x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`source` is 'csv': give"):
        voc_annotations(tree.root, "2012", "test", source="csv")  # type: ignore[arg-type]


def test_problems_of_single_files_do_not_stop_the_others(own_tree: VocTree) -> None:
    files = [own_tree.voc2012 / "Annotations" / f"{image.id}.xml" for image in own_tree.train]
    files[0].write_text(files[0].read_text().replace("<name>aeroplane", "<name>airplane"))
    files[1].write_text("<annotation>\n<object>\n")
    listed = own_tree.voc2012 / "ImageSets" / "Main" / "trainval.txt"
    listed.write_text(f"{own_tree.train[3].id}\n" + listed.read_text() + "\n  \n../../etc\n")
    found = voc_annotations(own_tree.root, "2012", "trainval")
    assert len(found) == 41
    problems = [(problem.place, problem.what) for problem in found.problems]
    assert [place for place, _ in problems] == [
        f"{listed}, line 5",
        f"{files[1]}, line 3",
        f"{listed.parents[2] / 'Annotations' / '../../etc'}.xml",
        str(files[0]),
    ]
    assert [what for _, what in problems] == [
        f"{own_tree.train[3].id!r} was listed before, in line 1: remove one of the two",
        "is not well-formed XML (no element found): mend the file, or unpack it again",
        "this annotation file does not exist: unpack it again",
        "'airplane' is none of the 20 classes: correct the name",
    ]
    assert found.labels[found.ids.index(own_tree.train[1].id)].sum() == 0
    np.testing.assert_array_equal(
        found.labels[found.ids.index(own_tree.train[4].id)],
        [name in own_tree.train[4].classes for name in VOC_CLASSES],
    )


def test_problems_of_the_lists_of_classes(own_tree: VocTree) -> None:
    file = own_tree.voc2007 / "ImageSets" / "Main" / "cat_test.txt"
    lines = file.read_text().splitlines()
    lines[1:4] = ["000004  2", "999999 -1", lines[0]]
    file.write_text("\n".join(lines))
    found = voc_annotations(own_tree.root, "2007", "test", source="lists")
    assert [str(problem).removeprefix(str(file)) for problem in found.problems] == [
        ", line 2: '000004  2' is not an id and one of 1, 0, -1",
        ", line 3: '999999' is not in the list of the images",
        ", line 4: '000001' was listed before: remove one of the two",
        ": says nothing of 3 images of test.txt, first '000004'",
    ]
    file.unlink()
    with pytest.raises(DatasetError, match=r"cat_test\.txt does not exist"):
        voc_annotations(own_tree.root, "2007", "test", source="lists")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n \n", r"test\.txt names no image: unpack VOCtest"), (b"\xff\x00\xff", r"test\.txt is not text in UTF-8")],
)
def test_lists_that_are_no_lists(content: bytes, message: str, own_tree: VocTree) -> None:
    (own_tree.voc2007 / "ImageSets" / "Main" / "test.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        voc_annotations(own_tree.root, "2007", "test")


def test_lists_of_windows_are_read(own_tree: VocTree) -> None:
    file = own_tree.voc2007 / "ImageSets" / "Main" / "test.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert_images(voc_annotations(own_tree.root, "2007", "test"), own_tree.test)


def test_progress_is_told_now_and_then(tmp_path: Path, tree: VocTree) -> None:
    images = [VocImage(f"{index:06d}", ("cat",)) for index in range(501)]
    write_year(tmp_path / "VOC2007", images, {"test": images})
    calls: list[tuple[int, int]] = []
    voc_annotations(tmp_path, "2007", "test", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 501), (250, 501), (500, 501), (501, 501)]
    calls.clear()
    voc_annotations(tree.root, "2007", "test", source="lists", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 20) for done in range(21)]


def test_sources_of_labels_are_what_is_read(tree: VocTree) -> None:
    found = find_voc_set(tree.root, "2007", "test")
    assert found.label_sources == [found.id_list, tree.voc2007 / "Annotations"]
    assert found.id_list.is_file()
