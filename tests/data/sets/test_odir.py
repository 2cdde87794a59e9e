from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nctools.data.annotations import Annotations
from nctools.data.sets.odir import ODIR_CLASSES, find_odir, odir_annotations, patient_split, patients
from nctools.errors import DatasetError
from tests.data.broken_files import mutations
from tests.data.odir_tree import LETTERS, make_odir_tree

HEADER = "ID,N,D,G,C,A,H,M,O"


def read(folder: Path, text: str) -> Annotations:
    """Write a table and read its eyes, with an empty test, so that no patient is drawn out."""
    (folder / "odir.csv").write_text(text, encoding="utf-8")
    (folder / "test.csv").write_text(f"{HEADER}\nx,1,0,0,0,0,0,0,0\n")
    return odir_annotations(folder, "train")


def told(found: Annotations, folder: Path) -> list[str]:
    return [str(problem).removeprefix(f"{folder / 'odir.csv'}, ") for problem in found.problems]


def letters(found: Annotations) -> dict[str, str]:
    return {
        name: "".join(LETTERS[column] for column in row.nonzero()[0])
        for name, row in zip(found.ids, found.labels, strict=True)
    }


@pytest.mark.parametrize("above", ["", "ODIR-5K", "data/ODIR-5K"])
def test_eyes_have_the_labels_of_their_patient(tmp_path: Path, above: str) -> None:
    truth = make_odir_tree(tmp_path / above)
    if above.startswith("data"):
        (tmp_path / "data").rename(tmp_path / "d")
        tmp_path = tmp_path / "d"
    train, test = odir_annotations(tmp_path, "train"), odir_annotations(tmp_path, "test")
    assert train.class_names == list(ODIR_CLASSES)
    assert train.name == "ODIR-5K train (80% of the patients, seed 0)"
    assert test.name == "ODIR-5K test (20% of the patients, seed 0)"
    assert train.problems + test.problems == []
    assert all(path.is_file() for path in train.paths + test.paths)
    found = letters(train) | letters(test)
    assert found == {f"{patient}_{side}": text for patient, text in truth.items() for side in ("left", "right")}
    assert set(patients(train)) | set(patients(test)) == set(truth)
    assert not set(patients(train)) & set(patients(test))
    assert min(train.class_counts) >= 2
    assert min(test.class_counts) >= 2


def test_another_seed_gives_another_split_and_the_same_one_the_same(tmp_path: Path) -> None:
    make_odir_tree(tmp_path, images=False)
    first = odir_annotations(tmp_path, "test", seed=0)
    assert odir_annotations(tmp_path, "test").ids == first.ids
    assert odir_annotations(tmp_path, "test", seed=1).ids != first.ids
    with pytest.raises(ValueError, match="`seed` is -1"):
        odir_annotations(tmp_path, "test", seed=-1)
    with pytest.raises(ValueError, match="`split` is 'val'"):
        odir_annotations(tmp_path, "val")  # type: ignore[arg-type]


def test_a_table_of_the_test_is_the_test(tmp_path: Path) -> None:
    make_odir_tree(tmp_path, num_patients=20, test_patients=17)
    train, test = odir_annotations(tmp_path, "train"), odir_annotations(tmp_path, "test")
    assert (train.name, len(train), test.name, len(test)) == ("ODIR-5K train", 40, "ODIR-5K test", 34)
    assert test.ids[0] == "5000_left"
    assert (train.root.name, test.root.name) == ("Training Images", "Testing Images")
    assert all(path.is_file() for path in train.paths + test.paths)


def test_columns_in_any_order_and_case_with_blanks(tmp_path: Path) -> None:
    text = "o;m;h;a;c;g;d;n; Left-fundus;id ;RIGHT FUNDUS\n 1;0;0;0;0;0;1.0;0; l 7.jpg;7.0;r7.jpg \n"
    found = read(tmp_path, "\ufeff" + text)
    assert letters(found) == {"7_left": "DO", "7_right": "DO"}
    assert (found.files, found.problems) == (["l 7.jpg", "r7.jpg"], [])


def test_without_names_of_images_they_are_made_from_the_id(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEADER}\n3,1,0,0,0,0,0,0,0\n")
    assert found.files == ["3_left.jpg", "3_right.jpg"]


def test_an_eye_without_a_name_of_an_image_is_left_out(tmp_path: Path) -> None:
    long = "long" * 99 + ".jpg"
    rows = f"3,1,0,0,0,0,0,0,0,,3_right.jpg\n4,1,0,0,0,0,0,0,0,{long},\n"
    found = read(tmp_path, f"{HEADER},Left-Fundus,Right-Fundus\n{rows}")
    assert (found.ids, found.problems) == (["3_right", "4_left"], [])


