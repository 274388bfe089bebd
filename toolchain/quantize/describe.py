"""Writes down a quantization for the recipe."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.nested_bits import MOST
from toolchain.quantize.estimators import Range
from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.qdq import name_weights
from toolchain.quantize.recipe import TensorRecipe
from toolchain.quantize.weights import QuantizedWeight, bias_scale
from toolchain.reference.quantization import Quantization


def describe(
    plan: QuantizationPlan,
    quantizations: Mapping[str, Quantization],
    ranges: Mapping[str, Range],
    weights: Mapping[str, QuantizedWeight],
    biases: Mapping[str, NDArray[np.float32]],
    *,
    source: str,
) -> tuple[TensorRecipe, ...]:
    """Return the recipe's lines: activations in graph order, then weights and biases.

    Args:
        plan: which tensors are quantized.
        quantizations: by group.
        ranges: what was measured, by group; groups without are pixels, or another tool's.
        weights: by convolution output.
        biases: by convolution output.
        source: what decided the ranges of the inner tensors.
    """
    tensors = []
    pinned = plan.pinned
    for point in plan.points:
        group = plan.group[point]
        given, found = quantizations[group], ranges.get(group)
        tensors.append(
            TensorRecipe(
                name=point,
                role="activation",
                dtype=given.dtype.name,
                scale=(given.scale,),
                zero_point=(given.zero_point,),
                axis=None,
                estimator="pixels" if group in pinned else found.estimator if found else "file",
                source="pixels" if group in pinned else source,
                low=found.seen_low if found else None,
                high=found.seen_high if found else None,
            )
        )
    origin = "file" if source == "file" else "weights"
    for output, name in name_weights(plan).items():
        weight, site = weights[output], plan.convolutions[output]
        scales = tuple(float(value) for value in weight.scale)
        zeros = (0,) * len(scales)
        tensors.append(
            TensorRecipe(
                name,
                "weight",
                "int8",
                scales,
                zeros,
                weight.axis,
                weight.estimator,
                origin,
                weight_bits=weight.among.bits if weight.among.bits < MOST else None,
                codebook=weight.among.book,
                outliers=weight.among.outliers,
            )
        )
        tiled = np.tile(weight.scale, len(biases[output]) // len(weight.scale))
        sums = tuple(float(value) for value in bias_scale(quantizations[plan.group[site.source]].scale, tiled))
        tensors.append(
            TensorRecipe(
                f"{name}_bias",
                "bias",
                "int32",
                sums,
                (0,) * len(sums),
                0,
                "accumulator",
                origin,
            )
        )
    return tuple(tensors)
