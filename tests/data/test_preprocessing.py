from __future__ import annotations

import json
import re

import pytest

from nctools.data.preprocessing import Preprocessing
from nctools.errors import ConfigError, UnknownNameError

SETTINGS = Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "cell_shift")


def test_settings_survive_json() -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(SETTINGS.to_dict()))) == SETTINGS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 224}, "'size', 'std']; it needs ['augmentation', 'mean', 'std']"),
        ({"mean": "0.5"}, "mean is '0.5'; it must be a list of numbers"),
        ({"std": [0.1, "x", 0.2]}, "std is [0.1, 'x', 0.2]; it must be a list of numbers"),
        ({"augmentation": None}, "augmentation is None; it must be a name"),
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
