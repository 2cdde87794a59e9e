"""What every test relies on: one thread, figures without a window, Ctrl-C, and property tests that repeat in CI."""

from __future__ import annotations

import os
import signal

# Before anything imports matplotlib or torch.
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Shells start jobs in the background with Ctrl-C ignored; all processes of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import torch

torch.set_num_threads(1)

# No deadline: the first example of a test pays for imports, and shared machines are uneven.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
