"""ECBSR (Zhang et al., ACM Multimedia 2021), edge-oriented convolution blocks, in their expanded training form."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

_SOBEL_X = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
_SOBEL_Y = ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0))
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


class Chain(nn.Module):
    """1x1 convolution, then 3x3: linear. The picture is padded first, so that the 1x1 convolution's bias stands in the
    border too; padding in between would leave zeros there, which no single convolution can reproduce.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(before, 2 * after, 1)
        self.spatial = nn.Conv2d(2 * after, after, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, before, h, w) to (n, after, h, w)."""
        result: torch.Tensor = self.spatial(self.mix(functional.pad(x, [1] * 4)))
        return result

    def collapsed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the one 3x3 convolution's weights and bias."""
        assert self.mix.bias is not None
        assert self.spatial.bias is not None
        weight = torch.einsum("omkl,mi->oikl", self.spatial.weight, self.mix.weight[:, :, 0, 0])
        return weight, self.spatial.bias + self.spatial.weight.sum((2, 3)) @ self.mix.bias


class Edge(nn.Module):
    """1x1 convolution, then a fixed 3x3 mask on each channel by itself, with a learned scale and bias."""

    def __init__(self, before: int, after: int, mask: tuple[tuple[float, ...], ...]) -> None:
        super().__init__()
        self.mix = nn.Conv2d(before, after, 1)
        self.scale = nn.Parameter(torch.randn(after) * 1e-3)
        self.bias = nn.Parameter(torch.randn(after) * 1e-3)
        self.register_buffer("mask", torch.tensor(mask), persistent=False)

    def _kernel(self) -> torch.Tensor:
        mask: torch.Tensor = self.get_buffer("mask")
        return self.scale[:, None, None, None] * mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, before, h, w) to (n, after, h, w)."""
        mixed = self.mix(functional.pad(x, [1] * 4))
        return functional.conv2d(mixed, self._kernel(), self.bias, groups=mixed.shape[1])

    def collapsed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the one 3x3 convolution's weights and bias."""
        assert self.mix.bias is not None
        kernel = self._kernel()
        return self.mix.weight * kernel, self.bias + kernel.sum((1, 2, 3)) * self.mix.bias


class ECB(nn.Module):
    """The edge-oriented block: five linear branches, and the input itself where the widths agree, added.

    Training runs the collapsed convolution, with gradients for the branches' weights.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.plain = nn.Conv2d(before, after, 3, padding=1)
        self.branches = nn.ModuleList(
            [Chain(before, after), *(Edge(before, after, mask) for mask in (_SOBEL_X, _SOBEL_Y, _LAPLACIAN))]
        )
        self.short = before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, before, h, w) to (n, after, h, w)."""
        if not self.training:
            y = self.plain(x)
            for branch in self.branches:
                y = y + branch(x)
            return y + x if self.short else y
        weight, bias = self.merged()
        return functional.conv2d(x, weight, bias, padding=1)

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights and bias of the one 3x3 convolution that the branches amount to."""
        weight, bias = self.plain.weight, self.plain.bias
        assert bias is not None
        for branch in self.branches:
            more, offset = branch.collapsed()
            weight, bias = weight + more, bias + offset
        if self.short:
            weight = weight + functional.pad(torch.eye(weight.shape[0])[:, :, None, None], [1] * 4).to(weight)
        return weight, bias


class ECBSR(nn.Module):
    """ECBSR M4C16 on luma: four inner blocks of 16 channels, PReLU, the input added to the output; no clip."""

    channels = 1

    def __init__(self, scale: int = 2, *, features: int = 16, blocks: int = 4) -> None:
        super().__init__()
        self.scale = scale
        widths = [1, *[features] * (blocks + 1)]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [ECB(before, after), nn.PReLU(after)]
        self.body = nn.Sequential(*layers, ECB(features, scale * scale))
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        result: torch.Tensor = self.shuffle(self.body(x) + x)
        return result
