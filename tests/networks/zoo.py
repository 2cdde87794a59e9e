"""Models that tests name as ``tests.networks.zoo:...``, and files that attack."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor, nn


class Small(nn.Module):
    """A convolution, a batch norm and a classifier."""

    def __init__(self, num_classes: int = 3, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.bn1(self.conv1(images)).relu().mean((2, 3)))
        return logits


def small(num_classes: int = 3, width: int = 4) -> Small:
    return Small(num_classes, width)


def no_model() -> str:
    return "a string"


def failing(num_classes: int) -> Small:
    raise ZeroDivisionError(f"{num_classes} classes are too many")


ready = Small(2)
number = 3


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)
