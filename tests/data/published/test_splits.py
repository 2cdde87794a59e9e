"""Published files become one split; what does not belong together or is missing is said with the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nctools.data.annotations import Annotations
from nctools.data.published.facts import COCO_CLASSES, PUBLISHED_SPLITS, VOC_CLASSES
from nctools.data.published.splits import import_published, published_groups
from nctools.data.split_file import load_split, save_split
from nctools.errors import DatasetError
from tests.data.made_up_splits import MadeUp, made_up, write_pickle


@pytest.fixture
def voc(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """A made-up set that nctools takes for VOC-LT."""
    split = made_up("voc")
    monkeypatch.setitem(PUBLISHED_SPLITS, "voc_lt", split.facts("voc_lt"))
    return split


@pytest.fixture
def plt(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    split = made_up("voc", seed=3)
    monkeypatch.setitem(PUBLISHED_SPLITS, "plt_voc", split.facts("plt_voc", in_order=False))
    return split


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_folder_becomes_the_published_split_without_a_note(voc: MadeUp, protocol: int, tmp_path: Path) -> None:
    split = import_published([voc.write(tmp_path / "longtail2012", protocol)])
    assert (split.name, split.source, split.notes) == ("voc_lt", "voc", [])
    assert split.class_names == list(VOC_CLASSES)
    assert split.ids == voc.ids
    np.testing.assert_array_equal(split.labels, voc.labels)
    assert split.groups is not None
    assert [len(group) for group in split.groups.values()] == list(PUBLISHED_SPLITS["voc_lt"].group_sizes)
    files = split.made_by["files"]
    assert isinstance(files, list)
    assert [(file["name"], file["kind"], len(file["sha256"])) for file in files] == [
        ("class_freq.pkl", "class_freq", 64),
        ("class_split.pkl", "class_split", 64),
        ("img_id.txt", "ids", 64),
    ]
    assert split.made_by["labels"] == "class_freq.pkl"
    assert str(tmp_path) not in json.dumps(split.made_by)
    save_split(split, tmp_path / "voc_lt.json")
    assert load_split(tmp_path / "voc_lt.json").made_by == split.made_by


def test_files_by_name_for_coco(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    coco = made_up("coco")
    monkeypatch.setitem(PUBLISHED_SPLITS, "coco_lt", coco.facts("coco_lt"))
    folder = coco.write(tmp_path)
    split = import_published([folder / "img_id.pkl", str(folder / "class_freq.pkl")])
    assert (split.name, split.class_names, split.groups, split.notes) == ("coco_lt", list(COCO_CLASSES), None, [])
    np.testing.assert_array_equal(split.labels, coco.labels)


@pytest.mark.parametrize("order", ["plt", "alphabetical"])
def test_partial_labels_with_their_counts(plt: MadeUp, order: str, tmp_path: Path) -> None:
    path = plt.write_partial(tmp_path / "PLT_VOC_train.json")
    columns = np.array(list(plt.partial().values())).sum(axis=0).tolist()
    counts = columns if order == "plt" else plt.counts
    (tmp_path / "distribution.txt").write_text(", ".join(map(str, counts)))
    split = import_published([tmp_path])
    assert (split.name, split.ids, split.groups) == ("plt_voc", plt.ids, None)
    assert split.notes == ["the labels before some were dropped are not in the file: they stay unknown"]
    np.testing.assert_array_equal(split.labels, plt.labels)
    assert import_published([path], name="mine").name == "mine"


def test_full_labels_of_partial_ones_come_from_the_annotations(plt: MadeUp, tmp_path: Path) -> None:
    path = plt.write_partial(tmp_path / "PLT_VOC_train.json")
    full = MadeUp("voc", plt.ids, np.maximum(plt.labels, made_up(seed=4).labels))
    split = import_published([path], labels_of=full.annotations)
    np.testing.assert_array_equal(split.full_labels, full.labels)
    np.testing.assert_array_equal(split.labels, plt.labels)
    assert split.notes == []
    terse = write_pickle(tmp_path / "terse_gt_2012.pkl", full.all_labels())
    np.testing.assert_array_equal(import_published([path, terse]).full_labels, full.labels)
    fewer = MadeUp("voc", plt.ids, plt.labels * made_up(seed=4).labels)
    split = import_published([path], labels_of=fewer.annotations)
    missing = int((plt.labels > fewer.labels).sum())
    assert split.full_labels is None
    assert split.notes[0].startswith(f"{missing} labels are not in made-up set, the first of image")


def test_ids_alone_take_their_labels_from_the_images(voc: MadeUp, tmp_path: Path) -> None:
    path = voc.write(tmp_path) / "img_id.txt"
    split = import_published([path], labels_of=voc.annotations)
    np.testing.assert_array_equal(split.labels, voc.labels)
    assert (split.notes, split.made_by["labels"]) == ([], "annotations: made-up set")
    terse = write_pickle(tmp_path / "terse_gt_2012.pkl", voc.all_labels())
    np.testing.assert_array_equal(import_published([path, terse]).labels, voc.labels)
    with pytest.raises(DatasetError, match=r"img_id\.txt \(150 VOC ids\) names images without labels: give class_freq"):
        import_published([path])


def test_annotations_of_other_images_or_classes_are_refused(voc: MadeUp, tmp_path: Path) -> None:
    path = voc.write(tmp_path) / "img_id.txt"
    with pytest.raises(DatasetError, match=r"made-up set, .* lacks 140 of 150 images, the first is"):
        import_published([path], labels_of=lambda source: voc.annotations(source).select(range(10)))

    def other_classes(source: str) -> Annotations:
        return Annotations("pets", ["cat"], voc.ids, Path(), voc.ids, np.zeros((len(voc.ids), 1), np.uint8))

    with pytest.raises(DatasetError, match=r"pets has other classes than VOC \(1 of them\)"):
        import_published([path], labels_of=other_classes)


def test_each_difference_from_the_published_set_is_a_note(voc: MadeUp, tmp_path: Path) -> None:
    other = MadeUp("voc", voc.ids[:-1], voc.labels[:-1].copy())
    person = VOC_CLASSES.index("person")
    other.labels[:, person] = voc.labels[:-1, person]
    other.labels[np.flatnonzero(other.labels[:, person])[:4], person] = 0
    notes = import_published([other.write(tmp_path)]).notes
    assert "published VOC-LT has 150 images, these files have 149" in notes
    assert f"published VOC-LT has {sum(voc.counts)} labels, these files have {sum(other.counts)}" in notes
    known, found = voc.counts[person], other.counts[person]
    assert f"published VOC-LT has {known} person images, these files have {found}" in notes
    assert any("the ids are not those of published VOC-LT: SHA-256 of the sorted ids is" in note for note in notes)


def test_many_other_counts_are_summed_up(voc: MadeUp, tmp_path: Path) -> None:
    notes = import_published([made_up("voc", seed=9).write(tmp_path)]).notes
    assert sum("images, these files have" in note and "published VOC-LT has" in note for note in notes) == 10
    assert any(note.endswith("more classes have other counts than in published VOC-LT") for note in notes)


def test_groups_other_than_by_the_rule_win_with_a_note(voc: MadeUp, tmp_path: Path) -> None:
    folder = voc.write(tmp_path)
    groups = {name: sorted(members) for name, members in voc.class_split().items()}  # type: ignore[call-overload]
    moved = groups["tail"].pop()
    groups["middle"].append(moved)
    write_pickle(folder / "class_split.pkl", groups)
    split = import_published([folder])
    assert split.groups is not None
    assert moved in split.groups["medium"]
    assert split.notes == [
        f"class_split calls class {moved} ({voc.counts[moved]} images) medium, the rule (100, 20) tail: the file wins"
    ]


def test_the_same_ids_in_another_order_get_no_labels_of_others(voc: MadeUp, tmp_path: Path) -> None:
    folder = voc.write(tmp_path)
    (folder / "img_id.txt").write_text("\n".join(sorted(voc.ids)))
    with pytest.raises(
        DatasetError, match=r"holds the ids of VOC-LT in another order than published, but class_freq.pkl"
    ):
        import_published([folder])
    split = import_published([folder / "img_id.txt"], labels_of=voc.annotations)
    assert split.notes == ["the ids are those of published VOC-LT in another order"]


def test_files_of_different_sets_are_named_with_their_numbers(voc: MadeUp, plt: MadeUp, tmp_path: Path) -> None:
    ours = voc.write(tmp_path / "voc")
    coco = made_up("coco", num_images=40).write(tmp_path / "coco")
    short = made_up("voc", num_images=90, seed=2).write(tmp_path / "short")
    partial = plt.write_partial(tmp_path / "PLT_VOC_train.json")

    def refused(*paths: Path, message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            import_published(paths)

    refused(
        coco / "img_id.pkl", ours / "class_freq.pkl", message=r"\(40 COCO ids\) and .* \(labels of 150 images, 20 cl"
    )
    refused(
        ours / "img_id.txt", short / "class_freq.pkl", message=r"\(150 VOC ids\) and .*\(labels of 90 images, 20 cl"
    )
    refused(ours, short, message=r"two files of one kind \(class_freq\)")
    refused(partial, ours / "class_freq.pkl", message="belong to different splits: give one of them")
    refused(
        partial, ours / "img_id.txt", message=r"\(labels of 150 images, 20 classes\) and .*\(150 VOC ids\) name diff"
    )
    (tmp_path / "distribution.txt").write_text("7," * 19 + "7")
    what = rf"class 0 has 7 images in the one, {voc.counts[0]} in the other"
    refused(ours, tmp_path / "distribution.txt", message=rf"\(counts of 20 classes, 140 labels\) and .*: {what}")
    np.save(tmp_path / "pairs.npy", np.zeros((20, 20)))
    refused(ours, tmp_path / "pairs.npy", message=r"classes 0 and \d+ share 0 images in the one, \d+ in the other")
    groups = {"head": set(range(18)), "middle": {18}, "tail": {19}}
    write_pickle(ours / "class_split.pkl", groups)
    refused(ours, message=r"\(groups of 18 / 1 / 1 classes, 20 in all\) and .* the groups have \d+ / \d+ / \d+ classes")
    other = MadeUp("voc", voc.ids, made_up(seed=8).labels)
    terse = write_pickle(tmp_path / "terse_gt_2012.pkl", other.all_labels())
    refused(
        ours / "img_id.txt", ours / "class_freq.pkl", terse, message=r'image \d+ \("20.*\): its labels are not those'
    )
    terse = write_pickle(tmp_path / "terse_gt_2012.pkl", short_terse())
    refused(ours / "img_id.txt", terse, message=r"\(labels of 3 images, 20 classes\) lacks 150 of 150 images")


def short_terse() -> dict[str, object]:
    return MadeUp("voc", ["2012_000001", "2012_000002"], np.ones((2, 20), np.uint8)).all_labels()


def test_right_pair_counts_and_copies_of_a_file_do_no_harm(voc: MadeUp, tmp_path: Path) -> None:
    wide = voc.labels.astype(np.int64)
    pairs = (wide.T @ wide) * (1 - np.eye(20, dtype=np.int64))
    np.save(tmp_path / "pairs.npy", pairs.astype(np.float64))
    copies = [voc.write(tmp_path / name) for name in ("a", "b")]
    assert import_published([*copies, tmp_path / "pairs.npy"]).notes == []


def test_a_name_chooses_among_the_files_of_a_folder(voc: MadeUp, plt: MadeUp, tmp_path: Path) -> None:
    voc.write(tmp_path / "longtail2012")
    made_up("coco").write(tmp_path / "coco" / "longtail2017")
    plt.write_partial(tmp_path / "PLT_VOC_train.json")
    with pytest.raises(DatasetError, match="two files of one kind"):
        import_published([tmp_path])
    assert import_published([tmp_path], name="voc_lt").ids == voc.ids
    partial = import_published([tmp_path], name="plt_voc")
    assert (partial.ids, partial.groups) == (plt.ids, None)
    assert partial.notes[0].startswith("class_split.pkl was left out: its groups of ")
    assert "are not those of PLT-VOC" in partial.notes[0]
    with pytest.raises(DatasetError, match="does not belong to coco_lt, whose images are of COCO"):
        import_published([tmp_path / "PLT_VOC_train.json"], name="coco_lt")
    with pytest.raises(DatasetError, match="holds partial labels: the name is plt_voc, not voc_lt"):
        import_published([tmp_path / "PLT_VOC_train.json"], name="voc_lt")


def test_a_draw_of_ones_own_is_not_compared(voc: MadeUp, tmp_path: Path) -> None:
    split = import_published([made_up("voc", seed=5).write(tmp_path)], name="my draw")
    assert (split.name, split.notes) == ("my draw", [])


def test_useless_files_are_left_out_of_folders_and_refused_by_name(voc: MadeUp, tmp_path: Path) -> None:
    folder = voc.write(tmp_path / "data" / "voc")
    graph = write_pickle(folder / "voc_adj.pkl", {"nums": np.arange(20), "adj": np.zeros((20, 20))})
    (folder / "terse_gt_2012.pkl").write_bytes(b"")
    (folder / "other.pkl").write_bytes(b"\x80\x02garbage")
    (folder / "README.txt").write_text("read me")
    split = import_published([tmp_path])
    assert [note.partition(" ")[0] for note in split.notes] == ["other.pkl", "terse_gt_2012.pkl", "voc_adj.pkl"]
    assert split.notes[1].startswith("terse_gt_2012.pkl was left out: is empty (0 bytes)")
    assert str(tmp_path) not in " ".join(split.notes)
    with pytest.raises(
        DatasetError, match=r"voc_adj.pkl \(counts of 20 classes, 190 labels\): its counts are those of"
    ):
        import_published([graph])


def test_the_stray_coco_files_are_refused_with_the_right_place(tmp_path: Path) -> None:
    path = tmp_path / "longtail2017img_id.pkl"
    path.write_text("\n".join(str(number) for number in range(10, 1896)))
    with pytest.raises(DatasetError, match=r"1,886 images of another draw .* inside of the folder longtail2017"):
        import_published([path])
    with pytest.raises(
        DatasetError, match=r"nothing names the training images.*\n  longtail2017img_id.pkl was left out"
    ):
        import_published([tmp_path])


def test_what_is_missing_is_said(voc: MadeUp, tmp_path: Path) -> None:
    folder = voc.write(tmp_path)
    with pytest.raises(
        DatasetError, match=r"class_freq.pkl \(labels of 150 .*: nothing names the training images: give"
    ):
        import_published([folder / "class_freq.pkl"])
    with pytest.raises(DatasetError, match="does not exist"):
        import_published([folder / "a.pkl"])
    with pytest.raises(ValueError, match="`paths` is empty"):
        import_published([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="there is no published split file: nothing names"):
        import_published([tmp_path / "empty"])


def vg_files(folder: Path) -> Path:
    counts = np.repeat([150, 50, 8], [30, 137, 33])
    counts[[118, 137, 149]] = 19
    order = {"head": list(range(30)), "middle": list(range(30, 167)), "tail": list(range(167, 200))}
    write_pickle(folder / "class_freq.pkl", {"class_freq": counts})
    write_pickle(folder / "class_split.pkl", order)
    return folder


def test_groups_of_visual_genome_win_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"classes 118, 137, 149 \(19, 19, 19 images\) medium, the rule .* tail"):
        groups = published_groups([vg_files(tmp_path)])
    assert [len(members) for members in groups.values()] == [30, 137, 33]
    with pytest.raises(DatasetError, match="the labels come from your copy of Visual Genome; published_groups"):
        import_published([tmp_path])


def test_groups_without_counts_or_without_a_file(voc: MadeUp, tmp_path: Path) -> None:
    folder = voc.write(tmp_path)
    assert published_groups([folder / "class_split.pkl"]) == published_groups([folder])
    with pytest.raises(DatasetError, match=r"img_id\.txt: no class_split\.pkl, which names the groups, is there"):
        published_groups([folder / "img_id.txt"])


def test_columns_of_unknown_partial_labels_are_said_to_be_in_the_published_order(tmp_path: Path) -> None:
    split = import_published([made_up().write_partial(tmp_path / "a.json")], name="mine")
    assert split.notes[-1] == "the columns of a.json were read in the order of PLT-VOC: person, bird, cat, ..."
