from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nctools.data import load_dataset
from nctools.errors import ConfigError
from nctools.features.maps import class_maps, load_class_maps
from nctools.figures import class_maps_of
from nctools.figures.class_maps import map_files
from tests.untrained_runs import untrained_runs

DATA = load_dataset("digits_lt", "test")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return untrained_runs(tmp_path_factory.mktemp("runs"))


def test_the_table_has_the_scores_and_shares_of_what_is_drawn(runs: tuple[Path, Path], tmp_path: Path) -> None:
    attention, _ = runs
    drawing = class_maps_of([attention], images=["test-0003", "test-0010"], classes="true", npz=tmp_path / "maps.npz")
    table = drawing.data
    assert table["image"].unique().tolist() == ["test-0003", "test-0010"]
    assert table["true"].all()
    found = load_class_maps(tmp_path / "maps.npz")
    for row in table.itertuples():
        number = 0 if row.image == "test-0003" else 1
        index = DATA.class_names.index(str(row[3]))
        assert found.logits is not None
        assert row.score == pytest.approx(float(found.logits[number, index].sigmoid()), abs=1e-6)
        values = found.upsampled((48, 48))[number, found.classes.tolist().index(index)]
        assert row.max == pytest.approx(float(values.max()), abs=1e-6)
        down, across = (16 * DATA.extras["cells"][3 if number == 0 else 10, index]).tolist()
        inside = values[down : down + 16, across : across + 16].sum() / values.sum()
        assert row.energy == pytest.approx(float(inside), abs=1e-5)


def test_several_runs_show_the_same_images_and_classes_under_each_other(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    drawing = class_maps_of(list(runs), method="gradcam", images=2, npz=tmp_path / "maps.npz")
    table = drawing.data
    blocks = list(dict.fromkeys(zip(table["image"], table["run"], strict=True)))
    assert [run for _, run in blocks] == ["class_attention", "erm"] * 2
    assert blocks[0][0] == blocks[1][0] != blocks[2][0] == blocks[3][0]
    for _, of_image in table.groupby("image"):
        first, second = (of_image[of_image["run"] == run]["class"].tolist() for run in ("class_attention", "erm"))
        assert first == second
        assert len(first) == 6
    assert all(file.is_file() for file in map_files(tmp_path / "maps.npz", runs))


def test_all_classes_of_one_image_are_drawn_by_group(runs: tuple[Path, Path]) -> None:
    drawing = class_maps_of([runs[1]], method="cam", images=1, classes="all")
    assert len(drawing.figure.axes) == 1 + 20 + 1
    assert [text.get_text() for text in drawing.figure.texts[:3]] == ["head", "medium", "tail"]
    assert sorted(drawing.data["class"]) == sorted(DATA.class_names)


def test_maps_are_those_of_the_model_itself(runs: tuple[Path, Path], tmp_path: Path) -> None:
    from nctools.prepared import prepare

    class_maps_of([runs[1]], method="cam", images=["test-0005"], classes="all", npz=tmp_path / "maps.npz")
    found = load_class_maps(tmp_path / "maps.npz")
    ready = prepare(runs[1] / "checkpoints" / "last.pt", {}, split="test")
    assert ready.data.images is not None
    images = ready.data.images[5][0][None]
    expected = class_maps(ready.network.module, images, method="cam", classes=found.classes)
    assert torch.allclose(found.maps, expected.maps, atol=1e-6)


def test_runs_of_different_classes_are_refused(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from nctools import localisation

    honest, seen = localisation.images_of, []

    def renamed(ready: object) -> object:
        images = honest(ready)  # type: ignore[arg-type]
        seen.append(images)
        if len(seen) > 1:
            images.class_names = [f"other {name}" for name in images.class_names]
        return images

    monkeypatch.setattr(localisation, "images_of", renamed)
    with pytest.raises(ConfigError, match=r"erm has other classes than .*class_attention"):
        class_maps_of(list(runs), method="gradcam", images=1)


def test_boxes_may_be_missing(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from nctools import localisation

    honest = localisation.images_of

    def bare(ready: object) -> object:
        images = honest(ready)  # type: ignore[arg-type]
        images.box_reader = None
        return images

    monkeypatch.setattr(localisation, "images_of", bare)
    drawing = class_maps_of([runs[1]], method="cam", images=1)
    assert np.isnan(drawing.data["energy"]).all()
    assert not any(axes.patches for axes in drawing.figure.axes[:-1])
