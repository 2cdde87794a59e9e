"""A study of real runs: its process is told to end, and the same call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nctools.methods.checkpoint import load_checkpoint
from nctools.studies.plan import Variant, is_finished
from nctools.studies.processes import available_cores
from nctools.studies.study import run_study
from nctools.training import make_config

ROOT = Path(__file__).parents[2]
# One thread for each run: more wait for each other on a busy machine.
CORES = available_cores()
SETTINGS: dict[str, object] = {
    "epochs": 2,
    "batch_size": 128,
    "epoch_length": "images",
    "nc.every": 0,
    "resume_every_steps": 2,
    "device": "cpu",
}
CALL = """
import sys
from nctools.studies import Variant, run_study
try:
    run_study([Variant("erm", "erm")], seeds=[0], out=sys.argv[1], jobs=CORES, settings=SETTINGS)
except KeyboardInterrupt:
    raise SystemExit(130)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_study_that_is_stopped_goes_on_and_leaves_what_it_would_have_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = tmp_path / "stopped" / "erm-s0"
    code = CALL.replace("SETTINGS", repr(SETTINGS)).replace("CORES", str(CORES))
    caller = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "stopped")])
    latest = time.monotonic() + 200
    while not (run / "checkpoints" / "resume.ckpt").exists() and time.monotonic() < latest:
        time.sleep(0.02)
    caller.send_signal(signal.SIGTERM)
    assert caller.wait(120) == 130
    assert not is_finished(make_config("erm", "digits_lt", SETTINGS), run)

    for out in ("stopped", "whole"):
        found = run_study([Variant("erm", "erm")], seeds=[0], out=tmp_path / out, jobs=CORES, settings=SETTINGS)
        assert found.exit_code == 0
    assert "resuming in epoch" in (run / "train.log").read_text(encoding="utf-8")
    resumed, whole = (
        load_checkpoint(tmp_path / out / "erm-s0" / "checkpoints" / "last.pt") for out in ("stopped", "whole")
    )
    assert (resumed.epoch, resumed.validation) == (2, whole.validation)
    for ours, theirs in ((resumed.state_dict, whole.state_dict), (resumed.ema_state_dict, whole.ema_state_dict)):
        assert ours is not None
        assert theirs is not None
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
