"""NeuralCollapse as part of a LightningModule: logged, cast and copied with it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nctools.metric import NeuralCollapse
from tests.collapse.cases import Case
from tests.metric_cases import (
    CLASSES,
    GROUPS,
    WIDTH,
    assert_same_state,
    case_of,
    feed,
    ids_of,
    linear_of,
    measured,
    snapshot,
)

# After nctools.metric, which repairs torchvision's import where that is needed.
import lightning.pytorch as pl  # isort: skip


class Holder(pl.LightningModule):
    """A module with a network and the metric of its last layer."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.fc = linear_of(case)
        self.nc = NeuralCollapse(CLASSES, WIDTH, GROUPS, self.fc, metrics=ids_of(case))

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.nc.update(*batch)

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.nc.compute())
        self.nc.reset()


def test_no_cast_of_the_module_around_narrows_the_state() -> None:
    case = case_of("single")
    holder = Holder(case)
    feed(holder.nc, case, [30])
    before = snapshot(holder.nc)
    for narrowed in (holder.half(), holder.bfloat16(), holder.to(torch.float16), holder.type(torch.float16)):
        assert narrowed.fc.weight.element_size() == 2
        assert_same_state(snapshot(narrowed.nc), before)


def test_the_layer_belongs_to_the_model_alone() -> None:
    holder = Holder(case_of("single"))
    assert list(holder.nc.modules()) == [holder.nc]
    assert list(holder.state_dict()) == ["fc.weight", "fc.bias"]
    twin = copy.deepcopy(holder)
    assert twin.nc._classifier == (twin.fc,)


@pytest.mark.filterwarnings("ignore:The 'val_dataloader' does not have many workers")
def test_lightning_logs_the_values_of_the_epoch(tmp_path: Path) -> None:
    case = case_of("single")
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = DataLoader(TensorDataset(case.features, case.labels), batch_size=13)
    holder = Holder(case)
    for _ in range(2):
        (logged,) = trainer.validate(holder, loader, verbose=False)
        assert logged == pytest.approx(measured(case), rel=1e-6, abs=1e-6, nan_ok=True)
