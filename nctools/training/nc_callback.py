"""NC while training: every k epochs, on the training images, in eval mode, each image once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import lightning.pytorch as pl
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nctools.collapse.result import CollapseResult
from nctools.collapse_curve import CollapseCurve
from nctools.errors import ConfigError
from nctools.models.output import Anchors
from nctools.training.ema import averaged_module, averaging_callback
from nctools.training.loader_in_order import in_order
from nctools.training.module import MethodModule
from nctools.undisturbed import Loader, Measurement, named_places

if TYPE_CHECKING:
    import pandas as pd

WeightChoice = Literal["raw", "ema", "both"]


class NeuralCollapseCallback(pl.Callback):
    """Measure neural collapse before training, every ``every`` epochs, and after the last; write ``nc.csv``.

    Works in any Lightning Trainer, alone as ``NeuralCollapseCallback(every=5)``. The table is tidy: a row for each
    epoch, kind of weights, space, group and metric; epoch 0 is the untrained network. Training does not notice that it
    is measured: modes, gradients, BatchNorm statistics and random states are put back, so the trained weights are the
    same to the last bit. The one exception is a data set that draws from a generator of its own in the main process.
    The rows travel with Lightning's checkpoints: a resumed training goes on with them. With ``fast_dev_run`` a few
    batches are measured and nothing is written.

    Args:
        dataloader: Images to measure on, each once, best with the test transform: batches ``(images, targets)``. None
            takes the trainer's training images in order, none dropped; their transform, also a random one, stays.
        path: Target CSV; None is ``nc.csv`` in the first logger's folder, or in the trainer's ``default_root_dir``.
        every: Epochs between measurements; 0 measures never.
        layers: A place ``"module:input"`` or ``"module:output"`` in ``model``, or space name -> place; None takes the
            input of the last linear layer.
        model: Finds the network in the LightningModule; None takes the LightningModule itself.
        anchors: Gives the rows for NC3 by space, for the network as it is now; None takes the linear layer with ``C``
            outputs that reads the space.
        groups: Named lists of class indices; None makes head / medium / tail from the counts.
        class_names: Names of the classes.
        metrics: Preset or list of metric ids.
        split: What the images are, for the table.
        log: Also log the main space's values over all classes as ``nc/<metric>``, and ``nc_ema/<metric>``.
        weights: ``"raw"``, ``"ema"`` (averaged) or ``"both"``, which is the raw ones where there is no average.
            Averages are those of Lightning's ``WeightAveraging`` or ``EMAWeightAveraging``, once they have begun, and
            those of nctools' own training.
        ema: Gives the network with averaged weights where something else averages; None from it: not begun yet.
        batch: Makes ``(images, targets)`` of a batch that is no such pair.

    Attributes:
        last_result: The last measurement; of the raw weights where both were measured.

    Raises:
        ValueError: If ``every`` is negative or ``weights`` none of its choices.

    Example:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> class Three(pl.LightningModule):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
        ...     def training_step(self, batch, batch_idx):
        ...         return nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        ...     def configure_optimizers(self):
        ...         return torch.optim.SGD(self.parameters(), lr=0.1)
        >>> callback = NeuralCollapseCallback(every=1, model=lambda module: module.net)
        >>> trainer = pl.Trainer(max_epochs=5, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        dataloader: Loader | None = None,
        path: str | Path | None = None,
        *,
        every: int = 5,
        layers: str | Mapping[str, str] | None = None,
        model: Callable[[pl.LightningModule], nn.Module] | None = None,
        anchors: Callable[[nn.Module], Mapping[str, Anchors]] | None = None,
        groups: Mapping[str, Sequence[int]] | None = None,
        class_names: Sequence[str] | None = None,
        metrics: str | Sequence[str] = "default",
        split: str = "train",
        log: bool = True,
        weights: WeightChoice = "raw",
        ema: Callable[[pl.LightningModule], nn.Module | None] | None = None,
        batch: Callable[[Any], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        if every < 0:
            raise ValueError(f"every is {every}: give a number of epochs, or 0 to measure never")
        if weights not in get_args(WeightChoice):
            raise ValueError(f"weights is {weights!r}; it is one of: {', '.join(get_args(WeightChoice))}")
        self._loader, self._batch = dataloader, batch
        self._path, self._every, self._log = None if path is None else Path(path), every, log
        self._model, self._weights, self._ema = model, weights, ema
        self._measured = Measurement(named_places(layers), groups, class_names, metrics, split, anchors=anchors)
        self._curve = CollapseCurve()
        self.last_result: CollapseResult | None = None

    @property
    def table(self) -> pd.DataFrame:
        """All values so far: ``epoch, weights, space, split, group, metric, value, ...``."""
        return self._curve.table

    @property
    def state_key(self) -> str:
        """Tells several callbacks in one checkpoint apart, by split, layers and weights."""
        places = self._measured.layers
        layers = None if places is None else dict(places)
        return self._generate_state_key(split=self._measured.split, layers=layers, weights=self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Give the rows so far, for Lightning's checkpoint.

        Returns:
            ``{"rows": [...]}`` of plain values.
        """
        return {"rows": [dict(row) for row in self._curve.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of an earlier training, which is being resumed.

        Args:
            state_dict: What ``state_dict`` gave.
        """
        self._curve = CollapseCurve(state_dict["rows"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the untrained network.

        Args:
            trainer: Gives images, epoch and path.
            pl_module: Holds the network.
        """
        if not self._every:
            return
        self._check(trainer, pl_module)
        # A resumed training may stand inside an epoch: its weights belong to no row, and it has that of epoch 0.
        if trainer.global_step == 0 and not self._curve.has(0):
            self._measure(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure after every ``every``-th epoch and after the last.

        Args:
            trainer: Gives the epoch.
            pl_module: Holds the network.
        """
        epoch = trainer.current_epoch + 1
        if not self._every or (epoch % self._every and not _is_last(trainer, epoch)):
            return
        for weights, result in self._measure(trainer, pl_module, epoch).items():
            if self._log:
                prefix = "nc" if weights == "raw" else f"nc_{weights}"
                values = result.to_dict()["all"]
                pl_module.log_dict({f"{prefix}/{name}": value for name, value in values.items()}, sync_dist=True)

    def _measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> dict[str, CollapseResult]:
        # Every process comes here, and all of them have the same values afterwards.
        path = self._target(trainer)
        loader = self._images(trainer)
        results: dict[str, CollapseResult] = {}
        for weights, network in self._networks(trainer, pl_module).items():
            results[weights] = self._measured.run(network, loader, near=path)
            self._curve.add(results[weights], epoch=epoch, weights=weights)
        if results:
            self.last_result = next(iter(results.values()))
            if path is not None and trainer.is_global_zero:
                self._curve.save(path)
        return results

    def _networks(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        if self._weights != "ema":
            found["raw"] = self._network(pl_module)
        average = None if self._weights == "raw" else self._average(trainer, pl_module)
        if average is not None:
            found["ema"] = average
        return found

    def _average(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> nn.Module | None:
        if self._ema is not None:
            return self._ema(pl_module)
        if isinstance(pl_module, MethodModule) and pl_module.average is not None:
            return pl_module.average.model
        averaging = averaging_callback(trainer)
        averaged = None if averaging is None else averaged_module(averaging)
        return None if averaged is None else self._network(averaged)

    def _network(self, pl_module: pl.LightningModule) -> nn.Module:
        network = self._model(pl_module) if self._model else pl_module
        if getattr(type(network), "forward", None) is pl.LightningModule.forward:
            raise ConfigError(
                f"{type(network).__name__} has no forward(), so it cannot be run on images: name the network in it, "
                "for example NeuralCollapseCallback(model=lambda module: module.net)"
            )
        return network

    def _images(self, trainer: pl.Trainer) -> Loader:
        loader: object = trainer.train_dataloader if self._loader is None else self._loader
        if self._loader is None or self._batch is not None:
            if not isinstance(loader, DataLoader):
                raise ConfigError(
                    f"the images to measure on come from a {type(loader).__name__}, of which no loader in order can be "
                    "made: pass NeuralCollapseCallback a dataloader with batches (images, targets), each image once"
                )
            images: Loader = in_order(loader, batch=self._batch)
        else:
            images = self._loader
        # Lightning's trial run is about errors, not about values.
        return list(islice(images, _trial_batches(trainer))) if _trial_batches(trainer) else images

    def _target(self, trainer: pl.Trainer) -> Path | None:
        if _trial_batches(trainer):
            return None
        return self._path if self._path is not None else Path(trainer.log_dir or trainer.default_root_dir) / "nc.csv"

    def _check(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        own = isinstance(pl_module, MethodModule) and pl_module.average is not None
        if self._weights == "ema" and self._ema is None and not own and averaging_callback(trainer) is None:
            raise ConfigError(
                "weights is 'ema', but nothing averages the weights: add Lightning's EMAWeightAveraging to the "
                "trainer's callbacks, or pass ema=lambda module: the network with averaged weights"
            )
        target = self._target(trainer)
        others = [part for part in _of_this_kind(trainer) if part is not self and part._every]
        if target is not None and any(other._target(trainer) == target for other in others):
            raise ConfigError(f"two NeuralCollapseCallbacks write {target}: give each a path of its own")


def _of_this_kind(trainer: pl.Trainer) -> list[NeuralCollapseCallback]:
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks", [])
    return [part for part in callbacks if isinstance(part, NeuralCollapseCallback)]


def _trial_batches(trainer: pl.Trainer) -> int:
    # fast_dev_run: False, or so many batches; Lightning sets it at run time.
    return int(getattr(trainer, "fast_dev_run", False))


def _is_last(trainer: pl.Trainer, epoch: int) -> bool:
    # Early stopping and a limit of steps end a training, too.
    return (
        epoch == trainer.max_epochs
        or trainer.should_stop
        or (trainer.max_steps > 0 and trainer.global_step >= trainer.max_steps)
    )
