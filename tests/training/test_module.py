from __future__ import annotations

import math
import warnings

import pytest
import torch

from nctools.training.module import rising_share


@pytest.mark.parametrize("total", [1, 2, 3, 5, 6, 9, 10, 49, 1000])
@pytest.mark.parametrize("share", [0.2, 0.1, 1 / 3, 1 / 6, 1 / 9, 1 / 49])
def test_one_cycle_has_a_rate_for_each_step(total: int, share: float) -> None:
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1.0, total_steps=total, pct_start=rising_share(total, share)
    )
    rates = [schedule.get_last_lr()[0]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no step of the optimiser
        for _ in range(total - 1):
            schedule.step()
            rates.append(schedule.get_last_lr()[0])
    assert all(math.isfinite(rate) and 0 < rate <= 1 for rate in rates)
