from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import h5py
import pytest
import torch

from nctools.features import FeatureStore
from nctools.features.batches import BatchReader
from nctools.features.compression import Compression, dataset_options
from nctools.features.writer import FeatureWriter
from tests.features.models import label_sets

DESCRIPTION: dict[str, object] = {
    "dtype": "float32",
    "groups": None,
    "model": "",
    "pairs": "all",
    "places": {},
    "provenance": {},
    "single_label": False,
}


def write(path: Path, compression: Compression | None) -> FeatureStore:
    """120 images of 3 classes; half of the features are zero, as after a ReLU."""
    features = torch.randn(120, 3, 16, generator=torch.Generator().manual_seed(0)).relu()
    reader = BatchReader(pairs="all", dtype="float32", ids=None, num_classes=3)
    with FeatureWriter(path, compression) as writer:
        for rows, targets in zip(features.split(50), label_sets(120, 3).split(50), strict=True):
            writer.append(reader.read({"dense": rows, "shared": rows[:, 0]}, None, targets))
        writer.finish(DESCRIPTION | {"class_names": ["a", "b", "c"]}, {})
    return FeatureStore(path)


@pytest.mark.parametrize("compression", get_args(Compression))
def test_compressed_features_are_read_as_they_were_written(compression: Compression, tmp_path: Path) -> None:
    if compression in {"zstd", "blosc"}:
        pytest.importorskip("hdf5plugin")
    plain, packed = write(tmp_path / "plain.h5", None), write(tmp_path / "packed.h5", compression)
    assert (plain.compression, packed.compression) == (None, compression)
    assert packed.attrs["compression"] == compression
    for layer in plain.layers:
        assert packed.features(layer).equal(plain.features(layer))
        assert packed.of_class(layer, 1).equal(plain.of_class(layer, 1))
        assert packed.as_dataset(layer)[77][0].equal(plain.features(layer)[77])
    with h5py.File(plain.path) as before, h5py.File(packed.path) as after:
        stored = [file["layers/shared/features"].id.get_storage_size() for file in (before, after)]
        assert stored[1] < 0.8 * stored[0]
        assert [after[f"layers/{layer}/features"].id.get_create_plist().get_nfilters() for layer in plain.layers]
        assert before["layers/shared/features"].id.get_create_plist().get_nfilters() == 0


def test_unknown_compression_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="compression is 'zip'; it is None or one of: zstd, blosc, gzip, lzf"):
        FeatureWriter(tmp_path / "x.h5", "zip")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_writing_without_the_library_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(ModuleNotFoundError, match=r"compression='zstd' needs the library hdf5plugin") as caught:
        dataset_options("zstd")
    assert caught.value.name == "hdf5plugin"
    assert dataset_options("lzf") == {"compression": "lzf"}


READ = """
import sys
{block}
from nctools.features import FeatureStore
try:
    print(FeatureStore(sys.argv[1]).features("dense").sum().item())
except ModuleNotFoundError as error:
    print(error.name, "|", error)
"""


@pytest.mark.parametrize("installed", [True, False])
def test_reader_in_a_new_process_loads_the_library_or_names_it(installed: bool, tmp_path: Path) -> None:
    pytest.importorskip("hdf5plugin")
    store = write(tmp_path / "packed.h5", "zstd")
    code = READ.format(block="" if installed else "sys.modules['hdf5plugin'] = None")
    command = [sys.executable, "-c", code, str(store.path)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    if installed:
        assert float(found) == pytest.approx(store.features("dense").sum().item())
    else:
        assert found.startswith("hdf5plugin | reading ")
        assert "packed.h5, whose features are compressed, needs the library hdf5plugin" in found


def test_file_cannot_make_nctools_import_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "plain.h5", None)
    with h5py.File(store.path, "r+") as file:
        file.attrs["needs_library"] = "planted"
    (tmp_path / "planted.py").write_text("raise SystemExit('the library of the file was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert FeatureStore(store.path).features("dense").shape == (120, 3, 16)
    assert "planted" not in sys.modules
