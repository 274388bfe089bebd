"""Float estimates of what the integer reference computes: they lend their gradients to steps that it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from toolchain.reference.steps import (
    AverageStep,
    ChannelPoolStep,
    Codes,
    ExtremeStep,
    GlobalPoolStep,
    NormalizationStep,
    PoolStep,
    ProductStep,
    ResizeStep,
)

Read = Callable[[Codes], Tensor]
"""Gives a tensor's codes less their zero point, float32 (N, C, h, w)."""


def estimate(step: Any, read: Read, size: tuple[int, int]) -> Tensor | None:
    """Return about what ``step`` gives, in steps of its output and before its last activation; None for what has no
    estimate: nothing is learned through it.

    Args:
        step: of a program.
        read: what it reads.
        size: height and width of the result.
    """
    function = _ESTIMATES.get(type(step))
    found = None if function is None else function(step, read, size)
    return found if found is not None and found.shape[2:] == size else None


def _real(codes: Codes, read: Read, out: Codes) -> Tensor:
    return read(codes) * (codes.quantization.scale / out.quantization.scale)


def _product(step: ProductStep, read: Read, size: tuple[int, int]) -> Tensor:
    first, second = step.factors
    return _real(first, read, step.out) * (read(second) * second.quantization.scale)


def _extreme(step: ExtremeStep, read: Read, size: tuple[int, int]) -> Tensor:
    choose = torch.minimum if step.kind == "min" else torch.maximum
    first, second = (_real(term, read, step.out) for term in step.terms)
    return choose(first, second)


def _global_pool(step: GlobalPoolStep, read: Read, size: tuple[int, int]) -> Tensor:
    given = _real(step.source, read, step.out)
    return given.amax((2, 3), keepdim=True) if step.kind == "max" else given.mean((2, 3), keepdim=True)


def _channel_pool(step: ChannelPoolStep, read: Read, size: tuple[int, int]) -> Tensor:
    given = _real(step.source, read, step.out)
    return given.amax(1, keepdim=True) if step.kind == "max" else given.amin(1, keepdim=True)


def _normalization(step: NormalizationStep, read: Read, size: tuple[int, int]) -> Tensor:
    given = read(step.source) * step.source.quantization.scale
    centred = given - given.mean(1, keepdim=True)
    normal = centred / (centred.square().mean(1, keepdim=True) + step.epsilon).sqrt()
    gains, offsets = (torch.from_numpy(values).reshape(-1, 1, 1) for values in (step.gains, step.offsets))
    return (normal * gains + offsets) / step.out.quantization.scale


def _average(step: AverageStep, read: Read, size: tuple[int, int]) -> Tensor:
    top, left, bottom, right = step.pads
    given = functional.pad(_real(step.source, read, step.out), (left, right, top, bottom))
    return functional.avg_pool2d(given, step.kernel, step.strides, ceil_mode=step.ceil)


def _pool(step: PoolStep, read: Read, size: tuple[int, int]) -> Tensor:
    top, left, bottom, right = step.pads
    given = functional.pad(_real(step.source, read, step.out), (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(given, step.kernel, step.strides, dilation=step.dilations, ceil_mode=step.ceil)


def _resize(step: ResizeStep, read: Read, size: tuple[int, int]) -> Tensor:
    found = functional.interpolate(_real(step.source, read, step.out), size=size, mode="bilinear")
    return found if step.residual is None else found + _real(step.residual, read, step.out)


_ESTIMATES: Mapping[type, Callable[[Any, Read, tuple[int, int]], Tensor]] = {
    ProductStep: _product,
    ExtremeStep: _extreme,
    GlobalPoolStep: _global_pool,
    ChannelPoolStep: _channel_pool,
    NormalizationStep: _normalization,
    AverageStep: _average,
    PoolStep: _pool,
    ResizeStep: _resize,
}
