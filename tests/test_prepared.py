"""Model and data that go together: order of ids, parts of data sets, notes, options that play a part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

import nctools
from nctools.checkpoints import evaluate_checkpoint
from nctools.data import MultiLabelDataset
from nctools.prepared import prepare

SEEN: list[tuple[torch.dtype, bool]] = []


class Net(nn.Module):
    """Three classes of tiny images; remembers how it was run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.conv(images).mean(dim=(2, 3))
        SEEN.append((features.dtype, images.is_contiguous(memory_format=torch.channels_last)))
        logits: Tensor = self.fc(features)
        return logits


def as_float(images: Tensor) -> Tensor:
    return images.float()


def images() -> MultiLabelDataset:
    pixels = torch.randint(0, 255, (9, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    groups = {"head": [0, 1], "tail": [2]}
    return MultiLabelDataset(
        pixels, torch.eye(3).repeat(3, 1), ["a", "b", "c"], groups, transform=as_float, single_label=True
    )


def permuted() -> DataLoader[tuple[Tensor, Tensor]]:
    return DataLoader(images(), batch_sampler=[[8, 7, 6], [5, 4, 3], [2, 1, 0]])


def test_ids_are_taken_only_where_the_loader_keeps_the_order() -> None:
    model = f"{__name__}:Net"
    assert prepare(None, {"model": model, "data": permuted()}, split=None).data.ids is None
    plain = prepare(None, {"model": model, "data": DataLoader(images(), batch_size=4)}, split=None).data
    assert plain.ids == [str(index) for index in range(9)]


def test_part_of_a_data_set_keeps_its_groups_and_single_labels() -> None:
    part: Subset[tuple[Tensor, Tensor]] = Subset(images(), range(9))
    data = prepare(None, {"model": f"{__name__}:Net", "data": DataLoader(part, batch_size=3)}, split=None).data
    assert (data.single_label, data.groups, data.class_names) == (True, {"head": [0, 1], "tail": [2]}, ["a", "b", "c"])


def test_evaluation_runs_as_asked_and_tells_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    SEEN.clear()
    loader = DataLoader(images(), batch_size=3)
    evaluate_checkpoint(None, model=f"{__name__}:Net", data=loader, autocast="bfloat16", channels_last=True)
    assert set(SEEN) == {(torch.bfloat16, True)}
    assert "note: random weights" in capsys.readouterr().err


def test_notes_stay_with_the_features(tmp_path: Path) -> None:
    with nctools.extract_checkpoint(
        None, tmp_path / "a.h5", model=f"{__name__}:Net", data=DataLoader(images(), batch_size=3), progress=False
    ) as store:
        provenance = store.attrs["provenance"]
        assert store.single_label
    assert isinstance(provenance, dict)
    assert "random weights" in provenance["notes"][0]
