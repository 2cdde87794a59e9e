"""The small backbone of the embedded data set: 72,720 parameters, 48 x 48 images in, 64 x 6 x 6 maps out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SmallBackbone(nn.Module):
    """A 3 x 3 convolution of stride 2 (16 channels) and two residual blocks of stride 2 (32, 64), batch norm.

    Example:
        >>> import torch
        >>> SmallBackbone()(torch.randn(2, 3, 48, 48)).shape
        torch.Size([2, 64, 6, 6])
    """

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.block1 = _ResidualBlock(16, 32)
        self.block2 = _ResidualBlock(32, 64)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the feature map.

        Args:
            images: ``[B, 3, H, W]``, normalised.

        Returns:
            ``[B, 64, H / 8, W / 8]`` (rounded up), not negative.
        """
        stem = F.relu(self.norm(self.stem(images)))
        feature_map: Tensor = self.block2(self.block1(stem))
        return feature_map


class _ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, the first of stride 2, beside a 1 x 1 convolution of stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(out_channels)

    def forward(self, feature_map: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(feature_map)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut_norm(self.shortcut(feature_map)))
