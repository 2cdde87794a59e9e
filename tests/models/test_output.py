from __future__ import annotations

import dataclasses

import pytest
import torch

from nctools.models import Anchors, Output


def test_outputs_do_not_share_their_feature_dictionaries() -> None:
    first, second = Output(torch.zeros(1, 2)), Output(torch.zeros(1, 2))
    first.features["penultimate"] = torch.zeros(1, 3)
    assert second.features == {}
    assert second.maps is None


def test_anchors_are_frozen_and_check_their_shapes() -> None:
    anchors = Anchors(torch.zeros(3, 4), kind="label_embedding")
    assert anchors.bias is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        anchors.bias = torch.zeros(3)  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"`weight` has shape \[3\]"):
        Anchors(torch.zeros(3))
    with pytest.raises(ValueError, match=r"`bias` has shape \[4\] but `weight` has shape \[3, 4\]"):
        Anchors(torch.zeros(3, 4), torch.zeros(4))
