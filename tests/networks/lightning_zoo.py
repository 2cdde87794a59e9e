"""A LightningModule as users write it: the model below ``self.model``, its arguments kept as hyper-parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from tests.networks.zoo import Small

import_torchvision()

import lightning.pytorch as pl  # noqa: E402 - after the repair


class LitClassifier(pl.LightningModule):
    def __init__(self, num_classes: int = 3, width: int = 4, learning_rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.learning_rate = learning_rate
        self.model = Small(num_classes, width)
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(num_classes))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, labels = batch
        loss: Tensor = self.criterion(self(images), labels)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)
