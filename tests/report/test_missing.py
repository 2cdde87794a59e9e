from __future__ import annotations

from dataclasses import replace

from nctools.report.missing import reasons
from nctools.report.pictures import Picture
from nctools.report.sections import SECTIONS
from tests.report.cases import run_record


def test_a_reason_is_told_once_with_all_that_it_takes_away() -> None:
    gone = replace(
        run_record("gone"),
        evaluation=None,
        scored="the test images could not be scored: the images are gone",
        collapse=None,
        measured="neural collapse could not be measured: the images are gone",
    )
    pictures = [Picture(section, ["gone"], missing="the images are gone") for section in SECTIONS[:4]]
    assert reasons([gone], pictures) == [
        "missing: the scores of gone, the NC values of gone and 4 figures (the images are gone)"
    ]
    assert reasons([gone, run_record("there")], pictures[:2]) == [
        "missing: the scores of gone, the NC values of gone and the figures “mAP by group” and “Logits of positives "
        "and negatives” of gone (the images are gone)"
    ]


def test_a_run_without_a_checkpoint_tells_that_alone() -> None:
    record = run_record("bare")
    facts = replace(record.facts, checkpoint={}, faults=("bare holds no checkpoint",))
    assert reasons([replace(record, facts=facts, evaluation=None)], []) == ["bare holds no checkpoint"]


def test_nothing_is_told_of_a_whole_page() -> None:
    assert reasons([run_record()], [Picture(SECTIONS[0], ["erm"], "data:")]) == []
