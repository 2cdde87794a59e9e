from __future__ import annotations

from pathlib import Path

import pytest

from nctools.collapse.groups import head_medium_tail, quantile_groups
from nctools.data.group_rules import groups_and_notes, groups_from, read_group_file
from nctools.errors import DatasetError

COUNTS = [150, 100, 60, 20, 19, 4]
NAMES = ["person", "car", "cat", "dog", "cow", "potted plant"]


def written(folder: Path, text: str) -> str:
    path = folder / "groups.json"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("rule", [None, "100,20", " 100 , 20 "])
def test_the_usual_thresholds_are_the_default(rule: str | None) -> None:
    groups = groups_from(rule, COUNTS, NAMES)
    assert groups == {"head": [0, 1], "medium": [2, 3], "tail": [4, 5]} == head_medium_tail(COUNTS)


def test_two_numbers_are_thresholds() -> None:
    assert groups_from("50,20", COUNTS, NAMES) == head_medium_tail(COUNTS, head=50, medium=20)
    with pytest.raises(ValueError, match=r"^thresholds 20,100: head begins at the first, .* be larger: 100,20$"):
        groups_from("20,100", COUNTS, NAMES)


def test_quantiles_cut_the_classes_from_the_most_frequent_to_the_rarest() -> None:
    assert groups_from("quantiles:0.33,0.67", COUNTS, NAMES) == quantile_groups(COUNTS)
    assert groups_from("quantiles: .5, 1", COUNTS, NAMES) == {"head": [0, 1, 2], "medium": [3, 4, 5], "tail": []}
    assert groups_from("quantiles:0.5,0.5", COUNTS, NAMES) == {"head": [0, 1, 2], "medium": [], "tail": [3, 4, 5]}
    for rule in ("quantiles:0.7,0.3", "quantiles:33,67"):
        with pytest.raises(ValueError, match=f"{rule}: they must satisfy"):
            groups_from(rule, COUNTS, NAMES)


def test_equal_counts_that_leave_head_or_tail_empty_are_told() -> None:
    groups, notes = groups_and_notes("quantiles:0.33,0.67", [9, 5, 5, 5, 5, 5], NAMES)
    assert groups == {"head": [0], "medium": [1, 2, 3, 4, 5], "tail": []}
    assert notes == ["quantiles:0.33,0.67 leave tail empty: classes with equal counts stay together, in medium"]
    with pytest.warns(UserWarning, match="leave head and tail empty"):
        groups_from("quantiles:0.33,0.67", [5] * 6, NAMES)
    assert groups_and_notes("quantiles:0.5,1", COUNTS, NAMES)[1] == []  # no tail was asked for


def test_a_file_names_classes_or_gives_indices_and_middle_becomes_medium(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeff{"head": ["person", 1], "middle": ["potted plant"], "tail": [2, 3, "cow"]}')
    expected = {"head": [0, 1], "medium": [5], "tail": [2, 3, 4]}
    assert groups_from(path, COUNTS, NAMES) == expected
    assert read_group_file(Path(path), NAMES) == expected


def test_groups_of_a_file_may_bear_any_name_overlap_and_be_empty(tmp_path: Path) -> None:
    path = written(tmp_path, '{"animals": ["cat", "dog"], "pets": ["dog"], "none": [], "rest": [0, 1, 4, 5]}')
    groups = groups_from(path, COUNTS, NAMES)
    assert groups == {"animals": [2, 3], "pets": [3], "none": [], "rest": [0, 1, 4, 5]}
    assert list(groups) == ["animals", "pets", "none", "rest"]


def test_classes_of_no_group_are_allowed_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, '{"animals": ["cat", "dog", "cow"]}')
    with pytest.warns(
        UserWarning, match="groups.json puts no group around person, car, potted plant: they count among"
    ):
        assert groups_from(path, COUNTS, NAMES) == {"animals": [2, 3, 4]}
    groups, notes = groups_and_notes(path, COUNTS, NAMES)
    assert (groups, len(notes)) == ({"animals": [2, 3, 4]}, 1)
    many = [f"class {i}" for i in range(40)]
    path = written(tmp_path, '{"first": [0]}')
    with pytest.warns(UserWarning, match=r"class 1, .*class 10, \.\.\. \(39 in all\)"):
        groups_from(path, [1] * 40, many)


def test_without_class_names_indices_are_read(tmp_path: Path) -> None:
    path = Path(written(tmp_path, '{"a": [0, 70], "middle": [2]}'))
    assert read_group_file(path) == {"a": [0, 70], "medium": [2]}
    path = Path(written(tmp_path, '{"a": ["cat"]}'))
    with pytest.raises(
        DatasetError, match=r"group 'a' holds 'cat', but class names are not known here: give class ind"
    ):
        read_group_file(path)
    assert read_group_file(Path(written(tmp_path, "{}"))) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ["dogg"]}', r"groups.json, group 'a': unknown class 'dogg'; did you mean dog\? Known: person, car"),
        ('{"a": ["dog", 3]}', "groups.json: group 'a' holds class 3 twice"),
        ('{"a": [6]}', "group 'a' holds class 6, but there are 6 classes"),
        ('{"a": [-1]}', "group 'a' holds class -1"),
        ('{"a": [true]}', "group 'a' holds true, which is no class: it should look like"),
        ('{"a": [1.5]}', "group 'a' holds 1.5, which is no class"),
        ('{"a": [[1]]}', r"group 'a' holds \[1\], which is no class"),
        ('{"a": [1], "a": [2]}', "gives the group 'a' twice"),
        ('{"middle": [1], "medium": [2]}', "gives the group 'medium' twice"),
        ('{"all": [1]}', "'all' always means every class"),
        ('{"a": 1}', r'holds no groups: it should look like \{"head": \[0, 1\]'),
        ("[[1], [2]]", "holds no groups"),
        ('{"a": [1}', "cannot be read as a JSON file of groups"),
        ("[" * 200_000, "cannot be read as a JSON file of groups"),
        ('{"a": [' + "9" * 5000 + "]}", "cannot be read as a JSON file of groups"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        groups_from(written(tmp_path, text), COUNTS, NAMES)


def test_what_is_neither_rule_nor_file_is_refused(tmp_path: Path) -> None:
    for rule in ("100", "quantiles:a,b", str(tmp_path / "nothere.json"), str(tmp_path)):
        with pytest.raises(DatasetError, match="are no file, nor a rule: give two thresholds such as 100,20"):
            groups_from(rule, COUNTS, NAMES)
    with pytest.raises(DatasetError, match=r"nothere\.json cannot be read as a JSON file of groups"):
        read_group_file(tmp_path / "nothere.json")
    (tmp_path / "latin.json").write_bytes(b'{"caf\xe9": [0]}')
    with pytest.raises(DatasetError, match=r"latin\.json cannot be read as a JSON file of groups"):
        read_group_file(tmp_path / "latin.json")
