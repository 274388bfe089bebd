"""Outliers of the kernels that are deployed: what they cost, as a term of the loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

NORMAL = 4.0
"""The 8-norm over the root mean square of a channel of some 300 weights that are normally distributed is 3.6."""


def merged_kernels(net: nn.Module) -> Iterator[torch.Tensor]:
    """Yield the weights (out, in, kh, kw) of every convolution as it is deployed, with gradients.

    A block with a method ``merged`` is one convolution, whatever it consists of.
    """
    if hasattr(net, "merged"):
        yield net.merged()[0]
    elif isinstance(net, nn.Conv2d):
        yield net.weight
    else:
        for child in net.children():
            yield from merged_kernels(child)


def outlier_penalty(net: nn.Module) -> torch.Tensor:
    """Return the mean over all channels of relu(log(8-norm / (4 rms)))^2: a scalar, 0 without outliers.

    What is meant is the largest weight over a typical one, which decides what few bits lose; but the largest has a
    gradient at one weight only and the 8-norm, nearly as large, at all that are as bad. A channel's scale does not
    matter.
    """
    costs = []
    for kernel in merged_kernels(net):
        flat = kernel.flatten(1)
        size = flat.detach().abs().amax(1, keepdim=True).clamp_min(1e-12)
        flat = flat / size
        norm = (flat**8).sum(1) ** 0.125
        typical = (flat * flat).mean(1).sqrt()
        costs.append(torch.relu(torch.log(norm / (NORMAL * typical).clamp_min(1e-12))) ** 2)
    return torch.cat(costs).mean()
