from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from nctools.collapse.result import CollapseResult, load_result
from nctools.errors import StoreError, UnknownNameError
from tests.collapse.cases import REFERENCED, Kind, block_value, make_case, measure

GROUPS = {"inf": [0, 1], "nan": [2, 3], 'a, "b"\nc': [4], "none": []}


def sample_result(kind: Kind = "shared", space: str = "first", width: int = 3) -> CollapseResult:
    """A result with NaN, infinity, an absent class, and awkward names."""
    case = make_case(kind, [6, 5, 4, 0, 2, 1], width, seed=0)
    features = case.features.clone()
    if kind == "single":  # two classes with one mean: infinite CDNV
        for c in (0, 1):
            chosen = (case.labels == c).nonzero().squeeze(1)[:4]
            case.labels[case.labels == c] = 5
            case.labels[chosen] = c
            features[chosen] = make_case("single", [4], width, seed=1).features
    moved = type(case)(case.kind, features, case.labels, case.num_classes, case.classifier)
    names = ["inf", "nan", "None", "", "é", "1"]
    return measure(moved, groups=GROUPS, space=space, split="train", class_names=names)


@pytest.mark.parametrize("kind", ["single", "classwise", "shared"])
def test_json_round_trip_is_exact(kind: Kind, tmp_path: Path) -> None:
    result = CollapseResult.concat([sample_result(kind), sample_result(kind, "second", 9)])
    result.save(tmp_path / "nc.json")
    again = load_result(tmp_path / "nc.json")
    assert again.spaces == ["first", "second"]
    for space in (None, "first", "second"):
        left, right = (r if space is None else r.space(space) for r in (result, again))
        pd.testing.assert_frame_equal(left.table, right.table, check_exact=True)
        pd.testing.assert_frame_equal(left.per_class, right.per_class, check_exact=True)
        pd.testing.assert_frame_equal(left.by_multiplicity, right.by_multiplicity, check_exact=True)
        assert left.blocks.keys() == right.blocks.keys()
        for name, block in left.blocks.items():
            pd.testing.assert_frame_equal(block, right.blocks[name], check_exact=True)
        assert (left.definitions, left.settings, left.warnings) == (right.definitions, right.settings, right.warnings)
    assert again.to_document() == result.to_document()
    assert result.table["value"].isna().any()
    if kind == "single":
        assert math.isinf(block_value(result, "nc1_cdnv", "inf", "inf"))


def test_document_is_strict_json() -> None:
    text = json.dumps(sample_result("single").to_document(), allow_nan=False)
    document = json.loads(text)
    assert {type(row["value"]) for row in document["table"]} <= {float, int, type(None), str}
    assert document["definitions"]["nc1_pinv"]["formula"]


def test_csv_holds_the_table_and_reads_back(tmp_path: Path) -> None:
    result = CollapseResult.concat([sample_result("single"), sample_result("classwise", "second")])
    result.save(tmp_path / "nc.csv")
    again = load_result(tmp_path / "nc.csv")
    pd.testing.assert_frame_equal(result.table, again.table, check_exact=True)
    assert again.spaces == ["first", "second"]
    assert again.definitions["nc1_pinv"]["formula"] == result.definitions["nc1_pinv"]["formula"]
    assert again.per_class.empty
    assert again.blocks == {}
    assert "read from a table" in again.space("second").warnings[0]


def test_table_is_tidy() -> None:
    table = sample_result("single").table
    columns = ["space", "split", "group", "metric", "value", "num_classes", "n_min", "n_max", "num_used", "low", "high"]
    assert list(table.columns) == columns
    assert list(dict.fromkeys(table["group"])) == ["all", *GROUPS]
    assert not table.duplicated(["group", "metric"]).any()
    row = table[(table["group"] == "nan")].iloc[0]
    assert (row["num_classes"], row["n_min"], row["n_max"]) == (1, 4, 4)  # class 3 is absent


def test_per_class_has_a_row_for_each_declared_class() -> None:
    table = sample_result("classwise").per_class
    assert list(table.columns[:5]) == ["space", "class_index", "class_name", "group", "n"]
    assert table["class_index"].tolist() == list(range(6))
    assert table["group"].tolist() == ["inf", "inf", "nan", "nan", 'a, "b"\nc', ""]
    assert table["class_name"].tolist()[:3] == ["inf", "nan", "None"]
    assert (table["n"] == 0).tolist() == [False, False, False, True, False, False]


