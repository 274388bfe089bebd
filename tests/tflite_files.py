"""Small TensorFlow Lite files, made with the builders of the package that knows the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
import pytest

tflite = pytest.importorskip("tflite")

TYPES = {
    np.dtype(np.float32): 0,
    np.dtype(np.float16): 1,
    np.dtype(np.int32): 2,
    np.dtype(np.uint8): 3,
    np.dtype(np.int64): 4,
    np.dtype(np.int16): 7,
    np.dtype(np.int8): 9,
}
SAME, VALID = 0, 1
RELU, RELU6 = 1, 3


class File:
    """Collects tensors and operators; ``save`` gives the bytes of a file."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)
        self.buffers: list[bytes] = [b""]
        self.tensors: list[dict[str, Any]] = []
        self.operators: list[tuple[str, Sequence[int], Sequence[int], str, Mapping[str, Any]]] = []

    def tensor(
        self,
        shape: Sequence[int],
        dtype: Any = np.float32,
        *,
        scale: Any = None,
        zero: Any = 0,
        axis: int = 0,
        data: Any = None,
        signature: Sequence[int] | None = None,
        name: str = "",
    ) -> int:
        buffer = 0
        if data is not None:
            self.buffers.append(np.ascontiguousarray(data, dtype).tobytes())
            buffer = len(self.buffers) - 1
        scales = [] if scale is None else [float(s) for s in np.atleast_1d(scale)]
        zeros = [int(z) for z in np.broadcast_to(np.atleast_1d(zero), len(scales))] if scales else []
        self.tensors.append(
            {
                "shape": list(shape),
                "type": TYPES[np.dtype(dtype)],
                "buffer": buffer,
                "scales": scales,
                "zeros": zeros,
                "axis": axis,
                "signature": signature,
                "name": name or f"t{len(self.tensors)}",
            }
        )
        return len(self.tensors) - 1

    def constant(self, data: Any, dtype: Any = np.float32, **settings: Any) -> int:
        data = np.asarray(data, dtype)
        return self.tensor(data.shape, dtype, data=data, **settings)

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int] | int, table: str = "", **options: Any
    ) -> None:
        self.operators.append((kind, inputs, [outputs] if isinstance(outputs, int) else outputs, table, options))

    def save(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        b = self.builder
        buffers = []
        for data in self.buffers:
            vector = b.CreateByteVector(data) if data else None
            tflite.BufferStart(b)
            if vector is not None:
                tflite.BufferAddData(b, vector)
            buffers.append(tflite.BufferEnd(b))
        tensors = [self._tensor(given) for given in self.tensors]
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [self._code(kind) for kind in kinds]
        operators = [self._operator(kinds.index(kind), *rest) for kind, *rest in self.operators]
        ends = [self._ints(inputs), self._ints(outputs)]
        listed = [self._list(items) for items in (tensors, operators)]
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, listed[0])
        tflite.SubGraphAddOperators(b, listed[1])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        graph = tflite.SubGraphEnd(b)
        parts = [self._list(items) for items in (codes, [graph], buffers)]
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, parts[0])
        tflite.ModelAddSubgraphs(b, parts[1])
        tflite.ModelAddBuffers(b, parts[2])
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    def _ints(self, values: Sequence[int]) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, np.int32)))

    def _list(self, items: Sequence[int]) -> int:
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return int(self.builder.EndVector())

    def _tensor(self, given: Mapping[str, Any]) -> int:
        b = self.builder
        name, shape = b.CreateString(given["name"]), self._ints(given["shape"])
        signature = self._ints(given["signature"]) if given["signature"] else None
        scales = None
        if given["scales"]:
            numbers = b.CreateNumpyVector(np.asarray(given["scales"], np.float32))
            zeros = b.CreateNumpyVector(np.asarray(given["zeros"], np.int64))
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, numbers)
            tflite.QuantizationParametersAddZeroPoint(b, zeros)
            tflite.QuantizationParametersAddQuantizedDimension(b, given["axis"])
            scales = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddName(b, name)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, given["type"])
        tflite.TensorAddBuffer(b, given["buffer"])
        if signature is not None:
            tflite.TensorAddShapeSignature(b, signature)
        if scales is not None:
            tflite.TensorAddQuantization(b, scales)
        return int(tflite.TensorEnd(b))

    def _code(self, kind: str) -> int:
        number = getattr(tflite.BuiltinOperator, kind)
        tflite.OperatorCodeStart(self.builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self.builder, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(self.builder, number)
        tflite.OperatorCodeAddVersion(self.builder, 1)
        return int(tflite.OperatorCodeEnd(self.builder))

    def _operator(
        self, code: int, inputs: Sequence[int], outputs: Sequence[int], table: str, options: Mapping[str, Any]
    ) -> int:
        b = self.builder
        settings = None
        if table:
            getattr(tflite, f"{table}Start")(b)
            for name, value in options.items():
                getattr(tflite, f"{table}Add{name}")(b, value)
            settings = getattr(tflite, f"{table}End")(b)
        ends = [self._ints(inputs), self._ints(outputs)]
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, ends[0])
        tflite.OperatorAddOutputs(b, ends[1])
        if settings is not None:
            tflite.OperatorAddBuiltinOptions(b, settings)
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, table))
        return int(tflite.OperatorEnd(b))


