from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Subset

from nctools.errors import DatasetError
from nctools.features.content_hashes import content_hash, weights_hash
from nctools.features.manifest import dataset_facts, differences
from nctools.features.shards import finished_facts
from tests.features.models import classifier_of, linear_model
from tests.features.shard_cases import Images, parts_of, run


def test_weights_hash_sees_name_dtype_shape_and_value() -> None:
    model = linear_model()
    before = weights_hash(model)
    assert before == weights_hash(linear_model())
    assert before == weights_hash(model.eval())
    assert before != weights_hash(linear_model().double())
    assert before != weights_hash(nn.Sequential(*model, nn.ReLU(), nn.Linear(1, 1)))
    assert before != weights_hash(nn.Sequential(nn.ReLU(), *model))
    classifier_of(model).weight.data[2, 3] += 1e-6
    assert before != weights_hash(model)


def test_weights_hash_sees_buffers_and_odd_tensors() -> None:
    layer = nn.BatchNorm2d(3)
    before = weights_hash(layer)
    layer(torch.ones(2, 3, 1, 1))
    assert before != weights_hash(layer)
    convolution = nn.Conv2d(3, 4, 3)
    before = weights_hash(convolution)
    convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert before == weights_hash(convolution)
    assert len({weights_hash(nn.Linear(2, 2).to(kind)) for kind in (torch.bfloat16, torch.float16)}) == 2
    assert weights_hash(nn.LazyLinear(3)) == weights_hash(nn.LazyLinear(3))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["a", "b"], ["ab"]),
        (["a"], ("a",)),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        ([torch.arange(5000)], [torch.arange(5000).flip(0).sort(descending=True).values]),
        ([("a", np.arange(2000))], [("a", np.arange(2000) * (np.arange(2000) != 1000))]),
        (list(range(9000)), [*range(8999), 0]),
        ([1], [1.0]),
        (torch.tensor([1j]), torch.tensor([1 + 1j])),
        (torch.tensor(True), torch.tensor(False)),
    ],
)
def test_content_hash_tells_contents_apart(left: object, right: object) -> None:
    assert content_hash(left) == content_hash(left) is not None
    assert content_hash(left) != content_hash(right)


def test_data_sets_are_told_apart_through_a_subset() -> None:
    images = Images(10)
    first, second = Subset(images, range(5)), Subset(images, [0, 1, 2, 3, 5])
    facts = dataset_facts(Subset(images, [0, 1, 2, 3, 4]))
    assert facts["class"] == "Subset"
    assert differences(facts, dataset_facts(second))
    assert differences(facts, dataset_facts(first)) == [f"indices were {str(facts['indices'])[:6]}... and are missing"]
    images.targets[3] = 1 - images.targets[3]
    assert [phrase.split()[0] for phrase in differences(facts, dataset_facts(Subset(images, [0, 1, 2, 3, 4])))] == [
        "dataset.targets"
    ]


def test_manifest_stands_beside_the_shards_and_its_facts_in_the_finished_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with pytest.raises(DatasetError):
        run(path, Images(30, unreadable=21), fingerprints={"data": "abc"})
    document = json.loads((parts_of(path) / "manifest.json").read_text(encoding="utf-8"))
    assert (document["batches_per_shard"], document["num_shards"]) == (2, 4)
    assert set(document["made_with"]) == {"nctools", "torch", "device"}
    run(path, Images(30), resume=True, fingerprints={"data": "abc"})
    facts = finished_facts(path)
    assert facts == document["facts"]
    assert isinstance(facts, dict)
    assert facts["images"] == 30
    assert facts["fingerprints"] == {"data": "abc"}
    assert facts["dataset"]["class"] == "Images"
    assert len(facts["weights"]) == 64


def test_transform_that_is_told_by_its_address_is_left_out(tmp_path: Path) -> None:
    images = Images(5)
    images.transform = object()
    run(tmp_path / "x.h5", images)
    facts = finished_facts(tmp_path / "x.h5")
    assert isinstance(facts, dict)
    assert facts["transform"] is None
