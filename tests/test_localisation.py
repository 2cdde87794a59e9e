"""Class maps against boxes: a model whose maps are known, and one on digits_lt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nctools.data import Boxes, Preprocessing, load_dataset
from nctools.data import test_transform as of_the_test
from nctools.data.boxes import boxes_from
from nctools.data.dataset import MultiLabelDataset
from nctools.errors import DatasetError
from nctools.localisation import localise
from nctools.localisation_result import Localisation
from tests.untrained_runs import untrained_runs

GROUPS = {"head": [0], "tail": [1, 2]}


class Watcher(nn.Module):
    """Of three classes each looks at a quarter of the image of its own; class 2 nowhere where the image is black."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = torch.zeros(len(images), 3, 2, 2)
        for index in range(3):
            maps[:, index, index // 2, index % 2] = 1
        maps[:, 2] *= (images.amax(dim=(1, 2, 3)) > 0)[:, None, None]
        return {"logits": torch.zeros(len(images), 3), "maps": maps}


def read(ids: Sequence[str]) -> Boxes:
    """Class 0 in its upper left quarter, class 1 there, too, class 2 in the lower left; image 3 has none."""
    corners = {0: (0, 0, 4, 4), 1: (0, 0, 4, 4), 2: (0, 4, 4, 8)}
    return boxes_from([(i, c, corners[c]) for i, name in enumerate(ids) if name != "3" for c in corners])


def quarters() -> MultiLabelDataset:
    """Image 0 holds classes 0 and 1, image 1 class 1, image 2 (black) class 2, image 3 all, but without a box."""
    images = torch.full((5, 3, 8, 8), 255, dtype=torch.uint8)
    images[2] = 0
    targets = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    data = MultiLabelDataset(images, targets, ["a", "b", "c"], GROUPS, name="quarters", split="test", box_reader=read)
    return data.with_transform(of_the_test(Preprocessing((0.0,) * 3, (1.0,) * 3)))


@pytest.fixture(scope="module")
def measured() -> Localisation:
    return localise(None, model=f"{__name__}:Watcher", data=quarters(), batch_size=2)  # type: ignore[arg-type]


def test_each_label_with_a_box_is_measured(measured: Localisation) -> None:
    pairs = measured.pairs
    assert list(zip(pairs["image"], pairs["class"], strict=True)) == [("0", 0), ("0", 1), ("1", 1), ("2", 2)]
    # Enlarged, the bright cell reaches a little over the middle: 0.765... of it stays.
    inside = torch.nn.functional.interpolate(torch.tensor([[[[1.0, 0], [0, 0]]]]), 8, mode="bilinear")[0, 0]
    share = float(inside[:4, :4].sum() / inside.sum())
    beside = float(inside[:4, 4:].sum() / inside.sum())
    np.testing.assert_allclose(pairs["energy"], [share, beside, beside, 0.25], atol=1e-6)
    assert pairs["pointing"].tolist() == [1, 0, 0, 0.25]
    assert pairs["energy_chance"].tolist() == pairs["pointing_chance"].tolist() == [0.25] * 4
    assert pairs["empty"].tolist() == [False, False, False, True]
    assert measured.facts["num_empty"] == 1
    assert (measured.facts["num_images"], measured.facts["num_pairs"]) == (3, 4)


def test_classes_are_averaged_over_images_and_groups_over_classes(measured: Localisation) -> None:
    assert measured.per_class["num_images"].tolist() == [1, 2, 1]
    assert measured.per_class["pointing"].tolist() == [1, 0, 0.25]
    table = measured.table.set_index(["group", "measure"])
    assert table.loc[("head", "pointing"), "value"] == 1
    assert table.loc[("tail", "pointing"), "value"] == 0.125
    assert table.loc[("all", "pointing"), "value"] == pytest.approx(1.25 / 3)
    tail = measured.table.query("group == 'tail'")[["chance", "num_classes", "num_pairs"]]
    assert tail.to_numpy().tolist() == [[0.25, 2, 3]] * 2


def test_a_class_without_a_box_has_no_value_and_no_part_in_means() -> None:
    some = quarters()
    some.targets[2] = torch.tensor([0.0, 1.0, 0.0])
    found = localise(None, model=f"{__name__}:Watcher", data=some)  # type: ignore[arg-type]
    assert np.isnan(found.per_class["energy"][2])
    tail = found.table.query("group == 'tail' and measure == 'pointing'")
    assert tail[["value", "num_classes"]].to_numpy().tolist() == [[0, 1]]


def test_the_tolerance_reaches_over_the_edge() -> None:
    strict, loose = (
        localise(None, model=f"{__name__}:Watcher", data=quarters(), tolerance=tolerance).pairs["pointing"]  # type: ignore[arg-type]
        for tolerance in (0, 4)
    )
    assert (strict[1], loose[1]) == (0, 1)


def test_both_files_hold_what_was_measured(measured: Localisation, tmp_path: Path) -> None:
    for name in ("a.csv", "a.json"):
        measured.save(tmp_path / name)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), measured.table)
    document = json.loads((tmp_path / "a.json").read_text())
    assert [row["class"] for row in document["classes"]] == ["a", "b", "c"]
    assert (document["method"], document["upsampling"], document["map_size"]) == ("attention", "bilinear", [2, 2])
    with pytest.raises(ValueError, match=r"suffix is '\.txt'; use \.csv or \.json"):
        measured.save(tmp_path / "a.txt")


def test_maps_of_runs_on_digits_lt_equal_a_plain_loop(tmp_path: Path) -> None:
    from nctools.features.maps import class_maps
    from nctools.prepared import prepare

    _, erm = untrained_runs(tmp_path)
    found = localise(erm, method="cam", max_images=12, batch_size=5)
    ready = prepare(erm / "checkpoints" / "last.pt", {}, split="test")
    data = load_dataset("digits_lt", "test")
    assert ready.data.images is not None
    assert len(found.pairs["image"].unique()) == 12
    assert found.pairs["image"].iloc[[0, -1]].tolist() == ["test-0000", "test-0999"]
    for pair in found.pairs.iloc[::5].to_dict("records"):
        row, index = int(str(pair["image"])[-4:]), int(pair["class"])
        maps = class_maps(ready.network.module, ready.data.images[row][0][None], method="cam", classes=[index])
        large = torch.nn.functional.interpolate(maps.maps.clamp(min=0), 48, mode="bilinear")[0, 0]
        down, across = (16 * data.extras["cells"][row, index]).tolist()
        total = float(large.sum())
        share = float(large[down : down + 16, across : across + 16].sum()) / total if total else 1 / 9
        assert pair["energy"] == pytest.approx(share, abs=1e-5)
        assert pair["energy_chance"] == pytest.approx(1 / 9)


def test_what_cannot_be_measured_is_told() -> None:
    model = f"{__name__}:Watcher"
    with pytest.raises(ValueError, match="`max_images` is 0"):
        localise(None, model=model, max_images=0)
    bare = quarters()
    bare.box_reader = None
    with pytest.raises(DatasetError, match="quarters has no boxes"):
        localise(None, model=model, data=bare)  # type: ignore[arg-type]
    bare.box_reader = lambda ids: boxes_from([])
    with pytest.raises(DatasetError, match="quarters test has no label with a box among 4 images"):
        localise(None, model=model, data=bare)  # type: ignore[arg-type]
    loader = DataLoader(quarters(), batch_size=2)
    with pytest.raises(DatasetError, match="is not a data set of nctools"):
        localise(None, model=model, data=loader)
