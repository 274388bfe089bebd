"""Networks of blocks that are re-parameterized: parallel convolutions with batch normalization, one when deployed.

RepVGG (arXiv 2101.03697) has a 3x3 convolution, a 1x1 convolution and the input itself, each normalized and added;
MobileOne (arXiv 2206.04040) has several 3x3 ones. QARepVGG (arXiv 2212.01593, our reading) normalizes the 3x3
convolution alone, and the sum. OABN (arXiv 2402.07200, our reading) bounds the gains of the 1x1 convolution and of the
input, which all fall on one tap of the merged kernel, and make it an outlier there.
"""

from __future__ import annotations

from enum import Enum

import torch
from torch import nn
from torch.nn import functional

from toolchain.zoo.nets.norms import OutlierAwareNorm, gain_and_shift

_KEPT = 0.05  # how fast the typical weight follows
_LEAST = 1e-6


class Norms(Enum):
    """How a block is normalized."""

    PLAIN = "plain"
    SUM = "QARepVGG"
    BOUNDED = "OABN"


class Branch(nn.Module):
    """One of the parallel ways: a convolution without bias, or the input itself; then a normalization, or none."""

    def __init__(self, channels: int, kernel: int, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False) if kernel else None
        self.norm = norm
        self.register_buffer("identity", torch.eye(channels)[:, :, None, None], persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to the same."""
        y = x if self.conv is None else self.conv(x)
        return y if self.norm is None else self.norm(y)

    def kernel(self) -> torch.Tensor:
        """Return the convolution's weights as 3x3 (out, in, 3, 3), before the normalization."""
        taps: torch.Tensor = self.get_buffer("identity") if self.conv is None else self.conv.weight
        return taps if taps.shape[-1] == 3 else functional.pad(taps, [1] * 4)

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights (out, in, 3, 3) and bias of the convolution that evaluation amounts to."""
        weight = self.kernel()
        if self.norm is None:
            return weight, weight.new_zeros(weight.shape[0])
        gain, shift = gain_and_shift(self.norm)
        return weight * gain[:, None, None, None], shift


class Block(nn.Module):
    """Parallel branches, added: ``spatial`` 3x3 convolutions, a 1x1 convolution, the input; linear as a whole.

    Args:
        spatial: how many 3x3 convolutions; RepVGG has one, MobileOne more.
        norms: how it is normalized.
        bound: OABN: the gain of a 1x1 convolution or of the input puts no weight into the merged kernel that is larger
            than ``bound`` times the median weight of the channel's 3x3 convolutions.
    """

    def __init__(self, channels: int, *, spatial: int, norms: Norms, bound: float = 8.0) -> None:
        super().__init__()
        points = {Norms.PLAIN: nn.BatchNorm2d, Norms.SUM: lambda _: None, Norms.BOUNDED: OutlierAwareNorm}[norms]
        self.spatial = nn.ModuleList(Branch(channels, 3, nn.BatchNorm2d(channels)) for _ in range(spatial))
        self.points = nn.ModuleList(Branch(channels, kernel, points(channels)) for kernel in (1, 0))
        self.norm = nn.BatchNorm2d(channels) if norms is Norms.SUM else None
        self.bound = bound
        self.register_buffer("typical", torch.zeros(channels))
        self.register_buffer("strength", torch.zeros(()))  # of the bound, 0 to 1; see `strengthen`

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to the same."""
        if self.training:
            self._follow()
        y = sum(branch(x) for branch in [*self.spatial, *self.points])
        return y if self.norm is None else self.norm(y)

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights (out, in, 3, 3) and bias of the one convolution that evaluation amounts to."""
        parts = [branch.merged() for branch in [*self.spatial, *self.points]]
        weight = torch.stack([weight for weight, _ in parts]).sum(0)
        bias = torch.stack([bias for _, bias in parts]).sum(0)
        if self.norm is None:
            return weight, bias
        gain, shift = gain_and_shift(self.norm)
        return weight * gain[:, None, None, None], bias * gain + shift

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the bounds follow the kernel that the 3x3 convolutions amount to."""
        bounded = [branch for branch in self.points if isinstance(branch.norm, OutlierAwareNorm)]
        if not bounded:
            return
        spatial = torch.stack([branch.merged()[0] for branch in self.spatial]).sum(0)
        median = spatial.abs().flatten(1).median(1).values
        first = not bool(self.typical.any())
        self.typical.lerp_(median, 1.0 if first else _KEPT)
        for branch in bounded:
            largest = branch.kernel().abs().amax((1, 2, 3))
            branch.norm.floor.copy_(self.strength * (largest / (self.bound * self.typical + _LEAST)) ** 2)


def strengthen(net: nn.Module, done: float) -> None:
    """Set OABN's bounds for the part of the training that is done, 0 to 1: none up to a tenth, all from the half on."""
    for module in net.modules():
        if isinstance(module, Block):
            module.strength.fill_(min(max((done - 0.1) / 0.4, 0.0), 1.0))


class Reparameterized(nn.Module):
    """RGB: 3x3 to ``features``, ``blocks`` blocks with ReLU, the features before them added, 3x3, pixel shuffle; no
    clip.
    """

    channels = 3

    def __init__(
        self, scale: int = 3, *, norms: Norms = Norms.PLAIN, spatial: int = 1, features: int = 32, blocks: int = 8
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(
            *(nn.Sequential(Block(features, spatial=spatial, norms=norms), nn.ReLU()) for _ in range(blocks))
        )
        self.tail = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale a batch."""
        first = torch.relu(self.head(x))
        result: torch.Tensor = self.shuffle(self.tail(self.body(first) + first))
        return result
