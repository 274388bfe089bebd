"""XLSR (arXiv 2105.10288), the extremely lightweight quantization-robust network."""

from __future__ import annotations

import torch
from torch import nn


class GBlock(nn.Module):
    """XLSR's block: 3x3 convolution in four groups, ReLU, 1x1 convolution that mixes the groups."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run one block; the shape stays."""
        return self.mix(torch.relu(self.spatial(x)))


class XLSR(nn.Module):
    """XLSR on RGB.

    The paper's four parallel 3 -> 8 convolutions on the input are one 3 -> 32 convolution here: the same function,
    and the same number of parameters (21,947 at x3). With ``clipped`` the output passes through a clip to 0..1 as in
    the paper; without it the same layers are trained unclipped.
    """

    channels = 3

    def __init__(self, scale: int = 3, *, clipped: bool = True) -> None:
        super().__init__()
        self.scale, self.clipped = scale, clipped
        self.head = nn.Conv2d(3, 32, 3, padding=1)
        self.reduce = nn.Conv2d(32, 32, 1)
        self.blocks = nn.Sequential(*(GBlock(32, 4) for _ in range(3)))
        self.skip = nn.Conv2d(3, 16, 3, padding=1)
        self.fuse = nn.Conv2d(48, 32, 1)
        self.tail = nn.Conv2d(32, 3 * scale * scale, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He-normal with a tenth of the variance: the clipped output starts inside 0..1 (the paper's section 3).
                nn.init.kaiming_normal_(module.weight)
                with torch.no_grad():
                    module.weight.mul_(0.1**0.5)
                nn.init.constant_(module.bias, 0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        deep = self.blocks(self.reduce(torch.relu(self.head(x))))
        joined = torch.cat([deep, self.skip(x)], dim=1)
        y = self.shuffle(self.tail(torch.relu(self.fuse(joined))))
        return torch.clamp(y, 0.0, 1.0) if self.clipped else y
