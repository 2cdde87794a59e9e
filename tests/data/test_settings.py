from __future__ import annotations

import pytest

from nctools.data.settings import DataSettings
from nctools.errors import ConfigError, UnknownNameError


def test_settings_survive_plain_values() -> None:
    settings = DataSettings(difficult="ignore", drop_unlabelled=True, val_fraction=0.2, groups="50,5", seed=3)
    assert DataSettings.from_dict(settings.to_dict()) == settings
    assert DataSettings.from_dict({}) == DataSettings()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"dificult": "include"}, "unknown data setting 'dificult'; there are: difficult, drop_unlabelled"),
        ({"val_fraction": "a tenth"}, "data setting val_fraction is 'a tenth'; it must be of type float"),
        ({"seed": True}, "data setting seed is True; it must be of type int"),
        ({"drop_unlabelled": 1}, "data setting drop_unlabelled is 1; it must be of type bool"),
    ],
)
def test_wrong_keys_and_types_are_named(document: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataSettings.from_dict(document)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`val_fraction` is 1\.0"):
        DataSettings(val_fraction=1.0)
    with pytest.raises(ValueError, match="`seed` is -1"):
        DataSettings(seed=-1)
    with pytest.raises(UnknownNameError, match="did you mean include"):
        DataSettings.from_dict({"difficult": "includ"})
