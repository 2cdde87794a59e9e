from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory
from nctools.studies import seeds as seeds_module
from nctools.studies.seeds import holds_seeds, resume_seeds, train_seeds
from nctools.training import TrainConfig, load_config
from tests.studies.fake_runs import small_config, write_run


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    calls: list[tuple[str, bool]] = []

    def train(config: TrainConfig, path: Path, *, again: bool = False, progress: bool = True) -> RunDirectory:
        calls.append((path.name, again))
        if len(calls) == 2 and not again:
            raise KeyboardInterrupt
        return write_run(config, path)

    monkeypatch.setattr(seeds_module, "train_or_resume", train)
    return calls


def test_an_interrupted_training_of_seeds_goes_on_with_what_is_missing(
    tmp_path: Path, trained: list[tuple[str, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "erm"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(small_config(), [3, 1, 2], out)
    assert trained == [("s3", False), ("s1", False)]
    assert holds_seeds(out)
    table = resume_seeds(out)
    assert trained[2:] == [("s1", False), ("s2", False)]
    assert table["seed"].tolist() == [3, 1, 2]
    assert "[1/3] seed 3: there already\n[2/3] seed 1\n" in capsys.readouterr().err
    pd.testing.assert_frame_equal(pd.read_csv(out / "seeds.csv"), table)


def test_a_row_has_last_and_best_scores_and_the_collapse(tmp_path: Path) -> None:
    config = small_config(seed=2)
    run = write_run(config, tmp_path / "s2")
    table = pd.read_csv(run.metrics)
    table.loc[1, ["val/mAP", "val/mAP_tail", "val_ema/mAP"]] = [0.9, 0.8, 0.7]
    table.to_csv(run.metrics, index=False)
    (row,) = seeds_module.seed_table([(2, run.path)]).to_dict("records")
    assert row["epochs"] == 3
    assert row["best_epoch"] == 2
    assert row["last val mAP all"] == pytest.approx(32.0)
    assert row["best val mAP all"] == pytest.approx(90.0)
    assert row["best val mAP tail"] == pytest.approx(80.0)
    assert row["best val mAP all ema"] == pytest.approx(70.0)
    assert row["nc1_pinv tail"] == pytest.approx(1.0)
    assert row["minutes"] == pytest.approx(1.5)


def test_what_is_there_is_replaced_by_force_alone(tmp_path: Path, trained: list[tuple[str, bool]]) -> None:
    for seed in (0, 1):
        write_run(small_config(seed=seed), tmp_path / "out" / f"s{seed}")
    with pytest.raises(ConfigError, match=r"s0 exists already: choose another --out, go on with it by --resume"):
        train_seeds(small_config(), [0], tmp_path / "out", progress=False)
    assert trained == []
    train_seeds(small_config(), [0, 1], tmp_path / "out", force=True, progress=False)
    assert trained == [("s0", True), ("s1", True)]


def test_a_forced_call_that_is_interrupted_goes_on_with_its_own_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, new = tmp_path / "out", small_config(max_lr=0.5)
    for seed in (0, 1, 2):
        write_run(small_config(seed=seed), out / f"s{seed}")
    calls: list[tuple[str, bool]] = []

    def train(config: TrainConfig, path: Path, *, again: bool = False, progress: bool = True) -> RunDirectory:
        calls.append((path.name, again))
        done = write_run(config, path, epochs=1 if len(calls) == 2 else None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(seeds_module, "train_or_resume", train)
    with pytest.raises(KeyboardInterrupt):
        train_seeds(new, [0, 1, 2], out, force=True, progress=False)
    resume_seeds(out, progress=False)
    assert calls == [("s0", True), ("s1", True), ("s1", False), ("s2", True)]
    for seed in (0, 1, 2):
        assert load_config(out / f"s{seed}" / "config.yaml").recipe.max_lr == 0.5
    resume_seeds(out, progress=False)
    assert len(calls) == 4


def test_runs_that_differ_in_more_than_the_seed_are_not_averaged(
    tmp_path: Path, trained: list[tuple[str, bool]]
) -> None:
    out = tmp_path / "out"
    train_seeds(small_config(), [3], out, progress=False)
    (out / "seeds.json").write_text(
        (out / "seeds.json").read_text(encoding="utf-8").replace("3\n  ]", "3, 4\n  ]"), encoding="utf-8"
    )
    write_run(small_config(seed=4, max_lr=0.5, epochs=2), out / "s4")
    with pytest.raises(ConfigError, match=r"s4 differs .* \(recipe.epochs is 2, here 3; recipe.max_lr is 0.5, here 0"):
        resume_seeds(out)
    assert trained == [("s3", False)]


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1]])
def test_seeds_that_cannot_be_are_refused(seeds: list[int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give each once, none negative"):
        train_seeds(small_config(), seeds, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_record_cannot_be_gone_on_with(tmp_path: Path) -> None:
    assert not holds_seeds(tmp_path)
    with pytest.raises(ConfigError, match=r"seeds.json does not tell which seeds were to be trained"):
        resume_seeds(tmp_path)
    (tmp_path / "seeds.json").write_text('{"seeds": [0]}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"does not tell which seeds were to be trained \('config'\)"):
        resume_seeds(tmp_path)
