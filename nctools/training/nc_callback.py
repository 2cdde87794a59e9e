"""NC while training: every k epochs, on the training images, in eval mode, each image once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nctools.collapse.result import CollapseResult
from nctools.features.extraction import extract
from nctools.measurement import measure
from nctools.models.output import Anchors
from nctools.training.records import Row, write_table


class NeuralCollapseCallback(pl.Callback):
    """Measure neural collapse before training, every ``every`` epochs, and after the last; write ``nc.csv``.

    Works in any Lightning Trainer. The table is tidy: a row for each epoch, space, group and metric; epoch 0 is the
    untrained network.

    Args:
        dataloader: Images to measure on, each once, with the test transform: batches ``(images, targets)``.
        path: Target CSV.
        every: Epochs between measurements; 0 measures never.
        layers: Space name -> ``"module:input"`` or ``"module:output"`` in ``model``; None takes the input of the last
            linear layer.
        model: Finds the network in the LightningModule; None takes the LightningModule itself.
        anchors: Gives the rows for NC3 by space, for the network as it is now; None has none.
        groups: Named lists of class indices.
        class_names: Names of the classes.
        metrics: Preset or list of metric ids.
        split: What the images are, for the table.
        log: Also log the main space's values over all classes as ``nc/<metric>``.
    """

    def __init__(
        self,
        dataloader: DataLoader[tuple[Tensor, Tensor]],
        path: str | Path,
        *,
        every: int = 5,
        layers: Mapping[str, str] | None = None,
        model: Callable[[pl.LightningModule], nn.Module] | None = None,
        anchors: Callable[[nn.Module], Mapping[str, Anchors]] | None = None,
        groups: Mapping[str, Sequence[int]] | None = None,
        class_names: Sequence[str] | None = None,
        metrics: str | Sequence[str] = "default",
        split: str = "train",
        log: bool = False,
    ) -> None:
        self._loader, self._path, self._every = dataloader, Path(path), every
        self._layers, self._model, self._anchors = layers, model, anchors
        self._groups, self._class_names = groups, class_names
        self._metrics, self._split, self._log = metrics, split, log
        self._rows: list[Row] = []
        self.last_result: CollapseResult | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the untrained network.

        Args:
            trainer: Not used.
            pl_module: Holds the network.
        """
        if self._every:
            self._measure(pl_module, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure after every ``every``-th epoch and after the last.

        Args:
            trainer: Gives the epoch.
            pl_module: Holds the network.
        """
        epoch = trainer.current_epoch + 1
        if not self._every or (epoch % self._every and epoch != trainer.max_epochs):
            return
        result = self._measure(pl_module, epoch)
        if self._log:
            values = result.to_dict()["all"]
            pl_module.log_dict({f"nc/{name}": value for name, value in values.items()})

    def _measure(self, pl_module: pl.LightningModule, epoch: int) -> CollapseResult:
        network = self._model(pl_module) if self._model else pl_module
        # A pass over a loader draws from torch's global generator; the training must not notice that it was measured.
        with (
            torch.random.fork_rng(),
            tempfile.TemporaryDirectory() as folder,
            extract(
                network,
                self._loader,
                Path(folder) / "features.h5",
                layers=self._layers,
                anchors=self._anchors(network) if self._anchors else None,
                groups=self._groups,
                class_names=self._class_names,
                progress=False,
                shard_size=None,
            ) as store,
        ):
            result = measure(store, metrics=self._metrics, split=self._split)
        rows = result.table.to_dict("records")
        self._rows.extend({"epoch": epoch, **{str(key): value for key, value in row.items()}} for row in rows)
        write_table(self._rows, self._path)
        self.last_result = result
        return result
