"""Rounding, clamping and tables, with gradients to train through them (the straight-through estimator of Bengio et al.,
arXiv 1308.3432).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def rounded(values: Tensor) -> Tensor:
    """Round half to even; gradients pass."""
    return _take(_Rounded, values)


def clamped(values: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Clamp to ``low``..``high``, as a network's own ReLU or clip does: no gradients pass outside."""
    return torch.minimum(torch.maximum(values, torch.as_tensor(low)), torch.as_tensor(high))


def saturated(values: Tensor, low: float, high: float) -> Tensor:
    """Clamp to what codes can say. Gradients pass inside, and outside where following them leads back inside: what
    saturates can still learn to be smaller, and nothing is pushed further out.
    """
    return _take(_Saturated, values, torch.as_tensor(low), torch.as_tensor(high))


def looked_up(codes: Tensor, table: Tensor) -> Tensor:
    """Return what a table says of codes; its gradient is the slope between each code's neighbours.

    Args:
        codes: whole numbers, float32 (N, C, h, w).
        table: float32 (1 or channels, codes).
    """
    return _take(_LookedUp, codes, table)


def replaced(estimate: Tensor, exact: Tensor) -> Tensor:
    """Return ``exact``; gradients go to ``estimate``."""
    return _take(_Replaced, estimate, exact)


def _take(function: type[Function], *operands: Tensor) -> Tensor:
    result: Tensor = function.apply(*operands)
    return result


class _Rounded(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return torch.round(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Saturated(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        ctx.save_for_backward(values > high, values < low)
        return torch.minimum(torch.maximum(values, low), high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        above, below = ctx.saved_tensors
        stuck = (above & (gradient < 0)) | (below & (gradient > 0))
        return gradient.masked_fill(stuck, 0.0), None, None


class _LookedUp(Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, table: Tensor) -> Tensor:
        index, rows = codes.long(), torch.arange(len(table)).reshape(-1, 1, 1)
        last = table.shape[1] - 1
        before, after = (index - 1).clamp(min=0), (index + 1).clamp(max=last)
        ctx.save_for_backward((table[rows, after] - table[rows, before]) / (after - before))
        ctx.shape = codes.shape
        return table[rows, index]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        found = gradient * slope
        return found if found.shape == ctx.shape else found.sum(1, keepdim=True), None


class _Replaced(Function):
    @staticmethod
    def forward(ctx: Any, estimate: Tensor, exact: Tensor) -> Tensor:
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
