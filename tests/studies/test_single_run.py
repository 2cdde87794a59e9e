from __future__ import annotations

from pathlib import Path

import pytest

from nctools.studies import single_run
from nctools.studies.single_run import train_or_resume, training_command
from nctools.training import load_config
from tests.studies.fake_runs import small_config, write_run


def test_a_run_is_begun_gone_on_with_or_replaced_by_the_command_line(tmp_path: Path) -> None:
    config, path, file = small_config(), tmp_path / "run", tmp_path / "logs" / "run.yaml"
    begun = training_command(config, path, file)
    assert begun[1:] == ["-m", "nctools", "train", "--config", str(file), "--out", str(path)]
    assert load_config(file) == config
    write_run(config, path, epochs=1)
    assert training_command(config, path, file)[4:] == ["--resume", str(path)]
    assert training_command(config, path, file, again=True)[-1] == "--force"


@pytest.mark.parametrize("again", [False, True])
def test_a_run_in_this_process_is_resumed_unless_it_is_to_be_replaced(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(single_run, "train", lambda config, out, **words: asked.update(words, out=out))
    train_or_resume(small_config(), tmp_path / "run", again=again, progress=False)
    assert asked == {"out": tmp_path / "run", "force": again, "resume": not again, "progress": False}
