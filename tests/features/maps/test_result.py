from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nctools.errors import StoreError
from nctools.features.maps import ClassMaps, load_class_maps


def made(**changes: object) -> ClassMaps:
    values: dict[str, object] = {
        "maps": torch.rand(2, 3, 4, 6),
        "classes": torch.tensor([7, 0, 2]),
        "logits": torch.randn(2, 9),
        "method": "gradcam",
        "layer": "backbone:output",
        "assumed": "tokens [25, 8]: 1 before the patches left out, a grid of 4 x 6 as stated",
    }
    return ClassMaps(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{}, {"logits": None, "layer": None, "assumed": ""}])
def test_saved_maps_come_back_with_all_that_was_said(tmp_path: Path, changes: dict[str, object]) -> None:
    maps = made(**changes)
    maps.save(tmp_path / "maps.npz")
    found = load_class_maps(tmp_path / "maps.npz")
    assert found.maps.equal(maps.maps)
    assert found.classes.equal(maps.classes)
    assert (found.method, found.layer, found.assumed) == (maps.method, maps.layer, maps.assumed)
    assert (found.logits is None) if maps.logits is None else found.logits is not None
    if maps.logits is not None and found.logits is not None:
        assert found.logits.equal(maps.logits)
    assert [entry.name for entry in tmp_path.iterdir()] == ["maps.npz"]


def test_archive_is_plain_arrays_and_says_how_it_was_made(tmp_path: Path) -> None:
    made().save(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as archive:
        facts = json.loads(str(archive["facts"]))
        assert archive["maps"].shape == (2, 3, 4, 6)
    assert facts["method"] == "gradcam"
    assert facts["layer"] == "backbone:output"
    assert facts["upsampling"].startswith("none: bilinear")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"no archive"), "it is not a NumPy archive"),
        (lambda path: np.savez(path, maps=np.zeros(3)), "it holds maps, and no facts"),
        (lambda path: np.savez(path, maps=0, classes=0, facts=np.array("{}")), "not written by ClassMaps.save"),
        (
            lambda path: np.savez(
                path, maps=0, classes=0, facts=np.array('{"format": "nctools class maps", "format_version": 9}')
            ),
            "format 9, this nctools reads 1",
        ),
        (lambda path: np.savez(path, maps=0, classes=0, facts=np.array([{}], dtype=object)), "cannot be loaded"),
    ],
)
def test_other_files_are_refused_with_their_name(tmp_path: Path, write: object, message: str) -> None:
    path = tmp_path / "maps.npz"
    assert callable(write)
    write(path)
    with pytest.raises(StoreError, match=rf"maps\.npz cannot be read as class maps.*{message}"):
        load_class_maps(path)


def test_half_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    made().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreError, match="cannot be read as class maps"):
        load_class_maps(path)


def test_enlarged_maps_keep_their_values_at_the_middle_of_each_cell() -> None:
    maps = made()
    for mode in ("bilinear", "nearest"):
        large = maps.upsampled((12, 18), mode=mode)
        assert large.shape == (2, 3, 12, 18)
        torch.testing.assert_close(large[:, :, 1::3, 1::3], maps.maps)
    assert maps.upsampled((12, 18), mode="nearest").unique().numel() == maps.maps.unique().numel()


def test_unknown_mode_and_impossible_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mode is 'cubic'; it is 'bilinear' or 'nearest'"):
        made().upsampled((8, 8), mode="cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"size is \(0, 8\): give the height and the width"):
        made().upsampled((0, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": torch.rand(2, 3, 4)}, r"\[2, 3, 4\] and dtype torch.float32 on cpu: give \[B, K, h, w\]"),
        ({"maps": torch.rand(2, 3, 4, 6).double()}, "dtype torch.float64"),
        ({"classes": torch.tensor([1, 2])}, r"`classes` have shape \[2\].*one int64 index for each of the 3 maps"),
        ({"classes": torch.tensor([1.0, 2.0, 3.0])}, "dtype torch.float32 but"),
        ({"logits": torch.zeros(3, 9)}, r"`logits` have shape \[3, 9\].*give \[2, C\]"),
    ],
)
def test_parts_that_do_not_agree_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**changes)
