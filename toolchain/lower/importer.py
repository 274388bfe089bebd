"""TVM's ONNX importer, with operators of ours where its own lose what we need to know.

Borders: TVM writes padding and crops as loops over min and max of sizes; here both are ``relax.nn.pad``, of negative
widths where rows and columns are cut. Channels: choosing some is ``relax.take`` by a constant. Interpolation: TVM knows
neither all of ONNX's ways to place pixels, nor the factor of a Resize, but its size only, a product of floats. PRelu:
TVM lays a single slope along the last axis instead of the channels. Sums, means and extremes of several tensors: TVM
concatenates them first. Celu: TVM does not know it. Normalization of whole pictures: sums of float32 differ from
machine to machine by enough to round to another code, sums of float64 do not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import onnx
from tvm import relax
from tvm.ir import GenericConst
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter

from toolchain.frontend.resize import fraction, read_sampling
from toolchain.frontend.window import Mode, Window, pad_window, slice_window
from toolchain.lower.resizing import PICTURE, resize_call, sized_call, spelled

_MODES: dict[Mode, str] = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}
"""What TVM calls the modes of windows."""


ORIGINS = "origins"


class ImportRefusedError(Exception):
    """An operator cannot be imported.

    Args:
        operator: its kind and name, such as "Resize 'up'"; empty where none is at fault.
    """

    def __init__(self, operator: str) -> None:
        super().__init__(operator)
        self.operator = operator


def import_onnx(model: onnx.ModelProto) -> Any:
    """Return Relax module of an ONNX model, its weights constants of it.

    The attribute `ORIGINS` of its ``main`` says of each variable's name which operator of the model it belongs to.

    Raises:
        ImportRefusedError: an operator that cannot be imported, whatever TVM raises of it.
    """
    importer = _Importer()
    try:
        module = importer.from_onnx(spelled(model).graph, model.opset_import[0].version)
    except Exception as error:
        importer.leave()
        raise ImportRefusedError(importer.doing) from error
    return importer.named(module)


def pad_call(value: Any, window: Window) -> Any:
    """``value`` cut or continued at the borders, as a Relax expression."""
    top, left, bottom, right = window.pads
    widths = [0, 0, 0, 0, top, bottom, left, right]
    return relax.op.nn.pad(value, widths, _MODES[window.mode], float(window.value))


def window_of(call: Any) -> Window | None:
    """Return the window of a call of ``relax.nn.pad`` that `pad_call` makes."""
    attrs = call.attrs
    *others, top, bottom, left, right = (int(width) for width in attrs.pad_width)
    mode = next((ours for ours, theirs in _MODES.items() if theirs == str(attrs.pad_mode)), None)
    if any(others) or mode is None:
        return None
    return Window((top, left, bottom, right), mode, float(attrs.pad_value))


class _Importer(ONNXGraphImporter):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__({}, "float32")
        self.doing = ""
        """The operator that is being imported."""
        self._origins: dict[Any, str] = {}

    def _check_for_unsupported_ops(self, graph: onnx.GraphProto) -> None:
        others = onnx.GraphProto(node=[node for node in graph.node if node.op_type not in _OWN])
        super()._check_for_unsupported_ops(others)

    def _convert_operator(self, op_name: str, inputs: Any, attrs: dict[str, Any], opset: int) -> Any:
        name = attrs["tvm_custom"]["name"]
        self.doing = f"{op_name} '{name}'" if name else op_name
        convert = _OWN.get(op_name)
        made = convert(self.bb, inputs, attrs) if convert else None
        made = super()._convert_operator(op_name, inputs, attrs, opset) if made is None else self.bb.normalize(made)
        for part in made if isinstance(made, relax.Tuple) else [made]:
            self._origins.setdefault(part, self.doing)
        return made

    def leave(self) -> None:
        """End what an exception has left open: a builder that is not at its end complains on stderr when it goes."""
        if self.doing:
            self.bb._end_block()

    def named(self, module: Any) -> Any:
        """Give ``module`` its `ORIGINS`; an operator may have become several calls, of which it returned the last."""
        main = module["main"]
        found: dict[Any, str] = {}
        for block in reversed(main.body.blocks):
            for binding in reversed(block.bindings):
                origin = self._origins.get(binding.var) or self._origins.get(binding.value) or found.get(binding.var)
                if origin is None:
                    continue
                found[binding.var] = origin
                for var in relax.analysis.free_vars(binding.value):
                    found.setdefault(var, origin)
        bound = [binding.var for block in main.body.blocks for binding in block.bindings]
        module["main"] = main.with_attr(ORIGINS, {var.name: found[var] for var in bound if var in found})
        return module


def _array(value: Any) -> np.ndarray | None:
    return value.value.numpy() if isinstance(value, GenericConst) else None


def _operands(inputs: Any) -> list[np.ndarray | None] | None:
    """Return what stands behind the tensor; None if any of it is computed."""
    given = [inputs[index] for index in range(1, len(inputs))]
    arrays = [_array(value) for value in given]
    computed = any(value is not None and array is None for value, array in zip(given, arrays, strict=True))
    return None if computed or not isinstance(inputs[0], relax.Expr) or inputs[0].ty.ndim != 4 else arrays


def _pad(_builder: Any, inputs: Any, attrs: dict[str, Any]) -> Any:
    operands = _operands(inputs)
    window = pad_window(operands, attrs.get("mode", b"constant").decode()) if operands else None
    return None if window is None else pad_call(inputs[0], window)


def _slice(_builder: Any, inputs: Any, _attrs: dict[str, Any]) -> Any:
    operands = _operands(inputs)
    window = slice_window(operands) if operands else None
    return None if window is None else pad_call(inputs[0], window)


def _gather(_builder: Any, inputs: Any, attrs: dict[str, Any]) -> Any:
    operands = _operands(inputs)
    indices = operands[0] if operands else None
    if indices is None or indices.ndim != 1 or attrs.get("axis", 0) != 1 or (indices < 0).any():
        return None
    return relax.op.take(inputs[0], relax.const(indices.astype(np.int64), "int64"), axis=1)


def _resize(_builder: Any, inputs: Any, attrs: dict[str, Any]) -> Any:
    value = inputs[0]
    words = {key: item.decode() if isinstance(item, bytes) else item for key, item in attrs.items()}
    if PICTURE in words and (sampling := read_sampling(words)) is not None:
        return sized_call(value, sampling, [side * words[PICTURE] for side in inputs[1].ty.shape.values[2:]])
    sampling, scales = read_sampling(words), _array(inputs[2]) if len(inputs) > 2 else None
    if sampling is None or scales is None or scales.shape != (4,) or (scales[:2] != 1).any() or len(inputs) > 3:
        raise ValueError("this Resize is not known")  # answered by a sentence, see `import_qdq`
    factors = fraction(scales[2]), fraction(scales[3])
    return value if max(factors) == min(factors) == 1 else resize_call(value, sampling, factors)


def _prelu(_builder: Any, inputs: Any, _attrs: dict[str, Any]) -> Any:
    """Import a PRelu of one slope for everything: TVM lays it along the width, which is no number where pictures may
    have any.
    """
    operands = _operands(inputs)
    slope = operands[0] if operands else None
    if slope is None or slope.size != 1:
        return None
    channels = int(inputs[0].ty.shape.values[1])
    return relax.op.nn.prelu(inputs[0], relax.const(np.full(channels, slope.item(), slope.dtype)), 1)


def _folded(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any, dict[str, Any]], Any]:
    def convert(_builder: Any, inputs: Any, _attrs: dict[str, Any]) -> Any:
        return reduce(function, [inputs[index] for index in range(len(inputs))])

    return convert


def _mean(builder: Any, inputs: Any, attrs: dict[str, Any]) -> Any:
    total = _folded(relax.op.add)(builder, inputs, attrs)
    return relax.op.divide(total, relax.const(len(inputs), "float32"))


def _celu(_builder: Any, inputs: Any, attrs: dict[str, Any]) -> Any:
    x, (alpha, one) = inputs[0], (relax.const(number, "float32") for number in (float(attrs.get("alpha", 1.0)), 1.0))
    below = alpha * relax.op.nn.relu(one - relax.op.exp(x / alpha))
    return relax.op.nn.relu(x) - below


def _instance_norm(builder: Any, inputs: Any, attrs: dict[str, Any]) -> Any:
    x = builder.emit(relax.op.astype(inputs[0], "float64"))
    axes = list(range(2, inputs[0].ty.ndim))
    centred = builder.emit(relax.op.subtract(x, relax.op.mean(x, axes, keepdims=True)))
    variance = relax.op.mean(relax.op.multiply(centred, centred), axes, keepdims=True)
    epsilon = relax.const(float(np.float32(attrs.get("epsilon", 1e-5))), "float64")
    scale, offset = (
        relax.op.astype(relax.op.reshape(value, [1, -1, *[1] * len(axes)]), "float64") for value in inputs[1:3]
    )
    made = relax.op.divide(centred, relax.op.sqrt(relax.op.add(variance, epsilon)))
    return relax.op.astype(relax.op.add(relax.op.multiply(made, scale), offset), "float32")


_OWN: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    "Pad": _pad,
    "Slice": _slice,
    "Gather": _gather,
    "Resize": _resize,
    "PRelu": _prelu,
    "Min": _folded(relax.op.minimum),
    "Max": _folded(relax.op.maximum),
    "Sum": _folded(relax.op.add),
    "Mean": _mean,
    "Celu": _celu,
    "InstanceNormalization": _instance_norm,
}
