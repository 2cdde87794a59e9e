"""Chunks of one class each: what is read back is what was handed over."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from nctools.features import class_chunks
from nctools.features.batches import FileBatch, LayerRows
from nctools.features.class_chunks import ClassChunks
from nctools.features.writer import FeatureWriter


def dataset(path: Path, shape: tuple[int, int, int], rows: int, dtype: str, **options: object) -> h5py.Dataset:
    chunks = (rows, 1, shape[2])
    return h5py.File(path, "w").create_dataset("f", shape, dtype, chunks=chunks, **options)


@pytest.mark.parametrize("dtype", ["float32", "float16", ">f4", "float64"])
@pytest.mark.parametrize(("classes", "width", "rows"), [(1, 5, 4), (7, 1, 3), (13, 6, 1), (5, 33, 8)])
@pytest.mark.parametrize("together", [1, 3, 10_000])
def test_rows_are_read_back_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, classes: int, width: int, rows: int, together: int
) -> None:
    chunk_bytes = rows * width * np.dtype(dtype).itemsize
    monkeypatch.setattr(class_chunks, "_BLOCK_BYTES", together * chunk_bytes)
    values = np.random.default_rng(0).normal(size=(3 * rows, classes, width)).astype(dtype)
    found = dataset(tmp_path / "a.h5", values.shape, rows, dtype)
    writer = ClassChunks(found)
    for start in range(0, len(values), rows):
        cut = start + rows // 2
        writer.write(start, [values[start:cut], values[cut : start + rows]])
    found.file.close()
    with h5py.File(tmp_path / "a.h5") as file:
        read = file["f"][()]
    assert read.dtype == values.dtype
    assert read.tobytes() == values.tobytes()


def test_strided_rows_of_another_dtype_become_that_of_the_data_set(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 4, 5)).transpose(1, 2, 0)  # float64, not contiguous
    found = dataset(tmp_path / "a.h5", values.shape, 4, "float32")
    ClassChunks(found).write(0, [values])
    np.testing.assert_array_equal(found[()], values.astype("float32"))


def test_every_chunk_is_stored_whole(tmp_path: Path) -> None:
    values = np.ones((8, 3, 5), "float32")
    found = dataset(tmp_path / "a.h5", values.shape, 4, "float32")
    writer = ClassChunks(found)
    for start in (0, 4):
        writer.write(start, [values[start : start + 4]])
    assert found.id.get_num_chunks() == 6
    assert {found.id.get_chunk_info(index).size for index in range(6)} == {4 * 5 * 4}


@pytest.mark.parametrize("count", [3, 5])
def test_other_numbers_of_rows_than_a_chunk_has_are_refused(tmp_path: Path, count: int) -> None:
    writer = ClassChunks(dataset(tmp_path / "a.h5", (8, 2, 5), 4, "float32"))
    with pytest.raises(ValueError, match=f"hold {count} rows, but a chunk of '/f' has 4"):
        writer.write(0, [np.zeros((count, 2, 5), "float32")])


def test_data_sets_with_filters_or_chunks_of_several_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"chunks \(4, 1, 5\) for 2 classes of width 5: .* no filter"):
        ClassChunks(dataset(tmp_path / "a.h5", (8, 2, 5), 4, "float32", compression="gzip"))
    with h5py.File(tmp_path / "b.h5", "w") as file, pytest.raises(ValueError, match=r"chunks \(4, 2, 5\)"):
        ClassChunks(file.create_dataset("f", (8, 2, 5), "float32", chunks=(4, 2, 5)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("batches", [(64,), (1,), (63, 1, 64), (200, 7), (16, 48, 64, 65, 3), (65, 0, 130)])
def test_feature_file_holds_batches_of_any_size(
    tmp_path: Path, dtype: str, classes: int, batches: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).normal(size=(sum(batches), classes, 5)).astype(dtype)
    none, start = np.zeros(0, np.int64), 0
    with FeatureWriter(tmp_path / "a.h5") as writer:
        for size in batches:
            ids = [str(start + row) for row in range(size)]
            layers = {"f": LayerRows("classwise", values[start : start + size])}
            writer.append(FileBatch(ids, np.zeros((size, classes), np.uint8), None, none, none, layers))
            start += size
        writer.finish({}, {})
    with h5py.File(tmp_path / "a.h5") as file:
        read = file["layers/f/features"][()]
    assert read.dtype == values.dtype
    assert read.tobytes() == values.tobytes()
