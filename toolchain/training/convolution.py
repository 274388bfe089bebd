"""A convolution of a quantized network, with weights, scales and biases that are learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from toolchain.reference.convolution import Convolution
from toolchain.training.codes import Site
from toolchain.training.straight_through import rounded, saturated

_BIAS_LIMIT = 2.0**30
_EXACT = 2**24
"""Whole numbers below it are exact in float32, and so are their sums."""


@dataclass(frozen=True)
class Constants:
    """What a convolution has become: int8 weights in their own layout, their float32 scales, int32 biases (O,), and the
    float32 scales of its sums (O,).
    """

    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]


class TrainedConvolution(nn.Module):
    """Gives what a `ConvStep` gives up to its activation, in steps of the output: to the bit in evaluation mode.

    Its parameters are those of ``codes``; ``gains``, factors of the scales as they were, which may stay as they are;
    and ``bias``, float64 (O,) in steps of the output, which is rounded to steps of the sums straight through: what the
    convolution gives where it reads what `rest_at` says, zero at first.

    Args:
        site: as it is before.
        codes: learns the codes of its weights, see `codes.Learn`.
    """

    def __init__(self, site: Site, codes: nn.Module) -> None:
        super().__init__()
        self.site, self.codes = site, codes
        self._given = torch.from_numpy(np.array(site.scale))
        self.gains = nn.Parameter(torch.ones(len(site.scale)))
        with torch.no_grad():
            bias = torch.from_numpy(site.convolution.bias.astype(np.float64)) * self._factors()
        self.bias = nn.Parameter(bias)
        self._rest: Tensor
        self.register_buffer("_rest", torch.zeros(_inputs(site.convolution), dtype=torch.float64))

    @torch.no_grad()
    def rest_at(self, means: Tensor) -> None:
        """Count ``bias`` from what is given at ``means`` (I,) of the codes less their zero point; nothing else changes.

        A weight that changes then moves no mean: the stored bias makes up for it at once, so that weights learn what is
        left, and many times faster.
        """
        factors, codes = self._factors(), self.codes()
        before = self._at_rest(codes)
        self._rest.copy_(means)
        self.bias.add_((self._at_rest(codes) - before) * factors)

    def forward(self, centred: Tensor) -> Tensor:
        """Return sums times their factor, float32, of codes less their zero point, float32 (N, I, h, w)."""
        factors, codes = self._factors(), self.codes()
        bias = self._bias_codes(factors, codes)
        # What is a little off in sums of millions does not matter to gradients, and float64 is many times slower.
        dtype = torch.float32 if self.training or self._bound(codes, bias) < _EXACT else torch.float64
        sums = self._sums(centred.to(dtype), codes.to(dtype)) + bias.to(dtype).reshape(-1, 1, 1)
        return sums.float() * factors.float().reshape(-1, 1, 1)

    @torch.no_grad()
    def constants(self) -> Constants:
        """Return what is to be stored, in evaluation mode."""
        codes = self.codes()
        return Constants(
            codes.numpy().astype(np.int8),
            self._scale().numpy(),
            self._bias_codes(self._factors(), codes).numpy().astype(np.int32),
            (np.float64(self.site.source.scale) * self._tiled().double().numpy()).astype(np.float32),
        )

    def _scale(self) -> Tensor:
        return self._given * self.gains

    def _tiled(self) -> Tensor:
        scale = self._scale()
        return scale.repeat(self.site.convolution.outputs // len(scale))

    def _factors(self) -> Tensor:
        """From sums to steps of the output, in float64 (O,)."""
        return self.site.source.scale * self._tiled().double() / self.site.out.scale

    def _bias_codes(self, factors: Tensor, codes: Tensor) -> Tensor:
        return saturated(rounded(self.bias / factors - self._at_rest(codes)), -_BIAS_LIMIT, _BIAS_LIMIT)

    def _at_rest(self, codes: Tensor) -> Tensor:
        """Return the sums (O,) of what is read at rest, far from borders; of a transposed convolution the mean of those
        of its phases.
        """
        given = self.site.convolution
        rest = self._rest.reshape(given.group, -1)
        if given.transposed:
            taps = codes.double().sum(dim=(2, 3)) / math.prod(given.strides)
            return torch.einsum("gi,gio->go", rest, taps.reshape(*rest.shape, -1)).reshape(-1)
        taps = codes.double().sum(dim=(2, 3)).reshape(given.group, -1, rest.shape[1])
        return torch.einsum("gi,goi->go", rest, taps).reshape(-1)

    def _bound(self, codes: Tensor, bias: Tensor) -> float:
        group = self.site.convolution.group
        laid = codes.detach().abs()
        if self.site.convolution.transposed:
            sums = laid.reshape(group, -1, *laid.shape[1:]).sum(dim=(1, 3, 4))
        else:
            sums = laid.sum(dim=(1, 2, 3))
        source = self.site.source
        reach = max(source.zero_point, source.qmax - source.zero_point)
        return float(sums.max()) * reach + float(bias.detach().abs().max())

    def _sums(self, centred: Tensor, codes: Tensor) -> Tensor:
        given = self.site.convolution
        top, left, bottom, right = given.pads
        if not given.transposed:
            padded = functional.pad(centred, (left, right, top, bottom))
            return functional.conv2d(padded, codes, stride=given.strides, dilation=given.dilations, groups=given.group)
        height, width = given.output_size(centred.shape[2], centred.shape[3])
        whole = functional.conv_transpose2d(
            centred, codes, stride=given.strides, dilation=given.dilations, groups=given.group
        )
        short = (top + height - whole.shape[2], left + width - whole.shape[3])
        whole = functional.pad(whole, (0, max(short[1], 0), 0, max(short[0], 0)))
        return whole[:, :, top : top + height, left : left + width]


def _inputs(given: Convolution) -> int:
    return int(given.weight.shape[0] if given.transposed else given.weight.shape[1] * given.group)
