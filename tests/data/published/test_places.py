"""Published files are found at their usual places below a folder of data, by what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from nctools.data.published import places as published_places
from nctools.data.published.facts import PUBLISHED_SPLITS
from nctools.data.published.places import files_below, find_published
from nctools.data.published.splits import import_published
from nctools.errors import UnknownNameError
from tests.data.made_up_splits import MadeUp, made_up


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> dict[str, MadeUp]:
    found = {
        "voc_lt": made_up("voc", seed=1),
        "coco_lt": made_up("coco", seed=2),
        "plt_voc": made_up("voc", seed=3),
    }
    for name, split in found.items():
        monkeypatch.setitem(PUBLISHED_SPLITS, name, split.facts(name))
    return found


def test_usual_places_are_found_and_imported(sets: dict[str, MadeUp], tmp_path: Path) -> None:
    voc = sets["voc_lt"].write(tmp_path / "VOCdevkit" / "longtail2012")
    coco = sets["coco_lt"].write(tmp_path / "coco" / "longtail2017")
    partial = sets["plt_voc"].write_partial(tmp_path / "PLT_VOC_train.json")
    (tmp_path / "distribution.txt").write_text(",".join(map(str, sets["plt_voc"].counts)))
    names = ("class_freq.pkl", "class_split.pkl")
    assert find_published(tmp_path, "voc_lt") == [voc / "img_id.txt", *(voc / name for name in names)]
    assert find_published(tmp_path, "coco_lt") == [coco / "img_id.pkl", *(coco / name for name in names)]
    assert find_published(tmp_path, "plt_voc") == [partial, tmp_path / "distribution.txt"]
    assert find_published(tmp_path, "plt_coco") == []
    for name, split in sets.items():
        assert import_published(find_published(tmp_path, name), name=name).ids == split.ids


def test_files_of_other_draws_and_damaged_ones_are_passed_over(sets: dict[str, MadeUp], tmp_path: Path) -> None:
    made_up("voc", seed=7).write(tmp_path / "a")
    (tmp_path / "class_freq.pkl").write_bytes(b"")
    assert find_published(tmp_path, "voc_lt") == []
    right = sets["voc_lt"].write(tmp_path / "b")
    (right / "class_split.pkl").unlink()
    assert find_published(tmp_path, "voc_lt") == [right / "img_id.txt", right / "class_freq.pkl"]
    (right / "img_id.txt").unlink()
    assert find_published(tmp_path, "voc_lt") == []


def test_three_levels_and_no_more(sets: dict[str, MadeUp], tmp_path: Path) -> None:
    sets["voc_lt"].write(tmp_path / "1" / "2" / "3" / "4")
    assert find_published(tmp_path, "voc_lt") == []
    assert len(find_published(tmp_path / "1", "voc_lt")) == 3
    assert find_published(tmp_path / "nowhere", "voc_lt") == []


def test_partial_labels_without_known_counts_are_known_by_their_extremes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    split = made_up("coco", seed=5)
    facts = split.facts("plt_coco")
    bare = {"class_counts": None, "digest": None, "digest_in_order": None}
    monkeypatch.setitem(PUBLISHED_SPLITS, "plt_coco", type(facts)(**(vars(facts) | bare)))
    path = split.write_partial(tmp_path / "PLT_COCO_train.json")
    assert find_published(tmp_path, "plt_coco") == [path]
    assert import_published([path]).notes == [
        "the labels before some were dropped are not in the file: they stay unknown"
    ]
    wider = {"count_range": (max(split.counts) + 1, min(split.counts))}
    monkeypatch.setitem(PUBLISHED_SPLITS, "plt_coco", type(facts)(**(vars(facts) | bare | wider)))
    assert find_published(tmp_path, "plt_coco") == []
    note = f"the largest class of published PLT-COCO has {max(split.counts) + 1} images, here {max(split.counts)}"
    assert note in import_published([path]).notes


def test_folders_of_images_are_never_listed(
    sets: dict[str, MadeUp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("VOC2012/JPEGImages", "VOC2012/Annotations", "train2017", "images", ".hidden"):
        sets["voc_lt"].write(tmp_path / folder)
    (tmp_path / "many").mkdir()
    for number in range(8):
        (tmp_path / "many" / f"{number}.txt").touch()
    assert len(list(files_below(tmp_path, 3))) == 8
    monkeypatch.setattr(published_places, "_MOST_ENTRIES", 7)
    assert list(files_below(tmp_path, 3)) == []
    assert find_published(tmp_path, "voc_lt") == []


def test_a_link_to_itself_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert find_published(tmp_path, "voc_lt") == []


def test_unknown_names_list_near_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown published split 'voc_tl'; did you mean voc_lt"):
        find_published(tmp_path, "voc_tl")
