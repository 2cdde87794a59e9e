"""One of the further processes of a training, as ``nctools.training.companions`` starts them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from nctools.run_directory import RunDirectory
from nctools.training.config import check_config
from nctools.training.fit import train_stage
from nctools.training.placement import place_of
from nctools.training.stages import stages_of


def main() -> None:
    """Read a job from stdin and take part in its training."""
    line = _first_line()
    if not line:
        return
    job = json.loads(line)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    config = check_config(job["config"])
    stage = stages_of(config, RunDirectory(Path(job["out"])))[job["stage"]]
    try:
        train_stage(stage, place_of(config.trainer), force=job["force"], resume=job["resume"], told=False)
    except KeyboardInterrupt:
        return  # the first process tells


# From the descriptor, not from sys.stdin: a process that loads images closes that first of all, and would wait for the
# thread that reads it, which is not in that process.
def _first_line() -> bytes:
    text = b""
    while not text.endswith(b"\n") and (more := os.read(0, 1)):
        text += more
    return text


def _end_with_the_first() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
