"""Kills extractions at random moments and resumes them.

``python -m tests.features.killed_extraction FOLDER TIMES SEED``: one process does the imports, each extraction is a
fork of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import torch

import nctools
from nctools.features import FeatureStore
from tests.features.shard_cases import Images, digest, parts_of, run

NUM_IMAGES = 61


def forked(path: Path, *, resume: bool, overwrite: bool, workers: int) -> int:
    """Start an extraction in a process of its own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(path, Images(NUM_IMAGES, pause=5e-4), resume=resume, overwrite=overwrite, num_workers=workers)
            status = 0
        finally:
            os._exit(status)
    return child


def state_after(path: Path, old: str | None) -> str:
    """Check what is on the disk, and name it."""
    parts = parts_of(path)
    shards = len(list(parts.glob("shard-*.h5"))) if parts.is_dir() else 0
    if not path.exists():
        assert old is None
        return f"{shards} shards" if parts.is_dir() else "nothing"
    assert len(FeatureStore(path)) == (NUM_IMAGES if digest(path) != old else 7)
    return "finished" if digest(path) != old else f"old file and {shards} shards"


def main(folder: Path, times: int, seed: int) -> None:
    """Kill ``times`` extractions, each again and again until it comes through."""
    torch.set_num_threads(1)
    chance = random.Random(seed)
    whole, old = folder / "whole.h5", folder / "old.h5"
    # The first run also loads libraries: the second tells how long an extraction takes.
    run(whole, Images(NUM_IMAGES, pause=5e-4))
    started = time.perf_counter()
    run(whole, Images(NUM_IMAGES, pause=5e-4), overwrite=True)
    longest = 1.1 * (time.perf_counter() - started)
    run(old, Images(7))
    values = nctools.measure(FeatureStore(whole)).to_dict()
    states: Counter[str] = Counter()
    for number in range(times):
        path, before = folder / f"{number}.h5", None
        if number % 2:
            path.write_bytes(old.read_bytes())
            before = digest(path)
        for attempt in range(2):
            workers = int(number % 5 == 4)
            child = forked(path, resume=attempt > 0, overwrite=before is not None, workers=workers)
            time.sleep(chance.uniform(0.0, longest))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            states[state_after(path, before)] += 1
        store = run(path, Images(NUM_IMAGES), resume=True, overwrite=before is not None)
        assert digest(path) == digest(whole), number
        assert not parts_of(path).exists()
        if number % 10 == 0:
            assert str(nctools.measure(store).to_dict()) == str(values)
        path.unlink()
    sys.stdout.write(json.dumps(states))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
