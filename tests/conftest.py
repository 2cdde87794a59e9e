"""What every test relies on: one thread, figures without a window, and property tests that repeat in CI."""

from __future__ import annotations

import os

# Before anything imports matplotlib or torch.
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import torch

torch.set_num_threads(1)

# No deadline: the first example of a test pays for imports, and shared machines are uneven.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
