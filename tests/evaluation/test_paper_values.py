from __future__ import annotations

import csv
from collections import defaultdict

import pytest

from nctools.data.catalogue import DATASETS
from nctools.data.published.facts import PUBLISHED_SPLITS
from nctools.evaluation import published_values
from nctools.evaluation.paper_values import TABLE
from nctools.methods import METHODS, argument_names


@pytest.mark.parametrize(
    ("method", "dataset", "setting", "group", "value"),
    [
        ("mlc_nc", "voc_lt", "", "all", 84.37),
        ("mlc_nc", "coco_lt", "", "tail", 64.21),
        ("mlc_nc", "voc_lt", "label_embedding=trainable", "head", 71.99),
        ("mlc_nc", "voc_lt", "fpc_weight=0", "medium", 87.88),
        ("mlc_nc", "voc_lt", "projection_features=768", "all", 82.08),
        ("erm", "voc_lt", "", "tail", 65.31),
        ("erm", "plt_coco", "", "medium", 56.67),
        ("comic", "plt_voc", "", "tail", 84.53),
        ("comic", "plt_coco", "drop_labels=0.4", "all", 54.75),
        ("cssfe", "coco_lt", "", "tail", 62.41),
        ("lmpt", "voc_lt", "", "all", 85.44),
    ],
)
def test_printed_numbers_are_found(method: str, dataset: str, setting: str, group: str, value: float) -> None:
    [found] = published_values(method=method, dataset=dataset, setting=setting, measure="mAP", group=group)
    assert found.value == value


def test_other_measures_than_map_are_found() -> None:
    assert [value.value for value in published_values(measure="weighted F1", method="cssfe")] == [75.6, 56.4, 91.2]
    assert [value.value for value in published_values(measure="nc2_mean_angle_raw_deg")] == [78, 43]
    assert [value.value for value in published_values(measure="average mAP")] == [54.88]
    assert published_values(method="no_such_method") == []


def test_the_ablation_has_its_full_row_and_the_same_numbers_as_the_comparison() -> None:
    full = {"all": 84.37, "head": 72.75, "medium": 88.15, "tail": 90.31}
    for table in ("ablation", "comparison"):
        found = published_values(method="mlc_nc", dataset="voc_lt", setting="", table=table)
        assert {row.group: row.value for row in found} == full
    assert len({row.setting for row in published_values(table="ablation", paper="mlc_nc")}) == 4
    [once] = published_values(method="mlc_nc", dataset="voc_lt", setting="", measure="mAP", group="all")
    assert once.table == "comparison"


def test_what_is_recalled_says_so() -> None:
    recalled = [row for row in published_values() if "recalled" in row.table]
    assert {(row.method, row.dataset) for row in recalled} == {("pg", "coco_lt"), ("pg", "voc_lt")}
    assert published_values(method="pg") == recalled
    assert [row.value for row in recalled] == [54.43, 51.23, 57.42, 53.40, 80.37, 73.67, 83.83, 82.88]


def test_every_row_is_whole_and_none_stands_twice() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["paper", "table", "dataset", "method", "setting", "measure", "group", "value"]
    assert all(len(row) == len(header) for row in rows)
    values = published_values()
    assert len(rows) == 311
    assert len(values) == len(rows) - 4  # the full method stands in the ablation, too
    # A row is found by what it is about, not by where it stands: no two papers print the same thing.
    assert len({(row.dataset, row.method, row.setting, row.measure, row.group) for row in values}) == len(values)
    assert {row.group for row in values} == {"all", "head", "medium", "tail"}
    assert all(0 < row.value < 100 for row in values)


def test_names_are_those_of_nctools_where_it_has_them() -> None:
    values = published_values()
    assert {row.dataset for row in values} <= set(DATASETS)
    assert {"erm", "mlc_nc"} <= {row.method for row in values} & set(METHODS)
    changed = {row.setting.partition("=")[0] for row in values if row.method == "mlc_nc" and "=" in row.setting}
    assert changed <= set(argument_names("mlc_nc"))


def test_totals_are_the_means_over_classes_of_their_groups() -> None:
    # Guards the table against slips: groups have known sizes. Left out: rows that do not add up in print.
    rough = {
        ("coco_lt", "erm"), ("coco_lt", "rs"), ("voc_lt", "ldam"), ("coco_lt", "pg"), ("voc_lt", "pg"),
        ("plt_coco", "db_focal"), ("plt_voc", "db_focal"), ("plt_coco", "lws"), ("plt_voc", "lws"),
        ("plt_coco", "pseudo_label"), ("plt_voc", "pseudo_label"), ("plt_coco", "comic"), ("plt_voc", "comic"),
    }  # fmt: skip
    rows: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for value in published_values(measure="mAP"):
        if value.paper in {"mlc_nc", "comic"} and (value.dataset, value.method) not in rough:
            rows[value.dataset, value.method, value.setting][value.group] = value.value
    whole = {key: groups for key, groups in rows.items() if len(groups) == 4}
    assert len(whole) > 40
    for (dataset, method, setting), groups in whole.items():
        sizes = dict(zip(("head", "medium", "tail"), PUBLISHED_SPLITS[dataset].group_sizes, strict=True))
        mean = sum(size * groups[group] for group, size in sizes.items()) / sum(sizes.values())
        assert groups["all"] == pytest.approx(mean, abs=0.03), (dataset, method, setting)
