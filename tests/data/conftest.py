from __future__ import annotations

import pytest
import torch

from nctools.data.dataset import MultiLabelDataset


@pytest.fixture
def small_dataset() -> MultiLabelDataset:
    """Six images of 3 x 4 x 4, image i filled with i; class 0 is head, 1 and 2 are tail."""
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 4, 4).clone()
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    return MultiLabelDataset(
        images, targets, ["a", "b", "c"], {"head": [0], "tail": [1, 2]}, name="small", split="train"
    )
