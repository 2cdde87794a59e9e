from __future__ import annotations

from pathlib import Path

from nctools.studies.plan import plan_runs
from nctools.studies.variants import VARIANTS


def test_every_row_is_another_run_but_the_attention_that_the_data_set_has_anyway(tmp_path: Path) -> None:
    runs = plan_runs(list(VARIANTS.values()), dataset="digits_lt", seeds=[0], out=tmp_path)
    assert len({run.path for run in runs}) == len(runs) - 1
    assert [run.variant.name for run in runs if run.path == runs[0].path] == ["mlc_nc", "attention multihead"]


def test_a_row_is_known_by_its_name_and_has_a_folder_of_its_own() -> None:
    assert all(name == variant.name for name, variant in VARIANTS.items())
    assert len({variant.folder for variant in VARIANTS.values()}) == len(VARIANTS)
