from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nctools.report.collect import RunRecord
from nctools.report.comparison import compare
from nctools.report.table_classes import class_tables
from nctools.report.table_collapse import collapse_table
from nctools.report.table_facts import differing_table, facts_table
from nctools.report.table_parts import Table, value_cell
from nctools.report.table_scores import score_note, score_table
from tests.report.cases import NAMES, run_record, with_collapse


def body(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for block in table.blocks for row in block.rows]


def test_scores_stand_in_percent_and_the_best_is_marked() -> None:
    good, bad = run_record("good", skill=2.0), run_record("bad", skill=0.0)
    table = score_table([bad, good])
    assert table is not None
    assert [column.label for column in table.columns][:5] == ["run", "total", "head", "medium", "tail"]
    assert good.evaluation is not None
    assert body(table)[1][1] == f"{100 * good.evaluation.mean_average_precision['all']:.1f}"
    assert [row[1].best for row in table.blocks[0].rows] == [False, True]
    assert table.columns[4].note == "2 classes\nn 3–12"
    assert table.spans[1] == ("mAP in %", "map", 4)


def test_one_run_has_nothing_to_mark_or_sort() -> None:
    table = score_table([run_record()])
    assert table is not None
    assert not table.sortable
    assert not any(cell.best for cell in table.blocks[0].rows[0])


def test_seeds_of_one_configuration_get_their_mean() -> None:
    records = [run_record("a", seed=0, skill=0.2), run_record("b", seed=1, skill=0.2), run_record("c", method="mlc_nc")]
    table = score_table(records)
    assert table is not None
    (row,) = table.foot
    totals = [record.evaluation.mean_average_precision["all"] for record in records[:2] if record.evaluation]
    mean = sum(totals) / 2
    sd = abs(totals[0] - totals[1]) / math.sqrt(2)
    assert [cell.text for cell in row][:2] == ["erm: mean ± sd", f"{100 * mean:.1f} ± {100 * sd:.1f}"]
    assert row[0].note == "2 seeds"
    with_copy = score_table([*records, run_record("copy of b", seed=1, skill=0.2)])
    assert with_copy is not None
    assert with_copy.foot == table.foot


def test_different_methods_without_a_configuration_have_no_mean() -> None:
    records = [run_record(name, method=name, seed=seed) for seed, name in enumerate(("erm", "mlc_nc"))]
    bare = [
        replace(r, facts=replace(r.facts, config={}, checkpoint={**r.facts.checkpoint, **r.facts.config}))
        for r in records
    ]
    table = score_table(bare)
    assert table is not None
    assert table.foot == []


def test_the_note_names_images_protocol_and_weights() -> None:
    assert score_note([run_record()]) == (
        "175 test images, tie-aware average precision, raw weights of best.pt (the epoch with the best validation mAP)."
    )
    assert score_note([replace(run_record(), evaluation=None)]) == ""


def test_collapse_has_a_block_for_each_metric_and_marks_what_is_nearest() -> None:
    loose, tight = run_record("loose", spread=0.5), run_record("tight", spread=0.1)
    table = collapse_table([loose, tight])
    assert table is not None
    first = table.blocks[0]
    assert (first.title, first.term) == ("nc1_pinv", "nc1_pinv")
    assert [row[0].text for row in first.rows] == ["loose", "tight"]
    assert [row[1].best for row in first.rows] == [False, True]
    assert [column.label for column in table.columns] == ["metric, run", "all", "head", "medium", "tail", "random"]
    alignment = [block for block in table.blocks if block.title == "nc2_norm_ratio"]
    # A ratio that should be 1 is not ranked.
    assert not any(cell.best for block in alignment for row in block.rows for cell in row)


def test_what_random_features_beat_is_never_bold() -> None:
    def bold(*records: RunRecord) -> list[list[bool]]:
        table = collapse_table(records)
        assert table is not None
        (block,) = (block for block in table.blocks if block.title == "nc2_angle_deviation")
        return [[cell.best for cell in row[1:-1]] for row in block.rows]

    none, low = [False] * 4, with_collapse(run_record("low"), "nc2_angle_deviation", 0.2, 0.1)
    assert bold(low, with_collapse(run_record("high"), "nc2_angle_deviation", 0.3, 0.1)) == [none, none]
    assert bold(low, with_collapse(run_record("high"), "nc2_angle_deviation", 0.3, 0.4)) == [none, [True] * 4]


def test_the_caption_says_that_feature_spaces_differ() -> None:
    other = with_collapse(run_record("b"), "nc1_pinv", 1.0, 2.0, space="classwise", width=128)
    table, alike = collapse_table([run_record("a"), other]), collapse_table([run_record("a"), run_record("c")])
    assert table is not None
    assert alike is not None
    assert table.caption.endswith("; the feature spaces differ: read each value against its random")
    assert alike.caption.endswith("; bold: nearest to collapse of the values that are nearer to it than random")