def test_to_dict_and_space_find_their_values() -> None:
    result = CollapseResult.concat([sample_result(), sample_result("shared", "second", 8)])
    first, second = result.to_dict(), result.to_dict("second")
    assert first["all"]["nc1_pinv"] != second["all"]["nc1_pinv"]
    alone = result.space("second").to_dict()
    assert all(alone[group] == pytest.approx(values, nan_ok=True) for group, values in second.items())
    assert result.space("second").spaces == ["second"]
    with pytest.raises(UnknownNameError, match="unknown feature space 'secnd'; did you mean second"):
        result.space("secnd")


def test_definitions_tell_settings_and_floor() -> None:
    result = CollapseResult.concat([sample_result("shared", "wide", 9), sample_result("shared", "narrow", 2)])
    assert result.space("wide").definitions["nc2_etf_error"]["floor"] == 0
    assert result.space("narrow").definitions["nc2_etf_error"]["floor"] == pytest.approx(
        math.sqrt(2 - 2 * math.sqrt(2 / 4))
    )
    assert result.definitions["nc1_pinv"]["settings"] == {
        "centre": "class",
        "weighting": "class",
        "ddof": 0,
        "scope": "global",
    }


def test_warnings_name_the_space_where_there_are_several() -> None:
    result = CollapseResult.concat([sample_result(), sample_result("shared", "second")])
    assert all(text.startswith(("first: ", "second: ")) for text in result.warnings)
    assert not any(text.startswith("first: ") for text in result.space("first").warnings)


def test_repr_is_short_and_tells_what_is_inside() -> None:
    text = repr(measure(make_case("single", [5, 4, 3], 4, seed=0), groups={"tail": [2]}))
    assert len(text) < 200
    for word in ("features", "tail", f"{len(REFERENCED['single'])} metrics", "nc1_pinv="):
        assert word in text


def test_a_space_stands_once() -> None:
    with pytest.raises(ValueError, match="each once"):
        CollapseResult.concat([sample_result(), sample_result()])
    with pytest.raises(ValueError, match="at least one space"):
        CollapseResult([])


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"suffix is '.txt'; use .json or .csv"):
        sample_result().save(tmp_path / "nc.txt")
    assert list(tmp_path.iterdir()) == []


def damaged(document: dict[str, object], change: str) -> object:
    table = document["table"]
    assert isinstance(table, list)
    if change == "foreign":
        return {"results": [1, 2]}
    if change == "list":
        return [document]
    if change == "newer":
        document["format_version"] = 99
    elif change == "no table":
        del document["table"]
    elif change == "table of text":
        document["table"] = "text"
    elif change == "row without group":
        del table[0]["group"]
    elif change == "value of text":
        table[0]["value"] = "many"
    elif change == "count of text":
        table[0]["num_classes"] = "many"
    elif change == "no spaces":
        document["spaces"] = {}
    return document


CHANGES = [
    "foreign", "list", "newer", "no table", "table of text", "row without group", "value of text", "count of text",
    "no spaces",
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_damaged_documents_are_one_clear_line(change: str, tmp_path: Path) -> None:
    path = tmp_path / "nc.json"
    path.write_text(json.dumps(damaged(sample_result().to_document(), change)), encoding="utf-8")
    with pytest.raises(StoreError, match=r"nc\.json") as caught:
        load_result(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nc.json", b"{"),
        ("nc.json", b"\xff\xfe\x00"),
        ("nc.json", b"null"),
        ("nc.csv", b"a,b\n1,2\n"),
        ("nc.csv", b""),
        ("nc.csv", b"space,split,group,metric,value,num_classes,n_min,n_max,num_used\nx,,all,nc1_pinv,many,1,1,1,1\n"),
        ("nc.csv", b"space,split,group,metric,value,num_classes,n_min,n_max,num_used\nx,all\n"),
        ("missing.json", None),
        ("missing.csv", None),
    ],
)
def test_unreadable_files_are_one_clear_line(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StoreError, match=name) as caught:
        load_result(tmp_path / name)
    assert "\n" not in str(caught.value)
