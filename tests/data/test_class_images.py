from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nctools.data.class_images import images_by_class


@given(arrays(np.int8, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=st.integers(-1, 1)))
def test_each_class_has_the_images_that_hold_it(targets: NDArray[np.int8]) -> None:
    targets[0] = 1
    found = images_by_class(targets)
    parts = np.split(found.images, found.starts[1:])
    assert [part.tolist() for part in parts] == [np.flatnonzero(column == 1).tolist() for column in targets.T]
    assert found.counts.tolist() == [len(part) for part in parts]
    assert found.balanced_length == max(found.counts) * targets.shape[1]


def test_tensors_of_any_kind_and_arrays_agree() -> None:
    targets = torch.tensor([[1, 0], [1, 1]])
    expected = images_by_class(targets.numpy())
    for values in (targets.float(), targets.bool(), targets.to(torch.uint8), targets.float().requires_grad_()):
        assert images_by_class(values).images.tolist() == expected.images.tolist()


def test_the_first_entry_that_is_no_label_is_named() -> None:
    with pytest.raises(ValueError, match=r"holds nan at image 1, class 0: an entry must be .* -1 \(unknown\)"):
        images_by_class(np.array([[1, 0], [np.nan, 2]]))
    with pytest.raises(ValueError, match=r"shape \[2, 1\] holds no label at all"):
        images_by_class(np.array([[-1], [0]]))