def test_collapse_of_one_run_has_a_row_for_each_metric() -> None:
    table = collapse_table([run_record()])
    assert table is not None
    (block,) = table.blocks
    assert block.rows[0][0].term == "nc1_pinv"
    assert "(↓ 0)" in block.rows[0][0].note
    assert collapse_table([run_record()], other_spaces=True) is None


def test_classes_have_group_count_precision_and_values() -> None:
    (table,) = class_tables([run_record()])
    assert [row[:3] for row in body(table)] == [
        [NAMES[0], "head", "120"],
        [NAMES[1], "medium", "40"],
        [NAMES[2], "tail", "12"],
        [NAMES[3], "tail", "3"],
    ]
    assert [column.label for column in table.columns][3:5] == ["AP in %", "nc1_pinv"]
    assert table.sortable


def test_several_runs_share_a_table_of_classes_and_other_classes_get_their_own() -> None:
    other = run_record("c", names=("one", "two", "three", "four"))
    first, second = class_tables([run_record("a"), run_record("b"), other])
    assert first.spans[3][0] == "AP in %"
    assert [column.label for column in first.columns][3:5] == ["a", "b"]
    assert second.blocks[0].rows[0][0].text == "one"


def test_an_infinite_value_sorts_last() -> None:
    assert [value_cell(value).key for value in (math.inf, -math.inf, math.nan, 0.5)] == ["", "", "", "0.5"]
    assert value_cell(math.inf).text == "inf"


def test_a_value_that_does_not_exist_sorts_last() -> None:
    record = run_record()
    assert record.evaluation is not None
    gone = replace(record.evaluation, average_precision=[math.nan, 0.5, 0.25, 1.0])
    (table,) = class_tables([replace(record, evaluation=gone)])
    assert [row[3].key for row in table.blocks[0].rows] == ["", "0.5", "0.25", "1"]
    assert table.blocks[0].rows[0][3].text == "n/a"


def test_facts_and_differing_settings_stand_side_by_side() -> None:
    records = [run_record("a"), run_record("b", method="mlc_nc", seed=1)]
    rows = {row[0]: row[1:] for row in body(facts_table(records))}
    assert rows["method"] == ["Empirical risk minimisation (erm)", "MLC-NC (mlc_nc)"]
    assert rows["epochs"] == ["2 of 2", "2 of 2"]
    assert rows["classes"][0] == "4: 1 head, 1 medium, 2 tail, 3 to 120 training images each"
    differing = {row[0]: row[1:] for row in body(differing_table(records, compare(records)))}
    assert differing["seed"] == ["0", "1"]
    assert "dataset" not in differing


@pytest.mark.parametrize("records", [[run_record()], []])
def test_one_run_is_not_compared(records: list[RunRecord]) -> None:
    assert compare(records) is None


def test_other_classes_and_other_data_are_named() -> None:
    other = run_record("c", names=("one", "two", "three", "four"))
    other = replace(other, facts=replace(other.facts, config={**other.facts.config, "dataset": "voc_lt"}))
    found = compare([run_record("a"), other])
    assert found is not None
    assert "The runs differ in their data set: a toy and c voc_lt." in found.sentences
    assert any(sentence.startswith("The runs have different classes") for sentence in found.sentences)


def test_only_runs_with_a_value_are_compared() -> None:
    bare = run_record("bare")
    bare = replace(
        bare, evaluation=None, collapse=None, facts=replace(bare.facts, checkpoint={}, environment={}), training=None
    )
    found = compare([bare, run_record("whole")])
    assert found is not None
    assert found.sentences == ["All runs have the same data set: toy."]
    three = compare([bare, run_record("a"), run_record("b")])
    assert three is not None
    assert three.sentences[1:] == [
        "a and b (of the others it is not known) have the same 4 classes with the same numbers of training images.",
        "a and b (of the others it is not known) have the same number of test images: 175.",
        "a and b (of the others it is not known) have the same version of torch: 2.0.",
    ]


def test_a_score_of_one_run_alone_is_not_marked() -> None:
    first, second = run_record("a"), run_record("b", skill=0.2)
    assert first.evaluation is not None
    means = {**first.evaluation.mean_average_precision, "tail": math.nan}
    gone = replace(first, evaluation=replace(first.evaluation, mean_average_precision=means))
    table = score_table([gone, second])
    assert table is not None
    assert [cell.best for cell in table.blocks[0].rows[0][1:5]] == [True, True, True, False]
    assert [cell.best for cell in table.blocks[0].rows[1][1:5]] == [False] * 4
