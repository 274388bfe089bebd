"""QuickSRNet (arXiv 2303.04336): plain convolutions that start as the identity, a clip to 0..1 after each."""

from __future__ import annotations

import itertools

import torch
from torch import nn


class QuickSRNet(nn.Module):
    """QuickSRNet on RGB; the small one has 32 features and 2 inner convolutions (22.9 thousand parameters at x2)."""

    channels = 3

    def __init__(self, scale: int = 2, *, features: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.scale = scale
        widths = [3, *[features] * (blocks + 1)]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [_identity(nn.Conv2d(before, after, 3, padding=1), repeat=1), nn.Hardtanh(0.0, 1.0)]
        tail = _identity(nn.Conv2d(features, 3 * scale * scale, 3, padding=1), repeat=scale * scale)
        self.body = nn.Sequential(*layers, tail, nn.Hardtanh(0.0, 1.0), nn.PixelShuffle(scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        result: torch.Tensor = self.body(x)
        return result


def _identity(conv: nn.Conv2d, *, repeat: int) -> nn.Conv2d:
    """Add to the random weights what passes input channel c on to output channels c*repeat ... (c+1)*repeat - 1."""
    with torch.no_grad():
        conv.weight.mul_(0.3)
        for out in range(min(conv.out_channels, 3 * repeat)):
            conv.weight[out, out // repeat, 1, 1] += 1.0
        conv.bias.zero_() if conv.bias is not None else None
    return conv
