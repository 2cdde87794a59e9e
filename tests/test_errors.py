"""Errors that come back from worker processes keep their words."""

from __future__ import annotations

import pickle

from nctools.errors import UnknownNameError


def test_an_unknown_name_survives_pickling() -> None:
    error = UnknownNameError("metric", "nc1_pinf", ["nc1_pinv"])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert isinstance(again, UnknownNameError)
