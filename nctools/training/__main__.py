"""One of the further processes of a training, as ``nctools.training.companions`` starts them."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from nctools.training.config import check_config
from nctools.training.fit import train


def main() -> None:
    """Read a job from stdin and take part in its training."""
    line = sys.stdin.readline()
    if not line:
        return
    job = json.loads(line)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    try:
        train(check_config(job["config"]), Path(job["out"]), resume=job["resume"], force=job["force"], progress=False)
    except KeyboardInterrupt:
        return  # the first process tells


def _end_with_the_first() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
