from __future__ import annotations

from pathlib import Path

from nctools.studies.plan import Variant, plan_runs
from nctools.studies.variants import VARIANTS, with_head, with_loss


def test_every_row_is_another_run_but_the_attention_that_the_data_set_has_anyway(tmp_path: Path) -> None:
    runs = plan_runs(list(VARIANTS.values()), dataset="digits_lt", seeds=[0], out=tmp_path)
    assert len({run.path for run in runs}) == len(runs) - 1
    assert [run.variant.name for run in runs if run.path == runs[0].path] == ["mlc_nc", "attention multihead"]


def test_a_row_is_known_by_its_name_and_has_a_folder_of_its_own() -> None:
    assert all(name == variant.name for name, variant in VARIANTS.items())
    assert len({variant.folder for variant in VARIANTS.values()}) == len(VARIANTS)


def test_another_head_is_another_run_and_in_no_table_of_a_paper() -> None:
    tuned = Variant("erm", "erm", {"max_lr": 0.01}, run_name="erm max_lr=0.01")
    changed = with_head(tuned)
    assert changed.settings == {"max_lr": 0.01, "head": "class_attention"}
    assert changed.paper is None
    assert changed.folder == "erm_max_lr=0.01__class-wise_head"
    assert with_head(Variant("rs", "rs")).folder == "rs__class-wise_head"
    assert with_head(Variant("rs", "rs"), "linear").name == "rs, linear head"
    assert with_head(VARIANTS["class_attention"]) is VARIANTS["class_attention"], "it has no other head"


def test_another_loss_is_another_run() -> None:
    changed = with_loss(VARIANTS["mlc_nc"], "db_focal")
    assert (changed.name, changed.folder, changed.paper) == ("mlc_nc + db_focal", "mlc_nc___db_focal", None)
    assert changed.settings == {"loss": "db_focal"}
    assert VARIANTS["mlc_nc"].settings == {}
