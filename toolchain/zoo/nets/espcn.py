"""ESPCN (arXiv 1609.05158) with ReLU for tanh, as it is deployed."""

from __future__ import annotations

import torch
from torch import nn


class ESPCN(nn.Module):
    """ESPCN on RGB: 5x5 to 64 channels, 3x3 to 32, 3x3 to the shuffled output; no clip (31,131 parameters at x3)."""

    channels = 3

    def __init__(self, scale: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Conv2d(3, 64, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(64, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 3 * scale * scale, 3, padding=1),
            nn.PixelShuffle(scale),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        result: torch.Tensor = self.body(x)
        return result
