"""Published split files are recognised by what they hold; whatever else is given is one clear line, and never run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from nctools.data.published import content as published_content
from nctools.data.published.content import recognise
from nctools.data.published.facts import PUBLISHED_SPLITS
from nctools.data.published.file import UnknownContentError
from nctools.data.split_file import SplitFile, save_split
from nctools.errors import DatasetError
from tests.data.made_up_splits import made_up, write_pickle


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
@pytest.mark.parametrize("source", ["voc", "coco"])
def test_class_freq_holds_labels_and_counts(source: str, protocol: int, tmp_path: Path) -> None:
    split = made_up(source)
    found = recognise(write_pickle(tmp_path / "whatever", split.class_freq(), protocol))
    assert (found.kind, found.source, found.counts) == ("class_freq", source, split.counts)
    assert found.sha256 == hashlib.sha256((tmp_path / "whatever").read_bytes()).hexdigest()
    assert found.labels is not None
    assert found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, split.labels)
    assert found.summary == f"labels of 150 images, {len(split.counts)} classes"


@pytest.mark.parametrize("protocol", [2, 4])
def test_class_split_in_sets_or_lists_with_middle_or_medium(protocol: int, tmp_path: Path) -> None:
    split = made_up().class_split()
    found = recognise(write_pickle(tmp_path / "a.pkl", split, protocol))
    assert found.kind == "class_split"
    assert found.groups is not None
    assert list(found.groups) == ["head", "medium", "tail"]
    assert found.groups["medium"] == sorted(split["middle"])  # type: ignore[call-overload]
    lists = {{"middle": "medium"}.get(key, key): list(value) for key, value in split.items()}  # type: ignore[call-overload]
    assert recognise(write_pickle(tmp_path / "b.pkl", lists, protocol)).groups == found.groups


def test_terse_gt_holds_labels_of_all_images(tmp_path: Path) -> None:
    found = recognise(write_pickle(tmp_path / "terse_gt_2012.pkl", made_up().all_labels()))
    assert (found.kind, found.source) == ("all_labels", "voc")
    assert found.ids is not None
    assert found.labels is not None
    assert len(found.ids) == len(found.labels) == 151
    document = made_up("coco").all_labels()
    document["idx2img_id"] = [int(name) for name in document["idx2img_id"]]  # type: ignore[attr-defined]
    assert recognise(write_pickle(tmp_path / "b.pkl", document)).ids == made_up("coco").all_labels()["idx2img_id"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "  \n\n"])
@pytest.mark.parametrize("source", ["voc", "coco"])
def test_lists_of_ids_are_text_whatever_their_name(source: str, ending: str, tmp_path: Path) -> None:
    ids = made_up(source).ids
    found = recognise(written(tmp_path / "img_id.pkl", "".join(name + ending for name in ids)))
    assert (found.kind, found.source, found.ids, found.refused) == ("ids", source, ids, "")
    assert found.title.endswith(f"img_id.pkl (150 {source.upper()} ids)")


def test_counts_in_one_line(tmp_path: Path) -> None:
    found = recognise(written(tmp_path / "distribution.txt", "1240,   35,  268," + "7," * 77))
    assert (found.kind, found.source, found.counts) == ("class_counts", "coco", [1240, 35, 268] + [7] * 77)
    vg = recognise(write_pickle(tmp_path / "class_freq.pkl", {"class_freq": np.arange(200)}))
    assert (vg.kind, vg.source, vg.summary) == ("class_counts", "vg", "counts of 200 classes, 19,900 labels")


@pytest.mark.parametrize("source", ["voc", "coco"])
def test_partial_labels_come_in_the_class_order_of_nctools(source: str, tmp_path: Path) -> None:
    split = made_up(source)
    found = recognise(split.write_partial(tmp_path / "PLT_train.json"))
    assert (found.kind, found.source, found.ids) == ("partial_labels", source, split.ids)
    np.testing.assert_array_equal(found.labels, split.labels)


def test_partial_labels_with_the_known_counts_in_alphabetical_order_stay_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = made_up()
    rows = dict(zip((f"{name}.jpg" for name in split.ids), split.labels.tolist(), strict=True))
    path = written(tmp_path / "a.json", json.dumps(rows))
    assert not np.array_equal(recognise(path).labels, split.labels)  # type: ignore[arg-type]
    monkeypatch.setitem(PUBLISHED_SPLITS, "plt_voc", split.facts("plt_voc"))
    np.testing.assert_array_equal(recognise(path).labels, split.labels)


def test_pair_counts_with_any_diagonal(tmp_path: Path) -> None:
    wide = made_up().labels.astype(np.int32)
    np.save(tmp_path / "a.npy", wide.T @ wide)
    found = recognise(tmp_path / "a.npy")
    assert (found.kind, found.source, found.summary) == ("co_occurrence", "voc", "co-occurrence of 20 classes")
    np.testing.assert_array_equal(found.pairs, wide.T @ wide)


def test_label_lists_are_known_and_say_what_to_do_instead(tmp_path: Path) -> None:
    text = "VOCdevkit/VOC2012/JPEGImages/2008_000023.jpg 14 4 19 \nVOCdevkit/VOC2012/JPEGImages/2008_000028.jpg\n"
    found = recognise(written(tmp_path / "voc_lt_train.txt", text))
    assert (found.kind, found.source, found.ids) == ("label_list", "voc", ["2008_000023", "2008_000028"])
    assert "load it as data of your own" in found.refused
    coco = recognise(written(tmp_path / "a.txt", "val2017/000000397133.jpg 0 39\n"))
    assert (coco.source, coco.ids) == ("coco", ["397133"])


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (
            [str(100 + n) for n in range(1886)],
            "1,886 images of another draw .* img_id.pkl inside of the folder longtail2",
        ),
        ([str(100 + n) for n in range(5000)], "5,000 images, as many as COCO val2017 has"),
        ([f"{n:06}" for n in range(1, 40)], "images of VOC2007, the test set"),
    ],
)
def test_id_lists_of_other_sets_are_refused_with_the_reason(ids: list[str], reason: str, tmp_path: Path) -> None:
    found = recognise(written(tmp_path / "img_id.txt", "\n".join(ids)))
    assert found.kind == "ids"
    assert re.search(reason, found.refused)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        (
            (23, 29, 28),
            "another draw of 1,886 COCO images; the groups of COCO-LT (22 / 33 / 25) are in class_split.pkl",
        ),
        ((43, 31, 6), "neither COCO-LT (22 / 33 / 25) nor PLT-COCO (25 / 29 / 26)"),
        ((10, 7, 3), "neither VOC-LT (6 / 6 / 8) nor PLT-VOC (8 / 7 / 5)"),
        ((22, 33, 25), ""),
        ((6, 6, 8), ""),
    ],
)
def test_groups_of_other_draws_are_refused_with_the_reason(
    sizes: tuple[int, int, int], reason: str, tmp_path: Path
) -> None:
    order = np.random.default_rng(0).permutation(sum(sizes))
    head, middle, tail = np.split(order, np.cumsum(sizes)[:2])
    found = recognise(write_pickle(tmp_path / "a.pkl", {"head": set(head), "middle": set(middle), "tail": set(tail)}))
    assert reason in found.refused
    assert bool(reason) == bool(found.refused)


def test_graphs_of_ml_gcn_are_refused_with_the_reason(tmp_path: Path) -> None:
    found = recognise(write_pickle(tmp_path / "voc_adj.pkl", {"nums": np.arange(20), "adj": np.zeros((20, 20))}))
    assert found.kind == "adjacency"
    assert "VOC2007 trainval or of all COCO training images (ML-GCN), not of a long-tailed set" in found.refused


def changed(key: str, change: object) -> dict[str, object]:
    document = made_up().class_freq()
    value = document[key]
    if callable(change):
        document[key] = change(value)
    else:
        document[key] = change
    return document


def with_entry(place: tuple[int, ...] | int, entry: float) -> object:
    def change(value: object) -> object:
        value[place] = entry  # type: ignore[index]
        return value

    return change


def with_row(number: int, row: object) -> object:
    def change(rows: list[object]) -> object:
        return [*rows[: number - 1], row, *rows[number:]]

    return change


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("gt_labels", [], "gt_labels must be a list with an array"),
        ("gt_labels", with_row(17, np.zeros(19, np.int64)), "gt_labels, image 17: 19 values, but image 1 has 20"),
        ("gt_labels", with_row(17, [0] * 20), r"image 17: \[0, 0.* is no array of zeros and ones"),
        ("gt_labels", with_row(17, np.full(20, 2)), "gt_labels, image 17, class 0: 2 is neither 0 nor 1"),
        ("class_freq", with_entry(14, 771), "class_freq of class 14 is 771, but its labels give"),
        ("class_freq", np.arange(19), "class_freq has 19 entries, but the labels have 20 classes"),
        ("class_freq", np.zeros(20), "class_freq is .*; it must be an array with a whole number"),
        ("class_freq", {}, "class_freq is {}; it must be an array"),
        ("class_freq", with_entry(14, -1), "class_freq of class 14 is -1; no class has fewer than 0"),
        ("neg_class_freq", with_entry(3, 1000), "neg_class_freq of class 3 is 1000, but it must be"),
        (
            "condition_prob",
            with_entry((2, 5), 0.123),
            "condition_prob in row 2, column 5 is 0.1230, but the labels give",
        ),
        ("condition_prob", np.zeros((20, 19)), "condition_prob must be an array of 20 x 20 shares"),
    ],
)
def test_a_class_freq_that_contradicts_itself_is_refused(
    key: str, change: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        recognise(write_pickle(tmp_path / "class_freq.pkl", changed(key, change)))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"head": {0, 1}, "middle": {1}, "tail": set(range(2, 20))},
            "class 1 is in head and in medium; groups must be",
        ),
        (
            {"head": {0}, "middle": {2}, "tail": set(range(3, 21))},
            "class 1 is in no group; 20 classes are numbered from 0",
        ),
        ({"head": {-1}, "middle": {0}, "tail": set()}, "holds class -1; 2 classes"),
        ({"head": {0.5}, "middle": {0}, "tail": set()}, "head holds '0.5', which is no class index"),
        ({"head": {True}, "middle": {0}, "tail": set()}, "head holds 'True', which is no class index"),
        ({"head": 3, "middle": {0}, "tail": set()}, "head is 3; it must be a set"),
        ({"head": {0}, "middle": {1}, "tail": {2}}, "has 3 classes; published files have 20 .VOC., 80 .COCO. or 200"),
        (
            {"gt_labels": [np.zeros(20, int)] * 2, "idx2img_id": ["2008_000001"]},
            "idx2img_id must list the ids of 2 images",
        ),
        ({"gt_labels": [np.zeros(20, int)], "idx2img_id": 3}, "idx2img_id must list the ids of 1 images"),
        ({"nums": 3, "adj": 3}, "nums is 3"),
        ({"a": 1, "b": 2}, "is a pickle with the keys a, b: no published split file has those"),
        ({}, r"with the keys \(none\)"),
    ],
)
def test_other_dicts_are_refused(document: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        recognise(write_pickle(tmp_path / "a.pkl", document))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("terse_gt_2017.pkl", b"", r"terse_gt_2017\.pkl is empty \(0 bytes\); such copies circulate: get it again"),
        ("a.txt", b" \n", r"is empty \(nothing but blanks\)"),
        ("category.txt", b"person\nbicycle\n", "is unknown: it begins with 'person'"),
        ("a.txt", b"1\n2\n3\n", "is unknown: it begins with '1'"),
        ("a.txt", b"cat.jpg 1 2\n", "is unknown"),
        ("a.txt", b"1,2,x\n", "is unknown"),
        ("a.txt", b"1,2,3\n", "has 3 classes"),
        ("a.json", b'{"images": []}', 'is unknown: it begins with \'."images"'),
        ("a.json", b'{"cat.jpg": [0, 1]}', "names images such as 'cat.jpg', which are not of VOC2012 or COCO"),
        ("a.pkl", b"\x80\x02garbage", "is not a readable pickle"),
        ("a.npy", b"\x93NUMPY\x01\x00garbage", "is no readable .npy file"),
    ],
)
def test_unknown_files_are_one_clear_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownContentError, match=message) as caught:
        recognise(written(tmp_path / name, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"2008_000023.jpg": [0, 1]}', r'image 1 \("2008_000023.jpg"\): 2 values, but VOC has 20 classes'),
        ('{"000000391895.jpg": [0, 1]}', "2 values, but COCO has 80 classes"),
        (json.dumps({"2008_000023.jpg": [0] * 19 + [2]}), r'"2008_000023.jpg"\), class 19: 2 is neither 0 nor 1'),
        (json.dumps({"2008_000023.jpg": [0] * 19 + [True]}), "class 19: True is neither 0 nor 1"),
        (json.dumps({"2008_000023.jpg": [0] * 20, "2008_000024.jpg": 5}), "image 2 .*: 5, but VOC has 20"),
        ('{"2008_000023.jpg": [0, 1], ', "is not valid JSON"),
        ('{"2008_000023.jpg": [0], "2008_000023.jpg": [0]}', "image 2: '2008_000023' is listed before, as image 1"),
        ("2008_000023\n2008_000024\n2008_000023\n", "image 3: '2008_000023' is listed before, as image 1"),
    ],
)
def test_texts_of_known_kinds_with_errors_name_the_image(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        recognise(written(tmp_path / "a.json", content))
    assert not isinstance(caught.value, UnknownContentError)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 19)), r"holds float64 \[20, 19\]; known are C x C pair counts"),
        (np.full((20, 20), 0.5), "pair counts must be whole"),
        (np.full((20, 20), np.inf), "pair counts must be whole"),
        (np.full((20, 20), -1), "not negative"),
        (np.triu(np.ones((20, 20))), "symmetric"),
        (np.array([{}]), "is no readable .npy file"),
        (np.zeros((3, 3)), "has 3 classes"),
    ],
)
def test_other_arrays_are_refused(
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DatasetError, match=message):
        recognise(tmp_path / "a.npy")


def test_missing_large_and_our_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=r"a\.pkl does not exist: give a published split file, or its folder"):
        recognise(tmp_path / "a.pkl")
    with pytest.raises(DatasetError, match="cannot be read: "):
        recognise(tmp_path)
    save_split(SplitFile("a", "voc", ["b"], ["c"], np.zeros((1, 1), np.uint8)), tmp_path / "a.json")
    with pytest.raises(DatasetError, match="is a split file of nctools already: load it as it is"):
        recognise(tmp_path / "a.json")
    monkeypatch.setattr(published_content, "_LARGEST", 2**20)
    with pytest.raises(DatasetError, match="has 2 MB; published split files have less than 1 MB"):
        recognise(written(tmp_path / "a.pkl", b"1" * 2**21))


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_hostile_pickle_is_refused_and_never_run(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "class_freq.pkl"
    path.write_bytes(pickle.dumps(made_up().class_freq() | {"x": Hostile(marker)}, protocol))
    with pytest.raises(DatasetError, match=r"it holds the name (posix|nt)\.system"):
        recognise(path)
    assert not marker.exists()


def test_three_hundred_damaged_files_are_read_or_refused_and_nothing_is_written(tmp_path: Path) -> None:
    split = made_up(num_images=12)
    marker = tmp_path / "marker"
    np.save(tmp_path / "pairs.npy", split.labels.T.astype(np.int64) @ split.labels)
    contents = [
        pickle.dumps(split.class_freq(), 2),
        pickle.dumps(split.class_split(), 4),
        pickle.dumps({"class_freq": np.arange(20), "x": Hostile(marker)}, 2),
        json.dumps(split.partial()).encode(),
        "\n".join(split.ids).encode(),
        ",".join(map(str, split.counts)).encode(),
        (tmp_path / "pairs.npy").read_bytes(),
    ]
    (tmp_path / "pairs.npy").unlink()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged"
    read = 0
    for number in range(300):
        damaged = bytearray(contents[number % len(contents)])
        # Half of them near the beginning, where the structure is.
        end = len(damaged) if number % 2 else min(len(damaged), 200)
        for place in rng.integers(0, end, rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged[: rng.integers(1, len(damaged)) if rng.random() < 0.2 else None]))
        try:
            found = recognise(path)
            read += 1
            assert found.labels is None or found.labels.max() <= 1
        except DatasetError as error:
            assert str(path) in str(error)  # noqa: PT017 - some are read
    assert 0 < read < 300
    assert [file.name for file in tmp_path.iterdir()] == ["damaged"]
