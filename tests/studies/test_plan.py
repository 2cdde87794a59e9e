from __future__ import annotations

from pathlib import Path

import pytest

from nctools.errors import ConfigError, UnknownNameError
from nctools.studies.plan import StudyRun, Variant, holds_other_run, is_finished, plan_runs
from tests.studies.fake_runs import small_config, write_run

SHORT: dict[str, object] = {"epochs": 3, "nc.every": 1}


def plan(out: Path, *variants: Variant, seeds: tuple[int, ...] = (0,), force: bool = False) -> list[StudyRun]:
    return plan_runs(variants, dataset="digits_lt", seeds=seeds, out=out, settings=SHORT, force=force)


def test_runs_go_seed_by_seed_into_folders_named_for_variant_and_seed(tmp_path: Path) -> None:
    runs = plan(tmp_path, Variant("plain", "erm"), Variant("p = 5/2", "erm", {"max_lr": 0.1}), seeds=(0, 7))
    assert [run.path.name for run in runs] == ["plain-s0", "p_=_5_2-s0", "plain-s7", "p_=_5_2-s7"]
    assert [run.config.seed for run in runs] == [0, 0, 7, 7]
    assert runs[1].config.recipe.max_lr == 0.1
    assert runs[3].name == "p = 5/2, seed 7"


def test_the_folders_may_bear_another_name_than_the_tables(tmp_path: Path) -> None:
    (run,) = plan(tmp_path, Variant("plain", "erm", run_name="erm max_lr=0.1"))
    assert (run.path.name, run.name) == ("erm_max_lr=0.1-s0", "plain, seed 0")


def test_settings_of_a_variant_come_after_those_of_all(tmp_path: Path) -> None:
    (run,) = plan(tmp_path, Variant("longer", "erm", {"recipe.epochs": 9}))
    assert run.config.recipe.epochs == 9


def test_a_run_with_the_same_configuration_is_shared_whatever_its_name(tmp_path: Path) -> None:
    write_run(small_config(), tmp_path / "older-s0")
    runs = plan(tmp_path, Variant("plain", "erm"), Variant("spelled out", "erm", {"pretrained": False}))
    assert [run.path.name for run in runs] == ["older-s0", "older-s0"]
    assert all(is_finished(run.config, run.path) for run in runs)


def test_where_and_how_fast_a_run_is_computed_makes_no_other_run_of_it(tmp_path: Path) -> None:
    write_run(small_config(workers=3, device="cpu", loggers=["tensorboard"]), tmp_path / "plain-s0")
    (run,) = plan(tmp_path, Variant("plain", "erm"))
    assert not holds_other_run(run.config, run.path)


def test_parts_of_a_batch_make_another_run_of_it(tmp_path: Path) -> None:
    write_run(small_config(accumulate_grad_batches=2), tmp_path / "plain-s0")
    with pytest.raises(ConfigError, match=r"trainer.accumulate_grad_batches is 2, here 1"):
        plan(tmp_path, Variant("plain", "erm"))


def test_of_equal_runs_the_finished_one_is_used(tmp_path: Path) -> None:
    write_run(small_config(), tmp_path / "a-s0", epochs=1)
    write_run(small_config(), tmp_path / "b-s0")
    (run,) = plan(tmp_path, Variant("a", "erm"))
    assert run.path.name == "b-s0"


def test_a_folder_with_other_settings_is_refused_and_named_with_what_differs(tmp_path: Path) -> None:
    write_run(small_config(max_lr=0.5), tmp_path / "plain-s0")
    with pytest.raises(ConfigError, match=r"plain-s0 holds a run with other settings \(recipe.max_lr is 0.5, here 0.0"):
        plan(tmp_path, Variant("plain", "erm"))
    (run,) = plan(tmp_path, Variant("plain", "erm"), force=True)
    assert holds_other_run(run.config, run.path)


def test_two_variants_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two variants of the study are called a_b"):
        plan(tmp_path, Variant("a b", "erm"), Variant("a_b", "erm"))


def test_an_unknown_setting_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="fla_weight"):
        plan(tmp_path, Variant("a", "mlc_nc", {"fla_wieght": 0.0}))


def test_a_run_is_finished_when_its_last_checkpoint_is_of_the_last_epoch(tmp_path: Path) -> None:
    config = small_config()
    assert not is_finished(config, tmp_path / "nothing")
    write_run(config, tmp_path / "begun", epochs=2)
    assert not is_finished(config, tmp_path / "begun")
    run = write_run(config, tmp_path / "done")
    assert is_finished(config, tmp_path / "done")
    (run.checkpoints / "last.pt").write_bytes(b"half a file")
    assert not is_finished(config, tmp_path / "done")


def test_an_unreadable_configuration_beside_is_nobodys_run(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").write_text("method: [", encoding="utf-8")
    (run,) = plan(tmp_path, Variant("plain", "erm"))
    assert run.path.name == "plain-s0"


def test_no_folder_is_given_to_two_variants_that_differ(tmp_path: Path) -> None:
    write_run(small_config(max_lr=0.5), tmp_path / "plain-s0")
    with pytest.raises(ConfigError, match="is the folder of plain, seed 0 and of fast, seed 0"):
        plan(tmp_path, Variant("fast", "erm", {"max_lr": 0.5}), Variant("plain", "erm"), force=True)
