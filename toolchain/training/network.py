"""A quantized network as a PyTorch module whose every byte is the integer reference's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from toolchain.quantize.code_set import ALL, CodeSet
from toolchain.quantize.recipe import Recipe
from toolchain.reference.arithmetic import final_bounds, multiplier
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.interpreter import last_use, run_step
from toolchain.reference.program import ShuffleStep, parse
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import (
    Activation,
    Codes,
    ConcatStep,
    ConvStep,
    InputStep,
    SelectStep,
    SpaceToDepthStep,
    SumStep,
    TableStep,
    WindowStep,
)
from toolchain.training.codes import LatentCodes, Learn, Site
from toolchain.training.convolution import Constants, TrainedConvolution
from toolchain.training.straight_through import clamped, looked_up, replaced, rounded, saturated
from toolchain.training.surrogates import estimate

STORED = "_quantized"
"""What the names of stored codes end in, behind the weights' names."""
Values = dict[str, Tensor]
"""Codes less their zero points, float32 (N, C, h, w), by the tensors' names."""


def code_sets(recipe: Recipe) -> dict[str, CodeSet]:
    """Return the codes that weights may have, by the weights' names."""
    return {
        tensor.name: CodeSet(tensor.bits, bool(tensor.codebook), tensor.codebook, outliers=tensor.outliers)
        for tensor in recipe.tensors
        if tensor.role == "weight"
    }


def latent(among: Mapping[str, CodeSet]) -> Learn:
    """Return what learns the nearest codes of each layer's set, straight through; of int8 where ``among`` has none."""
    return lambda site: LatentCodes(site, among.get(site.name, ALL))


class QuantizedNetwork(nn.Module):
    """Runs a canonical QDQ model on codes, in the reference's arithmetic, and learns its convolutions.

    Begin with what `quantize` gives, learn, and take the model back:

        quantized = quantize(normalize(model), photographs, settings)
        net = QuantizedNetwork(quantized.model, latent(code_sets(quantized.recipe)))
        optimizer = torch.optim.Adam(net.parameters(), lr=...)  # or of some: net.convolutions[i].bias, .codes, .gains
        loss = (net.train()(pixels) - wanted).square().mean()   # grey levels 0..255, both float32 (N, C, h, w)
        loss.backward()
        model = net.eval().written()                            # canonical QDQ, of which every byte is net.eval()'s

    Rounding passes gradients, so do saturated codes towards their range; where the network's own activations cut, none
    pass. In training mode sums beyond 2**24 may be off by a little; in evaluation mode everything is exact.

    Args:
        model: canonical QDQ.
        learn: makes what learns the codes of each convolution's weights; the nearest int8 codes, straight through, by
            default.
    """

    def __init__(self, model: onnx.ModelProto, learn: Learn = LatentCodes) -> None:
        super().__init__()
        self._model = model
        self._program = parse(model)
        self._last_use = last_use(self._program.steps)
        view = GraphView(model)
        self._convolutions = {
            step.accumulator: TrainedConvolution(site, learn(site))
            for step in self._program.steps
            if isinstance(step, ConvStep)
            for site in (_site(view, step),)
        }
        self.convolutions = nn.ModuleList(self._convolutions.values())

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the pixels that the network makes, 0..255 as float32 (N, C, h * scale, w * scale), of pixels 0..255
        (N, C, h, w).
        """
        values: Values = {}
        for index, step in enumerate(self._program.steps):
            values[step.out.tensor] = pixels if isinstance(step, InputStep) else self._run(step, values)
            for name in self._last_use.get(index, ()):
                if name != self._program.result.tensor:
                    values.pop(name, None)
        result = self._program.result
        return values[result.tensor] + float(result.quantization.zero_point)

    @torch.no_grad()
    def rest_at_means(self, pixels: Tensor) -> None:
        """Count the biases from what convolutions read on the mean of ``pixels``, see `TrainedConvolution.rest_at`."""
        means: dict[str, Tensor] = {}
        hooks = [
            layer.register_forward_pre_hook(
                lambda _, given, name=name: means.update({name: given[0].double().mean((0, 2, 3))})
            )
            for name, layer in self._convolutions.items()
        ]
        self(pixels)
        for hook in hooks:
            hook.remove()
        for name, layer in self._convolutions.items():
            layer.rest_at(means[name])

    def constants(self) -> dict[str, Constants]:
        """Return what each convolution has become, by its output."""
        return {name: convolution.constants() for name, convolution in self._convolutions.items()}

    def written(self) -> onnx.ModelProto:
        """Return the model with what its convolutions have become."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        view = GraphView(self._model)
        stored: dict[str, Array] = {}
        for name, found in self.constants().items():
            values = (found.weight, found.scale, found.bias, found.bias_scale)
            stored.update(zip(_names(view, name), values, strict=True))
        for initializer in model.graph.initializer:
            if initializer.name in stored:
                value = stored[initializer.name].reshape(tuple(initializer.dims))
                initializer.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), initializer.name))
        return model

    def _run(self, step: Any, values: Values) -> Tensor:
        if isinstance(step, ConvStep):
            return self._convolution(step, values)
        function = _STEPS.get(type(step))
        return _by_reference(step, values) if function is None else function(step, values)

    def _convolution(self, step: ConvStep, values: Values) -> Tensor:
        out = step.out.quantization
        real: Tensor = self._convolutions[step.accumulator](values[step.source.tensor])
        if step.before is not None:
            real = _activate(real, step.before, out)
        if step.residual is not None:
            real = real + _scaled(step.residual, values, out)
        return _finish(real, step.after, out)


