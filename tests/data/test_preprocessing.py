from __future__ import annotations

import json
import re

import pytest

from nctools.data.preprocessing import (
    AUGMENTATIONS,
    PREPROCESSINGS,
    Preprocessing,
    preprocessing_changed,
    preprocessing_named,
)
from nctools.errors import ConfigError, UnknownNameError

SETTINGS = Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "cell_shift")


@pytest.mark.parametrize("settings", [SETTINGS, *PREPROCESSINGS.values()])
def test_settings_survive_json(settings: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_documents_from_before_the_resize_mode_load_and_are_still_written() -> None:
    sizes: dict[str, object] = {"resize": 256, "crop": 224, "interpolation": "bicubic"}
    oldest: dict[str, object] = {"mean": [0.5], "std": [0.2], "augmentation": "none"}
    for document in (oldest, oldest | sizes):
        settings = Preprocessing.from_dict(document)
        assert settings.resize_mode == "shorter"
        assert settings.to_dict() == {"resize": None, "crop": None, "interpolation": "bilinear"} | document
    square = Preprocessing((0.5,), (0.2,), resize=224, resize_mode="square")
    assert square.to_dict()["resize_mode"] == "square"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 224}, "'size', 'std']; it needs ['augmentation', 'mean', 'std']"),
        ({"mean": "0.5"}, "mean is '0.5'; it must be a list of numbers"),
        ({"std": [0.1, "x", 0.2]}, "std is [0.1, 'x', 0.2]; it must be a list of numbers"),
        ({"augmentation": None}, "augmentation is None; it must be a name"),
        ({"interpolation": 7}, "interpolation is 7; it must be a name"),
        ({"resize_mode": None}, "resize_mode is None; it must be a name"),
        ({"crop": 3.5}, "crop is 3.5; it must be a whole number of pixels"),
    ],
)
def test_documents_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Preprocessing.from_dict(SETTINGS.to_dict() | change)


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="`mean` has 1 values but `std` has 2"):
        Preprocessing((0.5,), (0.5, 0.5))
    with pytest.raises(ValueError, match=r"`std` is \(0.0,\)"):
        Preprocessing((0.5,), (0.0,))
    with pytest.raises(UnknownNameError, match="unknown augmentation 'cell-shift'; did you mean cell_shift"):
        Preprocessing((0.5,), (0.5,), "cell-shift")
    with pytest.raises(UnknownNameError, match="unknown interpolation 'bicubi'; did you mean bicubic"):
        Preprocessing((0.5,), (0.5,), interpolation="bicubi")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown resize mode 'squre'; did you mean square"):
        Preprocessing.from_dict(SETTINGS.to_dict() | {"resize_mode": "squre"})


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="`resize` is 0: give a number of pixels"):
        Preprocessing((0.5,), (0.5,), resize=0)
    with pytest.raises(ValueError, match="`crop` is 224 px but `resize` makes the shorter side 200 px"):
        Preprocessing((0.5,), (0.5,), resize=200, crop=224)
    with pytest.raises(ValueError, match="`crop` is 224 px but `resize` makes both sides 200 px"):
        Preprocessing((0.5,), (0.5,), resize=200, crop=224, resize_mode="square")
    with pytest.raises(ValueError, match="`resize_mode` is 'square' but `resize` is None"):
        Preprocessing((0.5,), (0.5,), crop=224, resize_mode="square")


@pytest.mark.parametrize("name", ["crop_flip", "crop_flip_jitter", "crop_flip_distort"])
def test_a_random_part_needs_a_size_to_be_brought_to(name: str) -> None:
    assert Preprocessing((0.5,), (0.5,), name, crop=224).side == 224
    assert Preprocessing((0.5,), (0.5,), name, resize=96, resize_mode="square").side == 96
    with pytest.raises(ValueError, match=rf"`augmentation` '{name}' .* `crop` is None and `resize` 256: give `crop`"):
        Preprocessing((0.5,), (0.5,), name, resize=256)


