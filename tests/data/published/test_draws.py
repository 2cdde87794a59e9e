from __future__ import annotations

import dataclasses
import platform
import random
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from nctools.data.long_tail import build_long_tail
from nctools.data.published.draws import published_draw
from nctools.data.published.facts import PUBLISHED_SPLITS, Draw, PublishedSplit, id_digest
from nctools.errors import DatasetError

Labels = NDArray[np.uint8]


def photographs(num_images: int, num_classes: int, seed: int = 0) -> Labels:
    rng = np.random.default_rng(seed)
    labels: Labels = np.eye(num_classes, dtype=np.uint8)[rng.integers(0, num_classes, num_images)]
    labels[rng.random(num_images) < 0.5, 0] = 1
    return labels


def voc_ids(num_images: int) -> list[str]:
    return [f"2008_{i:06d}" for i in range(num_images)]


def as_published(name: str, ids: list[str], labels: Labels, state: random.Random) -> PublishedSplit:
    """A published set of which the draw from these images is the truth."""
    split = dataclasses.replace(PUBLISHED_SPLITS[name], draw=Draw(alpha=6, n_max=60))
    chosen = build_long_tail(labels, n_max=60, draw="released", released_state=state)
    drawn = [ids[row] for row in chosen.indices]
    return dataclasses.replace(
        split,
        num_images=len(drawn),
        num_labels=sum(chosen.reached),
        count_range=(max(chosen.reached), min(chosen.reached)),
        digest=None if split.digest is None else id_digest(drawn),
        digest_in_order=None if split.digest_in_order is None else id_digest(drawn, in_order=True),
    )


def state_after_voc(name: str, voc_labels: Labels) -> random.Random:
    state = random.Random(0)
    how = PUBLISHED_SPLITS[name].draw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build_long_tail(voc_labels, alpha=how.alpha, n_max=how.n_max, draw="released", released_state=state)
    return state


def test_digests_join_ids_by_newlines() -> None:
    # printf 'a\nb' | sha256sum
    assert id_digest(["a", "b"], in_order=True) == "7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78"
    assert id_digest(["b", "a"]) == id_digest(["a", "b"], in_order=True) != id_digest(["b", "a"], in_order=True)


def test_the_published_images_come_in_their_order_whatever_the_order_of_the_rows() -> None:
    ids, labels = voc_ids(900), photographs(900, 20)
    split = as_published("voc_lt", ids, labels, random.Random(0))
    chosen, notes = published_draw(split, ids, labels)
    assert notes == []
    assert id_digest((ids[row] for row in chosen.indices), in_order=True) == split.digest_in_order
    assert chosen.reached == labels[chosen.indices].sum(axis=0).tolist()
    order = np.random.default_rng(1).permutation(900)
    shuffled = [ids[row] for row in order]
    again, notes = published_draw(split, shuffled, labels[order])
    assert [shuffled[row] for row in again.indices] == [ids[row] for row in chosen.indices]
    assert notes == []


def test_another_order_of_the_published_images_is_noted() -> None:
    ids, labels = voc_ids(900), photographs(900, 20)
    split = dataclasses.replace(as_published("voc_lt", ids, labels, random.Random(0)), digest_in_order="f" * 64)
    _, notes = published_draw(split, ids, labels)
    assert notes == ["the images are those of VOC-LT, but their order is not that of the published file"]


def test_other_images_are_refused_with_what_was_found() -> None:
    ids, labels = voc_ids(900), photographs(900, 20)
    split = as_published("voc_lt", ids, labels, random.Random(0))
    with pytest.raises(DatasetError, match=f"VOC-LT cannot be drawn again: {split.num_images} images") as caught:
        published_draw(split, ids, photographs(900, 20, seed=1))
    text = str(caught.value)
    assert f"SHA-256 {str(split.digest)[:12]}..." in text
    assert "900 images were given, but VOC2012 trainval has 11540: is a part missing?" in text
    assert "img_id.txt" in text
    assert "`nctools data import`" in text


def test_with_all_images_of_voc_the_difficult_objects_are_suspected() -> None:
    labels = photographs(11_540, 20)
    with pytest.raises(DatasetError, match="count objects marked difficult") as caught:
        published_draw(PUBLISHED_SPLITS["plt_voc"], voc_ids(11_540), labels)
    assert "were given" not in str(caught.value)
    assert "PLT_VOC_train.json" in str(caught.value)


def test_labels_that_cannot_be_drawn_from_are_refused_as_data() -> None:
    labels = photographs(900, 20)
    labels[:, 9] = 0
    with pytest.raises(DatasetError, match=r"no image among 900 holds class 9 \('cow'\)"):
        published_draw(PUBLISHED_SPLITS["voc_lt"], voc_ids(900), labels)
    with pytest.raises(DatasetError, match="`labels` has 19 columns but `class_names` has 20"):
        published_draw(PUBLISHED_SPLITS["voc_lt"], voc_ids(900), photographs(900, 19))
    with pytest.raises(ValueError, match="`ids` has 2 entries but `labels` has 900 rows"):
        published_draw(PUBLISHED_SPLITS["voc_lt"], ["a", "b"], labels)


def test_coco_is_drawn_from_either_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, voc_labels = photographs(6000, 80), photographs(3000, 20, seed=5)
    ids = [str(i * 37 % 9001) for i in range(6000)]  # not sorted, and their order counts
    fresh = as_published("coco_lt", ids, labels, random.Random(0))
    after = as_published("coco_lt", ids, labels, state_after_voc("voc_lt", voc_labels))
    padded = [identifier.zfill(12) for identifier in ids]
    for given in (ids, padded):
        chosen, notes = published_draw(fresh, given, labels)
        assert id_digest((ids[row] for row in chosen.indices), in_order=True) == fresh.digest_in_order
        assert notes == []
    chosen, notes = published_draw(after, ids, labels, voc_labels=voc_labels)
    assert id_digest((ids[row] for row in chosen.indices), in_order=True) == after.digest_in_order
    assert notes == ["drawn from the random state that the draw of VOC-LT leaves"]
    with pytest.raises(
        DatasetError, match=r"COCO train2017 has 118287(.|\n)*was not tried: it needs the labels of VOC"
    ):
        published_draw(after, ids, labels)
    monkeypatch.setattr(platform, "python_implementation", lambda: "PyPy")
    with pytest.raises(
        DatasetError, match=r"a fresh random state(.|\n)*VOC-LT leaves: (.|\n)*relies on CPython, this"
    ) as caught:
        published_draw(after, ids, photographs(6000, 80, seed=2), voc_labels=voc_labels)
    assert "was not tried" not in str(caught.value)


def test_plt_coco_is_checked_by_its_numbers_since_no_digest_is_known() -> None:
    labels = photographs(6000, 80)
    ids = [str(i) for i in range(6000)]
    split = as_published("plt_coco", ids, labels, random.Random(0))
    assert split.digest is None
    chosen, notes = published_draw(split, ids, labels)
    assert len(chosen) == split.num_images
    assert len(notes) == 1
    assert notes[0].startswith("no digest of the ids of PLT-COCO is known")
    with pytest.raises(DatasetError, match=rf"from a fresh random state: {split.num_images} images"):
        published_draw(dataclasses.replace(split, num_images=split.num_images + 1), ids, labels)
    most, least = split.count_range
    richer = dataclasses.replace(split, num_labels=split.num_labels + 1, count_range=(most + 1, least + 1))
    with pytest.raises(
        DatasetError, match=f"only {split.num_labels} labels; only {most} images in the largest class; only"
    ):
        published_draw(richer, ids, labels)
