"""Ranges and weights of a normalized network as another tool had them."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.foreign.findings import Findings
from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.weights import QuantizedWeight, along, outputs_first, safe_scale
from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.pairs import LIMIT, least_scale, round_safely
from toolchain.reference.quantization import Quantization

_BOUNDED = {"Tanh": (-1.0, 1.0), "Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0)}
_MERGED = re.compile(r"__\d+$")


def range_of(plan: QuantizationPlan, group: str, view: GraphView, found: Findings) -> Quantization | None:
    """Return what the file says of any tensor of a group: those that are merely moved share what was said of one of
    them; None where it says nothing.
    """
    members = [name for name in plan.points if plan.group[name] == group]
    joined = [name for name in members if view.producers[name].op_type == "Concat"]
    for name in [*joined, *members, *(other for other in plan.group if plan.group[other] == group)]:
        if name in found.ranges:
            return found.ranges[name]
        # Merged parallel convolutions are called after the first of them, and stand for the Concat they replace.
        first = _MERGED.sub("", name)
        if first != name and (first in found.joined or first in found.ranges):
            return found.joined.get(first) or found.ranges[first]
    for name in members:
        maker = view.producers[name]
        if maker.op_type in _BOUNDED:
            return Quantization.of_range(*_BOUNDED[maker.op_type], bits=8)
        before = found.ranges.get(maker.input[0])
        if maker.op_type == "Relu" and before is not None:
            return Quantization.of_range(0.0, before.high, bits=before.bits)
        if before is not None and maker.op_type in ("Clip", "PRelu", "LeakyRelu"):
            return before
    return None


def weights_of(
    plan: QuantizationPlan, view: GraphView, quantizations: dict[str, Quantization], found: Findings
) -> tuple[dict[str, QuantizedWeight], dict[str, NDArray[np.float32]], int]:
    """Return the weights and the float biases of each convolution, by its output, and how many were rounded again."""
    weights: dict[str, QuantizedWeight] = {}
    biases: dict[str, NDArray[np.float32]] = {}
    changed = 0
    for output, site in plan.convolutions.items():
        weight = view.constants[site.weight].astype(np.float32)
        rows = outputs_first(weight, site.axis)
        # The file's scale makes the file's codes again, pairs that other processors saturate among them. A channel
        # without one (or with codes beyond -128) is rounded like our own. -128 itself becomes -127, which is one step
        # of one weight; another scale would move them all.
        known = found.scales_of(rows)
        largest = np.abs(rows).max(axis=(1, 2, 3), initial=0.0).astype(np.float64)
        fits = (known > 0) & (np.rint(largest / np.where(known > 0, known, 1.0)) <= LIMIT + 1)
        changed += int(not fits.all())
        scale = np.where(fits, known, least_scale(rows.astype(np.float64)))
        bias = (
            view.constants[site.bias].astype(np.float32) if site.bias else np.zeros(_outputs(view, output), np.float32)
        )
        folded = np.abs(bias).reshape(-1, len(scale)).max(axis=0)
        safe = safe_scale(scale, folded, quantizations[plan.group[site.source]].scale)
        steps = rows / along(safe.astype(np.float64), 0, rows.ndim)
        kept = np.clip(np.rint(steps), -LIMIT, LIMIT).astype(np.int8)
        codes = np.where(along(fits, 0, rows.ndim), kept, round_safely(steps))
        weights[output] = QuantizedWeight(
            np.ascontiguousarray(np.moveaxis(codes, 0, site.axis)), safe, site.axis, "file"
        )
        biases[output] = bias
    return weights, biases, changed


def _outputs(view: GraphView, output: str) -> int:
    node = view.producers[output]
    shape = view.constants[node.input[1]].shape
    return int(shape[0] if node.op_type == "Conv" else shape[1] * attributes(node).get("group", 1))
