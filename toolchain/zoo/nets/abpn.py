"""ABPN (arXiv 2105.09750), the anchor-based plain network."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from toolchain.zoo.nets.anchor import repeated


class ABPN(nn.Module):
    """ABPN on RGB: plain 3x3 convolutions learn what is to be added to the nearest enlargement (42,539 parameters at
    x3). With ``clipped`` the output is clipped to 0..1 as in the paper (0..255 there).
    """

    channels = 3

    def __init__(self, scale: int = 3, *, features: int = 28, blocks: int = 4, clipped: bool = True) -> None:
        super().__init__()
        self.scale, self.clipped = scale, clipped
        out = 3 * scale * scale
        widths = [3, *[features] * (blocks + 1), out]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.tail = nn.Conv2d(out, out, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        with torch.no_grad():
            self.tail.weight.mul_(0.1)  # the first guess is the nearest enlargement

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        y = self.shuffle(self.tail(self.body(x)) + repeated(x, self.scale))
        return torch.clamp(y, 0.0, 1.0) if self.clipped else y
