"""SESR (arXiv 2103.09404), super-efficient super-resolution, in its expanded training form."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class LinearBlock(nn.Module):
    """k x k convolution to many channels, 1x1 convolution back, plus the input where the widths agree: all linear.

    Training runs the collapsed convolution, with gradients for the expanded weights (the paper's section 3.3).
    """

    def __init__(self, before: int, after: int, kernel: int, *, expanded: int = 256) -> None:
        super().__init__()
        self.expand = nn.Conv2d(before, expanded, kernel, padding=kernel // 2, bias=False)
        self.squeeze = nn.Conv2d(expanded, after, 1)
        self.short = before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, before, h, w) to (n, after, h, w)."""
        if not self.training:
            y = self.squeeze(self.expand(x))
            return x + y if self.short else y
        weight, bias = self.merged()
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights and bias of the one k x k convolution that the layers amount to."""
        middle = self.expand.kernel_size[0] // 2
        weight = torch.einsum("oe,eikl->oikl", self.squeeze.weight[:, :, 0, 0], self.expand.weight)
        if self.short:
            weight = weight + functional.pad(torch.eye(weight.shape[0])[:, :, None, None], [middle] * 4).to(weight)
        assert self.squeeze.bias is not None
        return weight, self.squeeze.bias


class SESR(nn.Module):
    """SESR-M5 on luma: 5x5, five 3x3 blocks, a long skip, 5x5, plus the input; clipped to 0..1.

    The paper's reference code subtracts 0.5 from the input; a bias can learn it, up to the border.
    """

    channels = 1

    def __init__(self, scale: int = 2, *, features: int = 16, blocks: int = 5) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Sequential(LinearBlock(1, features, 5), nn.PReLU(features))
        self.body = nn.Sequential(
            *(nn.Sequential(LinearBlock(features, features, 3), nn.PReLU(features)) for _ in range(blocks))
        )
        self.tail = LinearBlock(features, scale * scale, 5)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        first = self.head(x)
        y = self.shuffle(self.tail(self.body(first) + first) + x)
        return torch.clamp(y, 0.0, 1.0)
