"""The figure of a data set takes its description."""

from __future__ import annotations

import re

import pytest
import torch

from nctools.data.dataset import MultiLabelDataset
from nctools.figures import distribution_of


def test_what_is_no_description_is_refused_with_the_call_that_makes_one() -> None:
    with pytest.raises(TypeError, match=re.escape("not a str: distribution_of(describe_dataset(load_dataset('lt')))")):
        distribution_of("lt")  # type: ignore[arg-type]
    images = MultiLabelDataset(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.eye(2), ["a", "b"], {})
    with pytest.raises(TypeError, match=r"not a MultiLabelDataset: distribution_of\(describe_dataset\("):
        distribution_of(images)  # type: ignore[arg-type]
