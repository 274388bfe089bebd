"""Lay a convolution's parameters out for a kernel: channels by their slots, padding, groups, the order of the loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.kernels.layout import PACK, blocks_of
from toolchain.kernels.parameters import Parameters
from toolchain.kernels.spec import Requantize
from toolchain.reference.convolution import Convolution
from toolchain.reference.steps import ConvStep
from toolchain.support.errors import ModelError


@dataclass(frozen=True, eq=False)
class Arranged:
    """A convolution as a kernel can compute it.

    Attributes:
        groups: groups the kernel works with; 1 where the model's groups do not fall on whole blocks.
        parameters: of the kernel's channels.
    """

    groups: int
    parameters: Parameters


def arrange(step: ConvStep, slots: tuple[int, ...], blocks: int, slopes: np.ndarray | None) -> Arranged:
    """Lay ``step`` out for an input of ``blocks`` blocks in which channel c lies in slot ``slots[c]``.

    Output channels are padded to a multiple of four with zero weights.

    Raises:
        ModelError: an accumulator could leave int32 (the model's biases are out of proportion).
    """
    conv, source = step.convolution, step.source.quantization
    padded = blocks_of(conv.outputs) * PACK
    groups, weight = conv.group, conv.weight
    if not _groups_fit(conv, slots, blocks):
        groups, weight = 1, densify(weight, groups)
    kh, kw = weight.shape[2:]
    per_group = blocks * PACK // groups
    laid = np.zeros((padded, per_group, kh, kw), np.int16)
    positions = [slot % per_group for slot in slots[: weight.shape[1]]] if groups > 1 else list(slots)
    for channel, position in enumerate(positions):
        laid[: conv.outputs, position] += weight[:, channel]
    if laid.max(initial=0) > 127 or laid.min(initial=0) < -128:
        raise ModelError(
            "a convolution reads the same tensor several times with weights that add up beyond int8",
            hint="merge the repeated inputs before quantizing",
        )
    bias = pad(conv.bias.astype(np.int64), padded)
    largest = np.abs(bias - source.zero_point * laid.sum(axis=(1, 2, 3), dtype=np.int64))
    largest += source.qmax * np.abs(laid).sum(axis=(1, 2, 3), dtype=np.int64)
    if largest.max(initial=0) >= 2**31:
        raise ModelError(
            "a convolution's int32 accumulator could overflow",
            hint="leave the tensor that it reads at 8 bits"
            if source.wide
            else "check the biases and the calibration ranges of this model",
        )
    factor = np.float64(source.scale) * step.weight_scale.astype(np.float64)
    multiplier = pad((factor / np.float64(step.out.quantization.scale)).astype(np.float32), padded)
    slopes = None if slopes is None else pad(slopes, padded)
    return Arranged(groups, Parameters(laid, bias, source.zero_point, multiplier, slopes))


def densify(weight: np.ndarray, groups: int) -> np.ndarray:
    """Return the same convolution without groups: (channels, channels_in / groups, kh, kw) to (channels, channels_in,
    ...).
    """
    channels, inputs = weight.shape[0], weight.shape[1]
    dense = np.zeros((channels, inputs * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * channels // groups, (group + 1) * channels // groups)
        dense[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return dense


def arrange_floats(conv: Convolution, slots: Sequence[int], count: int, dtype: str) -> tuple[int, np.ndarray]:
    """Return groups and weights ``(count / groups, kh, kw, channels)`` of the float kernel for an input of ``count``
    channels in which the model's channel c is channel ``slots[c]``.

    Groups stay where the input's channels lie in order; else the weights get zeros for the other groups.
    """
    if conv.group > 1 and tuple(slots) == tuple(range(count)):
        return conv.group, np.ascontiguousarray(conv.weight.transpose(1, 2, 3, 0), dtype)
    weight = densify(conv.weight, conv.group)
    laid = np.zeros((weight.shape[0], count, *weight.shape[2:]), np.float32)
    for channel, slot in enumerate(slots):
        laid[:, slot] += weight[:, channel]
    return 1, np.ascontiguousarray(laid.transpose(1, 2, 3, 0), dtype)


def fits(given: Parameters, qmax: int, requantize: Requantize) -> bool:
    """Return whether no value before the clamp can leave int32, whatever the input's codes from 0 to ``qmax`` are."""
    steep = 1.0 if given.slopes is None else np.maximum(1.0, np.abs(given.slopes))
    largest = (given.largest(qmax) * given.multiplier * steep).max(initial=0)
    if requantize.inner is not None:
        largest = max(largest, *(abs(bound) for bound in requantize.inner if np.isfinite(bound)))
    if requantize.residual is not None:
        largest += requantize.residual.view.qmax * abs(requantize.residual.multiplier)
    return bool(largest < 2**30)


def pad(values: np.ndarray, length: int) -> np.ndarray:
    """``values`` with zeros appended up to ``length``."""
    padded = np.zeros(length, values.dtype)
    padded[: len(values)] = values
    return padded


def _groups_fit(conv: Convolution, slots: tuple[int, ...], blocks: int) -> bool:
    """Whether every group reads and writes whole blocks, its channels in order."""
    inputs = conv.weight.shape[1]
    if conv.group == 1:
        return True
    whole = inputs % PACK == 0 and (conv.outputs // conv.group) % PACK == 0
    return whole and slots == tuple(range(blocks * PACK)) and inputs * conv.group == len(slots)
