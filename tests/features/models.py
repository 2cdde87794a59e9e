"""Small models and data that the tests of the features share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nctools.models.output import Output


class Classwise(nn.Module):
    """Class-wise features by one linear map per class; returns an ``Output``."""

    def __init__(self, num_inputs: int, num_classes: int, num_features: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(num_inputs, num_features * num_classes), nn.Dropout(0.5))
        self.split = nn.Unflatten(1, (num_classes, num_features))
        self.classifier = nn.Linear(num_features, 1)

    def forward(self, images: Tensor) -> Output:
        features = self.split(self.trunk(images))
        return Output(self.classifier(features).squeeze(2), features={"classwise": features})


class Echo(nn.Module):
    """Returns its input as features, so that a test chooses what is extracted."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.features(images)
        return found


def linear_model(num_classes: int = 3) -> nn.Sequential:
    """Four inputs, six features, a classifier called ``2``."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, num_classes))


def classifier_of(model: nn.Sequential) -> nn.Linear:
    """Its last module."""
    last = model[-1]
    assert isinstance(last, nn.Linear)
    return last


def label_sets(num_images: int, num_classes: int, seed: int = 0) -> Tensor:
    """Random label sets ``[N, C]``; some images have none."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(num_images, num_classes, generator=generator) < 0.4).float()


def loader(images: Tensor, targets: Tensor, batch_size: int = 4) -> DataLoader[tuple[Tensor, ...]]:
    """Unshuffled batches."""
    return DataLoader(TensorDataset(images, targets), batch_size=batch_size)


def compiled(model: nn.Module) -> nn.Module:
    """As ``torch.compile`` wraps it, without the compiler's machine code."""
    wrapped: object = torch.compile(model, backend="eager")
    assert isinstance(wrapped, nn.Module)
    return wrapped
