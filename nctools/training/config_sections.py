"""The sections of ``config.yaml``: recipe, measuring, data, preprocessing, trainer."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nctools.collapse.catalogue import PRESETS
from nctools.data.preprocessing import Preprocessing, preprocessing_changed
from nctools.data.sampler_catalogue import sampler_entry
from nctools.data.settings import Difficult
from nctools.methods.recipe import EpochLength, Precision, SamplerName
from nctools.training.config_faults import known_metric


class Section(BaseModel):
    """What all sections share: no unknown keys, no other types, no change, no infinite number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class RecipeConfig(Section):
    """Optimiser, schedule and sampler; the fields of ``nctools.methods.Recipe``."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    max_lr: float = Field(gt=0)
    pct_start: float = Field(gt=0, lt=1)
    weight_decay: float = Field(ge=0)
    sampler: SamplerName
    epoch_length: EpochLength
    ema_decay: float | None = Field(gt=0, lt=1)
    gradient_clip: float | None = Field(gt=0)
    # Later than the others: files without them are older and mean the defaults.
    num_samples_per_class: int = Field(default=1, ge=1)
    sampler_reduce: int = Field(default=1, ge=1)
    precision: Precision = "32-true"

    @model_validator(mode="after")
    def _settings_reach_the_sampler(self) -> Self:
        takes = sampler_entry(self.sampler).takes
        if self.num_samples_per_class != 1 and "num_samples_per_class" not in takes:
            raise ValueError(
                f"num_samples_per_class is {self.num_samples_per_class}, but the sampler {self.sampler} draws no such "
                "groups: choose class_aware, or leave it 1"
            )
        if self.sampler_reduce != 1 and ("length" not in takes or self.epoch_length != "balanced"):
            raise ValueError(
                f"sampler_reduce is {self.sampler_reduce}, but it divides the balanced length of an epoch, and here "
                f"the sampler is {self.sampler} and epoch_length {self.epoch_length}: change these, or leave it 1"
            )
        return self


class CollapseConfig(Section):
    """When and what the NC callback measures on the training images."""

    every: int = Field(default=5, ge=0, description="epochs between measurements; 0 measures never")
    metrics: str = Field(default="default", description="preset or comma-separated metric ids")

    @field_validator("metrics")
    @classmethod
    def _metrics_are_known(cls, metrics: str) -> str:
        return metrics if metrics in PRESETS else ",".join(known_metric(name.strip()) for name in metrics.split(","))


class DataConfig(Section):
    """What is taken from the data set; the fields of ``nctools.data.DataSettings``."""

    difficult: Difficult = "include"
    drop_unlabelled: bool = False
    val_fraction: float = Field(default=0.0, ge=0, lt=1)
    drop_labels: float = Field(default=0.0, ge=0, lt=1)
    groups: str | None = None
    seed: int = Field(default=0, ge=0)


class PreprocessingConfig(Section):
    """How images become inputs; what is not given is that of the data set. See ``preprocessing_changed``."""

    name: str | None = None
    image_size: int | None = Field(default=None, ge=1)
    mean: list[float] | None = None
    std: list[float] | None = None
    augmentation: str | None = None

    def changed(self, usual: Preprocessing) -> Preprocessing:
        """Return the preprocessing of a data set with what is given here instead.

        Args:
            usual: That of the data set.

        Returns:
            The preprocessing of the run.
        """
        return preprocessing_changed(usual, **self.model_dump())


class TrainerConfig(Section):
    """On what a run is computed; names as in Lightning's ``Trainer``.

    Devices and machines change a result in its last digits. With ``accumulate_grad_batches`` another network is
    trained: batch norm and the two-way loss see each part of a batch alone. So do they with ``sync_batchnorm`` off,
    each process's part.
    """

    devices: int = Field(default=1, ge=1, description="processes on each machine, one GPU or CPU process each")
    num_nodes: int = Field(default=1, ge=1, description="machines")
    accumulate_grad_batches: int = Field(default=1, ge=1, description="parts that a batch is computed in")
    sync_batchnorm: bool = Field(default=True, description="batch statistics over all processes")
    compile: bool = Field(default=False, description="torch.compile the network")