def conv(file: File, inputs: Sequence[int], output: int, *, padding: int = SAME, act: int = 0, **options: Any) -> None:
    settings = {"Padding": padding, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    settings |= {"FusedActivationFunction": act, **options}
    file.operator("CONV_2D", inputs, output, "Conv2DOptions", **settings)


def enlarger(height: int = 20, width: int = 24) -> tuple[bytes, dict[str, np.ndarray]]:
    """A float network, x2: two convolutions, the pixels themselves added, a pixel shuffle and a clip to 0..1."""
    rng = np.random.default_rng(3)
    weights = {
        "w1": rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
        "b1": rng.normal(0, 0.05, 8).astype(np.float32),
        "w2": rng.normal(0, 0.05, (12, 3, 3, 8)).astype(np.float32),
        "b2": rng.normal(0, 0.01, 12).astype(np.float32),
    }
    f = File()
    x = f.tensor((1, height, width, 3), name="picture")
    w1, b1, w2, b2 = (f.constant(value) for value in weights.values())
    a, c = (f.tensor((1, height, width, count)) for count in (8, 12))
    conv(f, [x, w1, b1], a, act=RELU)
    conv(f, [a, w2, b2], c)
    four, s = f.tensor((1, height, width, 12)), f.tensor((1, height, width, 12))
    f.operator("CONCATENATION", [x] * 4, four, "ConcatenationOptions", Axis=3)
    f.operator("ADD", [c, four], s, "AddOptions")
    d, low, out = (f.tensor((1, 2 * height, 2 * width, 3)) for _ in range(3))
    f.operator("DEPTH_TO_SPACE", [s], d, "DepthToSpaceOptions", BlockSize=2)
    f.operator("MINIMUM", [d, f.constant(1.0)], low)
    f.operator("RELU", [low], out)
    return f.save([x], [out]), weights


def integer_enlarger(
    height: int = 20, width: int = 24, *, dtype: Any = np.uint8, pixel: float = 0.97, end: float = 1.0
) -> bytes:
    """Integers inside, x2, as the mobile challenges have them: int8, scales a channel, MINIMUM and RELU at the end.

    ``pixel``: what the file takes a step of the input for, ``end``: of the output; ``dtype``: of the ends.
    """
    rng = np.random.default_rng(5)
    f = File()
    shift = 128 if np.dtype(dtype) == np.int8 else 0
    codes = np.dtype(dtype).kind in "iu"
    x = f.tensor((1, height, width, 3), dtype, scale=pixel if codes else None, zero=-shift, name="picture")

    def inner(channels: int, scale: float, zero: int, size: int = 1) -> int:
        return f.tensor((1, height * size, width * size, channels), np.int8, scale=scale, zero=zero)

    def weight(shape: Sequence[int], source: float, spread: float) -> tuple[int, int]:
        real = rng.normal(0, spread, shape)
        scale = np.abs(real).max(axis=(1, 2, 3)) / 127
        codes = np.rint(real / scale[:, None, None, None])
        bias = rng.integers(-300, 300, shape[0])
        w = f.constant(codes, np.int8, scale=scale, zero=0, axis=0)
        return w, f.constant(bias, np.int32, scale=scale * source, zero=0)

    q = inner(3, pixel, -128)
    f.operator("QUANTIZE", [x], q)
    a, c, p, s = inner(8, 0.8, -128), inner(12, 0.5, -3), inner(12, pixel, -128), inner(12, 1.05, -116)
    conv(f, [q, *weight((8, 3, 3, 3), pixel, 0.15)], a, act=RELU)
    conv(f, [a, *weight((12, 3, 3, 8), 0.8, 0.03)], c)
    f.operator("CONCATENATION", [q] * 4, p, "ConcatenationOptions", Axis=3)
    f.operator("ADD", [p, c], s, "AddOptions")
    d, low, last = inner(3, 1.05, -116, 2), inner(3, 1.05, -116, 2), inner(3, end, -128, 2)
    f.operator("DEPTH_TO_SPACE", [s], d, "DepthToSpaceOptions", BlockSize=2)
    f.operator("MINIMUM", [d, f.constant(127, np.int8, scale=1.05, zero=-116)], low)
    f.operator("RELU", [low], last)
    out = f.tensor((1, 2 * height, 2 * width, 3), dtype, scale=end if codes else None, zero=-shift)
    f.operator("QUANTIZE" if codes else "DEQUANTIZE", [last], out)
    return f.save([x], [out])