def _site(view: GraphView, step: ConvStep) -> Site:
    weight, scale = _names(view, step.accumulator)[:2]
    return Site(
        weight.removesuffix(STORED),
        step.accumulator,
        step.convolution,
        view.constants[scale].astype(np.float32).reshape(-1),
        step.source.quantization,
        step.out.quantization,
    )


def _names(view: GraphView, output: str) -> tuple[str, str, str, str]:
    """Return the names of a convolution's codes of weights, their scales, codes of biases and scales of sums."""
    node = view.producers[output]
    weight, bias = (view.producers[name] for name in node.input[1:3])
    return weight.input[0], weight.input[1], bias.input[0], bias.input[1]


def _scaled(codes: Codes, values: Values, out: Quantization) -> Tensor:
    return values[codes.tensor] * float(multiplier(codes.quantization.scale, 1.0, out.scale))


def _activate(real: Tensor, activation: Activation, out: Quantization) -> Tensor:
    if activation.slopes is not None:
        return torch.where(real < 0, real * torch.from_numpy(activation.slopes).reshape(-1, 1, 1), real)
    with np.errstate(over="ignore"):
        ends = [float(np.float32(np.float64(end) / out.scale)) for end in (activation.low, activation.high)]
    return clamped(real, *ends)


def _finish(real: Tensor, after: Activation | None, out: Quantization) -> Tensor:
    if after is not None and after.slopes is not None:
        real = _activate(real, after, out)
    return rounded(_bounded(real, after, out))


def _bounded(real: Tensor, after: Activation | None, out: Quantization) -> Tensor:
    low, high = (float(end) for end in final_bounds(after, out))
    if after is not None:
        own = (low if after.low > -np.inf else -torch.inf, high if after.high < np.inf else torch.inf)
        real = clamped(real, *own)
    return saturated(real, low, high)


def _sum(step: SumStep, values: Values) -> Tensor:
    out = step.out.quantization
    return _finish(reduce(torch.add, [_scaled(term, values, out) for term in step.terms]), step.after, out)


def _concat(step: ConcatStep, values: Values) -> Tensor:
    out = step.out.quantization
    parts = [
        values[part.tensor] if part.quantization == out else _finish(_scaled(part, values, out), None, out)
        for part in step.parts
    ]
    return torch.cat(parts, 1)


def _select(step: SelectStep, values: Values) -> Tensor:
    return values[step.source.tensor][:, list(step.channels)]


def _window(step: WindowStep, values: Values) -> Tensor:
    given, window = values[step.source.tensor], step.window
    top, left, bottom, right = (max(-pad, 0) for pad in window.pads)
    kept = given[:, :, top : given.shape[2] - bottom, left : given.shape[3] - right]
    top, left, bottom, right = (max(pad, 0) for pad in window.pads)
    mode = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}[window.mode]
    fill = float(step.fill - step.source.quantization.zero_point) if mode == "constant" else None
    return functional.pad(kept, (left, right, top, bottom), mode, fill)


def _shuffle(step: ShuffleStep, values: Values) -> Tensor:
    given = values[step.source.tensor]
    count, channels, height, width = given.shape
    block, depth = step.block, channels // step.block**2
    if step.mode == "DCR":
        split = given.reshape(count, block, block, depth, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        split = given.reshape(count, depth, block, block, height, width).permute(0, 1, 4, 2, 5, 3)
    return split.reshape(count, depth, height * block, width * block)


def _squares(step: SpaceToDepthStep, values: Values) -> Tensor:
    given = values[step.source.tensor]
    count, channels, height, width = given.shape
    size = step.size
    split = given.reshape(count, channels, height // size, size, width // size, size).permute(0, 3, 5, 1, 2, 4)
    return split.reshape(count, channels * size * size, height // size, width // size)


def _table(step: TableStep, values: Values) -> Tensor:
    zero = step.source.quantization.zero_point
    table = torch.from_numpy(step.table.astype(np.float32)) - step.out.quantization.zero_point
    return looked_up(values[step.source.tensor] + float(zero), table)


def _by_reference(step: Any, values: Values) -> Tensor:
    """Run a step by the reference, picture by picture, with the gradient of an estimate where there is one."""
    out = step.out.quantization
    arrays = {
        codes.tensor: (values[codes.tensor].detach().numpy() + codes.quantization.zero_point).astype(
            codes.quantization.dtype
        )
        for codes in step.reads
    }
    count = max(len(array) for array in arrays.values())
    none = np.zeros((0, 0, 0), np.uint8)
    codes = [run_step(step, {name: array[i] for name, array in arrays.items()}, none) for i in range(count)]
    exact = torch.from_numpy(np.stack(codes).astype(np.float32)) - out.zero_point
    found = estimate(step, lambda read: values[read.tensor], (exact.shape[2], exact.shape[3]))
    if found is None or found.shape != exact.shape:
        return exact
    return replaced(_bounded(found, getattr(step, "after", None), out), exact)


_STEPS: Mapping[type, Callable[[Any, Values], Tensor]] = {
    SumStep: _sum,
    ConcatStep: _concat,
    SelectStep: _select,
    WindowStep: _window,
    ShuffleStep: _shuffle,
    SpaceToDepthStep: _squares,
    TableStep: _table,
}