def test_tables_with_a_row_for_each_eye(tmp_path: Path) -> None:
    rows = "3,0,1,0,0,0,0,0,0,3_right.jpg\n4,1,0,0,0,0,0,0,0,4_left.jpg\n3,0,1,0,0,0,0,0,0,3_left.jpg\n"
    found = read(tmp_path, f"{HEADER},filename\n{rows}")
    assert letters(found) == {"3_right": "D", "4_left": "N", "3_left": "D"}
    assert patients(found) == ["3", "4", "3"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2,1,0,0,0,0,0,0,2", "line 3: column O: '2' is neither 0 nor 1"),
        ("2,,0,0,0,0,0,0,1", "line 3: column N: '' is neither 0 nor 1"),
        ("2,1,0,0,0,0,0,0", "line 3: 8 fields, but the header has 9"),
        (" ,1,0,0,0,0,0,0,0", "line 3: names no patient: fill the column ID"),
        ("1,1,0,0,0,0,0,0,0", "line 3: the eye 1_left was listed before: remove the row"),
        ("1,0,1,0,0,0,0,0,0", "line 3: patient 1 had other labels in a row before"),
    ],
)
def test_a_wrong_row_is_told_with_its_line(tmp_path: Path, row: str, problem: str) -> None:
    found = read(tmp_path, f"{HEADER}\n1,1,0,0,0,0,0,0,0\n{row}\n9,0,0,0,0,0,0,0,1\n")
    assert len(found.problems) == 1
    assert told(found, tmp_path)[0].startswith(problem)
    assert letters(found) == {"1_left": "N", "1_right": "N", "9_left": "O", "9_right": "O"}


def test_a_table_without_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"odir\.csv has no row with labels and an image$"):
        read(tmp_path, f"{HEADER}\n")
    with pytest.raises(DatasetError, match=r"has no row with labels and an image: .*line 2: column N: 'x'"):
        read(tmp_path, f"{HEADER}\n1,x,0,0,0,0,0,0,0\n")


def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(DatasetError, match=r"data\.xlsx is a spreadsheet: save it as CSV in UTF-8 .* pandas\.read_exc"):
        odir_annotations(tmp_path, "train")
    with pytest.raises(DatasetError, match=r"data\.xlsx is not a table .*: save it as CSV"):
        odir_annotations(tmp_path / "data.xlsx", "train")


def test_of_several_tables_one_is_chosen_by_its_path(tmp_path: Path) -> None:
    make_odir_tree(tmp_path)
    (tmp_path / "full_df.csv").write_text(f"{HEADER}\n1,1,0,0,0,0,0,0,0\n2,1,0,0,0,0,0,0,0\n")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"2 tables of labels in .*Annotations\.csv and .*full_df\.csv: keep one"):
        odir_annotations(tmp_path, "train")
    found = odir_annotations(tmp_path / "full_df.csv", "train")
    assert len(found) == 2
    assert found.paths[0].is_file()


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    table, images = find_odir(tmp_path).missing
    assert "give the folder with a table (.csv, .tsv) with the header ID,N,D,G,C,A,H,M,O" in table
    assert "no folder of images in" in images
    assert '"Training Images"' in images
    with pytest.raises(DatasetError, match="ODIR-5K has no table of labels"):
        odir_annotations(tmp_path, "test")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 15), min_size=1, max_size=60), st.floats(0.05, 0.95), st.integers(0, 9))
def test_split_keeps_patients_whole_whatever_their_order(sets: list[int], share: float, seed: int) -> None:
    ids = [f"{patient}_{side}" for patient in range(len(sets)) for side in ("left", "right")]
    labels = np.array([[bits >> column & 1 for column in range(4)] for bits in sets for _ in "lr"], dtype=np.uint8)
    found = Annotations("", list("abcd"), ids, Path(), ids, labels)
    train, test = patient_split(found, share, seed=seed)
    assert sorted([*train, *test]) == list(range(len(ids)))
    in_test = set(patients(found.select(test)))
    assert not in_test & set(patients(found.select(train)))
    assert abs(len(in_test) - share * len(sets)) <= 5  # four labels and none, each rounded
    order = np.random.default_rng(seed).permutation(len(ids))
    again = found.select(order)
    assert set(patients(again.select(patient_split(again, share, seed=seed)[1]))) == in_test


def test_share_must_lie_between_nought_and_one(tmp_path: Path) -> None:
    make_odir_tree(tmp_path, images=False)
    with pytest.raises(ValueError, match=r"`test_share` is 1\.5"):
        patient_split(odir_annotations(tmp_path, "train"), 1.5)


def test_a_hundred_mutated_tables_are_read_or_refused(tmp_path: Path) -> None:
    make_odir_tree(tmp_path / "made", num_patients=16, images=False)
    content = (tmp_path / "made" / "ODIR-5K_Training_Annotations.csv").read_bytes()
    path = tmp_path / "odir.csv"
    (tmp_path / "test.csv").write_text(f"{HEADER}\nx,1,0,0,0,0,0,0,0\n")
    read_well = 0
    for mutated in mutations(content, 100, seed=4):
        path.write_bytes(mutated)
        try:
            found = odir_annotations(path, "train")
        except DatasetError:
            continue
        read_well += 1
        assert found.labels.shape == (len(found.ids), 8)
        "".join(map(str, found.problems)).encode()
    assert read_well > 20
