from __future__ import annotations

from dataclasses import replace

from nctools.report.collect import RunRecord
from nctools.report.formats import number, percent
from nctools.report.words import collapse_value, mean_precision, summary
from tests.report.cases import run_record


def test_one_run_is_told_by_its_numbers() -> None:
    record = run_record()
    text = " ".join(summary([record]))
    assert f"it reaches a mAP of {percent(mean_precision(record))} %" in text
    assert f"NC1 (nc1_pinv) is {number(collapse_value(record, 'nc1_pinv'))}" in text
    assert "random features of the same shape would have" in text
    assert "This is one training (seed 0)" in text
    assert 3 <= len(summary([record])) <= 6


def test_the_leaders_of_several_runs_are_named() -> None:
    loose, tight = run_record("loose", spread=0.6, skill=3.0), run_record("tight", spread=0.05, skill=0.0)
    sentences = summary([loose, tight])
    difference = 100 * (mean_precision(loose) - mean_precision(tight))
    assert f"loose has the best test mAP, 100.0 %, {difference:.1f} points above tight." in sentences
    assert any(sentence.startswith("tight is most collapsed by NC1") for sentence in sentences)
    assert "The run with the best mAP is not the one that NC1 calls most collapsed." in sentences
    assert "Each configuration was trained once" not in sentences[0]
    assert 3 <= len(sentences) <= 7


def test_a_small_difference_is_called_one() -> None:
    record = run_record("a", skill=0.5)
    sentences = summary([record, run_record("b", skill=0.5, method="mlc_nc")])
    assert "0.0 points above b, which is within what another seed may give." in sentences[0]


def test_seeds_of_one_configuration_are_seen() -> None:
    assert "differ in their seed alone" in summary([run_record("a", seed=0), run_record("b", seed=1)])[-1]


def test_a_copy_of_a_run_is_no_other_seed() -> None:
    sentence = summary([run_record("a"), run_record("copy")])[-1]
    assert "have the same seed, too" in sentence
    assert "seed alone" not in sentence
    with_another = summary([run_record("a"), run_record("copy"), run_record("b", seed=1)])[-1]
    assert "differ in their seed alone" in with_another


def test_runs_without_a_configuration_are_told_apart_by_their_checkpoints() -> None:
    records = [run_record(name, method=name, seed=seed) for seed, name in enumerate(("erm", "mlc_nc"))]
    bare = [_without_config(record) for record in records]
    assert summary(bare)[-1].startswith("Each configuration was trained once: ")
    alike = [_without_config(run_record(name, seed=seed)) for seed, name in enumerate("ab")]
    assert "differ in their seed alone" in summary(alike)[-1]
    unknown = [replace(record, facts=replace(record.facts, checkpoint={})) for record in bare]
    assert summary(unknown)[-1].startswith("Each configuration was trained once: ")


def _without_config(record: RunRecord) -> RunRecord:
    told = {key: record.facts.config[key] for key in ("method", "seed")}
    return replace(record, facts=replace(record.facts, config={}, checkpoint={**record.facts.checkpoint, **told}))


def test_nothing_is_said_of_what_is_not_there() -> None:
    bare = replace(run_record(), evaluation=None, collapse=None)
    text = " ".join(summary([bare]))
    assert "mAP" not in text
    assert "NC1" not in text
    assert "nan" not in text
    assert "has the best" not in " ".join(summary([bare, bare]))
