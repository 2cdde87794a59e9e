from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nctools.training.saved_state import SavedState
from nctools.training.signals import StopRequest
from tests.training.test_sampler_in_lightning import Recorder, data, recipe_of

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Places(SavedState):
    """Takes note of when it writes."""

    def __init__(self, path: Path, *, every_steps: int = 0, stop: StopRequest | None = None) -> None:
        super().__init__(path, every_steps=every_steps, stop=stop)
        self.places: list[tuple[int, int]] = []

    def _write(self, trainer: pl.Trainer, epoch: int, step: int) -> None:
        super()._write(trainer, epoch, step)
        self.places.append((epoch, step))


def places(folder: Path, *, every_steps: int, parts: int = 1, batch_size: int = 2) -> list[tuple[int, int]]:
    from nctools.training.data_module import RunDataModule

    saved = Places(folder / "resume.ckpt", every_steps=every_steps)
    feed = RunDataModule(data(), None, recipe_of("class_aware", batch_size=batch_size, epochs=2), seed=0, parts=parts)
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", accumulate_grad_batches=parts, callbacks=[saved], logger=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(Recorder(), datamodule=feed)
    state = torch.load(folder / "resume.ckpt", weights_only=True)
    assert (state["RunDataModule"]["epoch"], state["RunDataModule"]["position"]) == (2, 0)
    assert [path.name for path in folder.iterdir()] == ["resume.ckpt"]
    return saved.places


@pytest.mark.parametrize(
    ("every_steps", "expected"),
    [
        (0, [(1, 0), (2, 0)]),
        (1, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 0)]),
        (4, [(0, 4), (1, 0), (1, 4), (2, 0)]),
        (6, [(1, 0), (2, 0)]),
    ],
)
def test_states_come_every_so_many_steps_and_once_at_the_end_of_an_epoch(
    every_steps: int, expected: list[tuple[int, int]], tmp_path: Path
) -> None:
    assert places(tmp_path, every_steps=every_steps) == expected


def test_parts_of_a_batch_are_no_steps(tmp_path: Path) -> None:
    # Thirteen images: three steps of two parts of two images.
    found = places(tmp_path, every_steps=1, parts=2, batch_size=4)
    assert found == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]


class Foreign(pl.LightningModule):
    """Somebody's own module."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.fc(batch[0]).square().mean()  # type: ignore[no-any-return]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_other_data_have_no_place_that_could_be_saved(tmp_path: Path) -> None:
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[SavedState(tmp_path / "resume.ckpt")], logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with pytest.raises(TypeError, match="a SavedState needs a RunDataModule in the Trainer, not NoneType"):
        trainer.fit(Foreign(), DataLoader(TensorDataset(torch.ones(4, 2)), batch_size=2))
    assert list(tmp_path.iterdir()) == []
