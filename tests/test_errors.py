"""Errors that come back from worker processes keep their words."""

from __future__ import annotations

import pickle

from nctools.errors import UnknownNameError


def test_an_unknown_name_survives_pickling() -> None:
    error = UnknownNameError("metric", "nc1_pinf", ["nc1_pinv"])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert isinstance(again, UnknownNameError)


def test_a_name_that_is_known_twice_is_listed_once() -> None:
    known = ["db_focal", "cb_focal", "db_focal"]
    assert str(UnknownNameError("loss or method", "db_focla", known)) == (
        "unknown loss or method 'db_focla'; did you mean db_focal or cb_focal? Known: db_focal, cb_focal"
    )


def test_near_misses_that_the_caller_knows_are_told() -> None:
    error = UnknownNameError("setting", "gamma", ["seed", "arguments.gamma_neg"], near=["arguments.gamma_neg"])
    for told in (error, pickle.loads(pickle.dumps(error))):
        assert "did you mean arguments.gamma_neg?" in str(told)
