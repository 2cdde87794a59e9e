from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import nctools.data
from nctools.data.catalogue import DATASETS, dataset_entry
from nctools.errors import UnknownNameError


def test_every_row_names_itself_and_a_builder_that_exists() -> None:
    for name, entry in DATASETS.items():
        module, _, function = entry.builder.partition(":")
        assert entry.name == name
        assert callable(getattr(importlib.import_module(module), function))


def test_unknown_name_lists_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown data set 'digits-tl'; did you mean digits_lt"):
        dataset_entry("digits-tl")


@pytest.mark.parametrize(("typed", "name"), [("VOC-MLT", "voc_lt"), ("coco_mlt", "coco_lt")])
def test_data_sets_have_other_names(typed: str, name: str) -> None:
    assert dataset_entry(typed).name == name


def test_catalogue_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, nctools.data.catalogue, nctools.data.preprocessing; "
        "sys.exit(bool({'torch', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_lazy_names_are_those_of_their_modules() -> None:
    for name in nctools.data.__all__:
        value = getattr(nctools.data, name)
        module = getattr(value, "__module__", None)
        assert module is None or module.startswith(("nctools.data.", "builtins")), name


def test_unknown_attribute_names_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'load_data'; it has: .*load_dataset"):
        _ = nctools.data.load_data