def test_side_is_that_of_the_square_that_the_model_sees() -> None:
    assert Preprocessing((0.5,), (0.5,)).side is None
    assert Preprocessing((0.5,), (0.5,), resize=256).side is None
    assert Preprocessing((0.5,), (0.5,), resize=256, crop=224).side == 224
    assert Preprocessing((0.5,), (0.5,), resize=256, crop=224, resize_mode="square").side == 224


def test_recipes_are_those_of_papers_and_released_code() -> None:
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert {
        "imagenet": Preprocessing(*imagenet, "crop_flip", resize=256, crop=224),
        "comic": Preprocessing(*imagenet, "crop_flip", resize=256, crop=224),
        "mlc_nc": Preprocessing((0.466, 0.471, 0.38), (0.195, 0.194, 0.192), "crop_flip_jitter", resize=256, crop=224),
        "db_loss": Preprocessing(*imagenet, "crop_flip_distort", resize=224, resize_mode="square"),
        "lmpt": Preprocessing(*imagenet, "flip", resize=224, resize_mode="square"),
        "cprfl": Preprocessing((0,) * 3, (1,) * 3, "cutout_randaugment", resize=448, resize_mode="square"),
    } == PREPROCESSINGS
    assert {settings.augmentation for settings in PREPROCESSINGS.values()} == set(AUGMENTATIONS) - {
        "none",
        "cell_shift",
    }


def test_recipes_are_found_by_name_and_near_misses_listed() -> None:
    assert preprocessing_named("lmpt") is PREPROCESSINGS["lmpt"]
    with pytest.raises(UnknownNameError, match="unknown preprocessing 'db-loss'; did you mean db_loss"):
        preprocessing_named("db-loss")


@pytest.mark.parametrize(
    ("name", "size", "resize", "crop"),
    [("mlc_nc", 448, 512, 448), ("imagenet", 224, 256, 224), ("imagenet", 96, 110, 96), ("db_loss", 448, 448, None)],
)
def test_another_size_keeps_the_way_of_resizing(name: str, size: int, resize: int, crop: int | None) -> None:
    changed = preprocessing_changed(SETTINGS, name=name, image_size=size)
    usual = PREPROCESSINGS[name]
    assert (changed.resize, changed.crop, changed.side) == (resize, crop, size)
    assert (changed.mean, changed.augmentation, changed.resize_mode) == (
        usual.mean,
        usual.augmentation,
        usual.resize_mode,
    )


def test_what_is_not_given_stays_as_it_was() -> None:
    for settings in (SETTINGS, *PREPROCESSINGS.values()):
        assert preprocessing_changed(settings) == settings
    changed = preprocessing_changed(SETTINGS, mean=[0.7, 0.8, 0.9], augmentation="crop_flip", image_size=96)
    assert changed == Preprocessing((0.7, 0.8, 0.9), SETTINGS.std, "crop_flip", resize=110, crop=96)
    grey = preprocessing_changed(SETTINGS, mean=[0.5], std=[0.2], augmentation="none")
    assert (grey.mean, grey.std, grey.augmentation) == ((0.5,), (0.2,), "none")


def test_changes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="`image_size` is 0: give a number of pixels"):
        preprocessing_changed(SETTINGS, image_size=0)
    with pytest.raises(ValueError, match="`mean` has 1 values but `std` has 3"):
        preprocessing_changed(SETTINGS, mean=[0.5])
    with pytest.raises(UnknownNameError, match="unknown augmentation 'crop_fip'; did you mean crop_flip"):
        preprocessing_changed(SETTINGS, augmentation="crop_fip")
    with pytest.raises(UnknownNameError, match="unknown preprocessing 'mlcnc'; did you mean mlc_nc"):
        preprocessing_changed(SETTINGS, name="mlcnc")
    with pytest.raises(ValueError, match="`crop` is None and `resize` None: give `crop`"):
        preprocessing_changed(SETTINGS, augmentation="crop_flip")
