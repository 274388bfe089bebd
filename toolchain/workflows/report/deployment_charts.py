"""The charts of a deployment's page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from toolchain.pages import charts
from toolchain.pages.wording import amount
from toolchain.workflows.report.structure import plain_name

if TYPE_CHECKING:
    from markupsafe import Markup

    from toolchain.quantize.fidelity import TensorFidelity
    from toolchain.reference.network import Layer

_WIDTH = 740  # beside the drawn network, in pixels
_BARS = 24  # at most
_LEAST = 2  # of what a chart shows


def noise_chart(tensors: Sequence[TensorFidelity]) -> Markup | None:
    """Return signal to noise over the tensors; None where there are too few to draw."""
    finite = [
        (number, tensor)
        for number, tensor in enumerate(tensors, 1)
        if math.isfinite(tensor.sqnr) and math.isfinite(tensor.own_sqnr)
    ]
    if len(finite) < _LEAST:
        return None
    series = {
        "its own rounding alone": [(float(number), tensor.own_sqnr) for number, tensor in finite],
        "errors before it included": [(float(number), tensor.sqnr) for number, tensor in finite],
    }
    titles = "tensor, in the network's order", "signal to noise (dB)"
    paint = charts.lines(series, titles, names=[plain_name(tensor.name) for _, tensor in finite])
    return charts.chart(paint, "Signal to noise of every tensor", height=280, width=_WIDTH)


def work_chart(layers: Sequence[Layer], times: Mapping[str, float]) -> Markup | None:
    """Return the work of the convolutions, of many the largest; None where there are too few to draw. Where seconds of
    each are known, shares of the work and of the time.
    """
    if len(layers) < _LEAST:
        return None
    least = sorted((layer.macs_per_pixel for layer in layers), reverse=True)[:_BARS][-1]
    shown = [layer for layer in layers if layer.macs_per_pixel >= least][:_BARS]
    values = [layer.macs_per_pixel for layer in shown]
    some = f" (the {len(shown)} largest of {len(layers)})" if len(shown) < len(layers) else ""
    names = [plain_name(layer.name) for layer in shown]
    if times:
        work, time = sum(layer.macs_per_pixel for layer in layers) or 1.0, sum(times.values()) or 1.0
        series = {
            "of the work": [100 * value / work for value in values],
            "of the time": [100 * times[layer.name] / time for layer in shown],
        }
        paint = charts.bars(names, series, f"share (%){some}", say="{:.1f}".format)
        return charts.chart(
            paint, "Share of every convolution in work and time", height=100 + 34 * len(shown), width=_WIDTH
        )
    axis = f"multiply-accumulates per input pixel{some}"
    paint = charts.bars(names, {"work": values}, axis, say=lambda value: amount(value, "").strip())
    return charts.chart(paint, "Work of every convolution", height=70 + 24 * len(shown), width=_WIDTH)
