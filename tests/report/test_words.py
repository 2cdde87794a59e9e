from __future__ import annotations

from dataclasses import replace
from statistics import stdev

from nctools.report.collect import RunRecord
from nctools.report.formats import number, percent
from nctools.report.values import collapse_value, mean_precision
from nctools.report.words import summary
from tests.report.cases import run_record, with_collapse


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


def test_nothing_is_said_of_seeds_that_were_not_trained() -> None:
    sentences = summary([run_record("a", skill=0.5), run_record("b", skill=0.5, method="mlc_nc")])
    assert sentences[0].endswith(" %, 0.0 points above b.")
    assert sentences[1].endswith(" %, 0.0 points above b.")
    assert [s for s in sentences if "seed" in s] == sentences[-1:]


def test_seeds_tell_their_measured_spread() -> None:
    seeds = [run_record(f"s{seed}", seed=seed, skill=0.2) for seed in range(3)]
    copy = run_record("copy of s0", seed=0, skill=0.2)
    sentences = summary([*seeds, copy, run_record("other", method="mlc_nc", skill=3.0)])
    for sentence, group in zip(sentences, ("all", "tail"), strict=False):
        spread = stdev(mean_precision(record, group) for record in seeds)
        assert sentence.startswith("other has the best")
        assert sentence.endswith(f" (sd: {100 * spread:.1f} points over 3 seeds of erm).")


def test_a_run_that_random_features_beat_is_never_called_most_collapsed() -> None:
    # The first is nearest to 0, but random features of its width would be nearer still.
    first = with_collapse(run_record("first"), "nc1_pinv", 0.5, 0.4)
    second = with_collapse(run_record("second"), "nc1_pinv", 0.7, 4.0)
    text = " ".join(summary([first, second]))
    assert "second is most collapsed by NC1" in text
    assert "By NC1 (nc1_pinv) first is no nearer to collapse than random features: 0.500 against 0.400." in text
    both = " ".join(summary([first, with_collapse(second, "nc1_pinv", 5.0, 4.0)]))
    assert "most collapsed" not in both
    assert (
        "By NC1 (nc1_pinv) no run is nearer to collapse than random features: "
        "first 0.500 against 0.400 and second 5.00 against 4.00." in both
    )


def test_measures_without_a_run_above_random_name_none() -> None:
    near, far = run_record("near", spread=0.1), run_record("far", spread=0.5)
    text = " ".join(
        summary([with_collapse(near, "nc2_etf_error", 1.0, 0.9), with_collapse(far, "nc2_etf_error", 0.95, 0.9)])
    )
    assert "near is most collapsed by NC1" in text
    assert "the same run" not in text
    assert "do not agree" not in text
    assert "By NC2 (nc2_etf_error) no run is nearer to collapse than random features" in text
    alone = " ".join(summary([with_collapse(near, "nc2_etf_error", 1.0, 0.9)]))
    assert "By NC2 (nc2_etf_error) near is no nearer to collapse than random features: 1.00 against 0.900." in alone


def test_values_of_different_spaces_stand_with_space_and_share_of_random() -> None:
    deep = with_collapse(run_record("deep"), "nc1_pinv", 2.0, 10.0, space="classwise", width=128)
    flat = with_collapse(run_record("flat"), "nc1_pinv", 6.0, 60.0, space="penultimate", width=64)
    (sentence,) = (s for s in summary([deep, flat]) if "most collapsed by NC1 (" in s)
    assert sentence == (
        "deep is most collapsed by NC1 (nc1_pinv, training images, 0 at full collapse): 2.00 (classwise, 128 wide, "
        "20 % of random) against flat 6.00 (penultimate, 64 wide, 10 % of random); these are different feature "
        "spaces, of which the values alone cannot be compared; flat has the smallest share of random."
    )
    same = summary([deep, with_collapse(run_record("too"), "nc1_pinv", 6.0, 10.0, space="classwise", width=128)])
    assert any(sentence.endswith("2.00 against too 6.00.") for sentence in same)


def test_a_run_alone_with_a_value_leads_nothing() -> None:
    part = run_record("part")
    sentences = summary([replace(part, evaluation=None, collapse=None), part])
    total, tail, value = (
        percent(mean_precision(part)),
        percent(mean_precision(part, "tail")),
        number(collapse_value(part, "nc1_pinv")),
    )
    assert sentences[:3] == [
        f"Of part alone the test mAP is known: {total} %.",
        f"Of part alone the mAP on tail classes is known: {tail} %.",
        f"NC1 (nc1_pinv, training images, 0 at full collapse) is known of part alone: {value}.",
    ]
    assert not any(word in " ".join(sentences) for word in ("best", "most collapsed", "same run", "no other"))


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
