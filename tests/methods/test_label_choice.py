"""Label embeddings are chosen by one text; those out of a file need the names of the classes, or the vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nctools.errors import DatasetError, UnknownNameError
from nctools.methods.assembly import build
from nctools.methods.class_attention import ClassAttention
from nctools.methods.label_choice import chosen_labels, kept_vectors
from nctools.methods.mlc_nc import MLCNC


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "v.npy", np.arange(1.0, 13).reshape(3, 4))
    return tmp_path / "v.npy"


def test_a_file_is_read_for_the_names_of_the_classes(file: Path) -> None:
    kind, vectors = chosen_labels(f"text:{file}", ["a", "b", "c"])
    assert kind == "text"
    assert vectors is not None
    assert vectors.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]


@pytest.mark.parametrize("kind", ["etf", "trainable", "random"])
def test_other_kinds_need_nothing(kind: str) -> None:
    assert chosen_labels(kind) == (kind, None)


def test_vectors_that_are_there_make_the_file_needless() -> None:
    kind, vectors = chosen_labels("text:/nowhere/v.npy", None, torch.eye(3))
    assert kind == "text"
    assert vectors is not None


def test_what_is_missing_is_said(file: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown label embedding 'trainabel'; did you mean trainable"):
        chosen_labels("trainabel")
    with pytest.raises(ValueError, match="label_embedding is 'text:': name the file"):
        chosen_labels("text:", ["a"])
    with pytest.raises(ValueError, match="no class names to match its vectors to: pass `class_names`"):
        chosen_labels(f"text:{file}")
    with pytest.raises(DatasetError, match="holds 3 vectors without names, but the data set has 2 classes"):
        chosen_labels(f"text:{file}", ["a", "b"])


@pytest.mark.parametrize("name", ["mlc_nc", "class_attention"])
def test_the_names_reach_the_method(name: str, file: Path) -> None:
    method = build(name, num_classes=3, class_names=["a", "b", "c"], backbone="small", label_embedding=f"text:{file}")
    assert isinstance(method, MLCNC | ClassAttention)
    assert method.head is not None
    kept = kept_vectors(method.state_dict())
    assert kept is not None
    assert kept.shape == (3, 4)
    assert method.head.label_embedding().shape == (3, 64)
    assert {"head.label_embedding.map"} <= dict(method.named_parameters()).keys()
    anchors = method.anchors()["classwise"]
    torch.testing.assert_close(anchors.weight, method.head.label_embedding().detach())


def test_alignment_trains_the_map_of_the_vectors(file: Path) -> None:
    method = build("mlc_nc", num_classes=3, class_names=list("abc"), backbone="small", label_embedding=f"text:{file}")
    method.loss(method(torch.randn(2, 3, 48, 48)), torch.eye(3)[:2], epoch=0)["loss"].backward()
    gradient = dict(method.named_parameters())["head.label_embedding.map"].grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_weights_without_vectors_keep_none() -> None:
    assert kept_vectors({"head.label_embedding.weight": torch.eye(2)}) is None
