from __future__ import annotations

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from nctools.data.sampler_catalogue import SAMPLERS, build_sampler, sampler_entry
from nctools.data.weighted_samplers import ClassPriorSampler
from nctools.errors import UnknownNameError
from nctools.methods.recipe import SamplerName

TARGETS = np.eye(2, dtype=np.int64)[np.repeat(np.arange(2), [4, 1])]


def test_a_recipe_may_name_every_row() -> None:
    assert tuple(SAMPLERS) == get_args(SamplerName)
    assert [entry.name for entry in SAMPLERS.values()] == list(SAMPLERS)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_row_can_be_built_with_what_it_takes(name: str) -> None:
    settings = {"length": 6, "num_samples_per_class": 2, "num_epochs": 3}
    taken = {key: settings[key] for key in SAMPLERS[name].takes}
    sampler = build_sampler(name, TARGETS, seed=1, rank=1, world_size=2, **taken)
    assert sampler.length == (6 if "length" in taken else 5)
    assert (sampler.rank, sampler.world_size) == (1, 2)


def test_names_stand_for_exponents() -> None:
    built = {name: build_sampler(name, TARGETS) for name in ("square_root", "class_uniform", "reversed")}
    exponents = {name: sampler.q for name, sampler in built.items() if isinstance(sampler, ClassPriorSampler)}
    assert exponents == {"square_root": 0.5, "class_uniform": 0.0, "reversed": -1.0}


def test_unknown_names_list_near_misses() -> None:
    with pytest.raises(UnknownNameError, match="unknown sampler 'class_awar'; did you mean class_aware"):
        sampler_entry("class_awar")
    with pytest.raises(UnknownNameError, match="unknown setting of the sampler uniform 'length'"):
        build_sampler("uniform", TARGETS, length=3)


def test_progressive_names_the_setting_it_needs() -> None:
    assert [name for name, entry in SAMPLERS.items() if entry.needs] == ["progressive"]
    with pytest.raises(ValueError, match=r"progressive needs `num_epochs`: build_sampler\('progressive', targets, num"):
        build_sampler("progressive", TARGETS, seed=0)


def test_the_table_loads_no_torch() -> None:
    code = "import sys, nctools.data.sampler_catalogue; assert not {'torch', 'numpy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
