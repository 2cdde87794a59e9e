from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nctools.data.dataset import MultiLabelDataset
from nctools.data.description import describe_dataset


def test_facts_are_those_counted_by_hand(small_dataset: MultiLabelDataset) -> None:
    facts = describe_dataset(small_dataset)
    assert facts.num_images == 6
    assert facts.class_counts == [5, 2, 2]
    assert facts.imbalance == 2.5
    assert facts.labels_per_image == [1, 2, 2, 1]
    assert facts.mean_labels == 9 / 6
    assert facts.co_occurrence.tolist() == [[5, 2, 2], [2, 2, 1], [2, 1, 2]]
    assert facts.group_co_occurrence.tolist() == [[5, 3], [3, 3]]


def test_document_is_strict_json_also_without_images_and_groups(small_dataset: MultiLabelDataset) -> None:
    empty = MultiLabelDataset(torch.zeros(0, 3, 4, 4, dtype=torch.uint8), torch.zeros(0, 2), ["a", "b"], {})
    for data in (small_dataset, empty):
        document = json.loads(json.dumps(describe_dataset(data).to_document(), allow_nan=False))
        assert document["class_names"] == data.class_names
    facts = describe_dataset(empty)
    assert np.isnan(facts.mean_labels)
    assert facts.imbalance == float("inf")
    assert facts.labels_per_image == [0]
    assert facts.group_co_occurrence.shape == (0, 0)


def test_what_is_no_data_set_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"takes a MultiLabelDataset, not a str: load_dataset\('digits_lt'\)"):
        describe_dataset("digits_lt")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not a Tensor: load_dataset"):
        describe_dataset(torch.zeros(2, 3))  # type: ignore[arg-type]
