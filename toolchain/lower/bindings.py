"""Look-ups in a Relax function: what a variable is bound to, how often it is used, which activation it ends in."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, tirx
from tvm.ir import GenericConst

from toolchain.lower.importer import ORIGINS
from toolchain.reference.convolution import Convolution
from toolchain.reference.steps import Activation
from toolchain.support.errors import ModelError


class Bindings:
    """The bindings of one Relax function.

    Args:
        function: ``main`` with one float32 NCHW parameter and a single dataflow block.
    """

    def __init__(self, function: Any) -> None:
        self.parameter = function.params[0]
        self.height, self.width, self.unit = _sizes(self.parameter)
        self.definitions: dict[Any, Any] = {}
        self.uses: dict[Any, int] = {}
        for block in function.body.blocks:
            for binding in block.bindings:
                self.definitions[binding.var] = binding.value
                for name in relax.analysis.free_vars(binding.value):
                    self.uses[name] = self.uses.get(name, 0) + 1
        self.result = function.body.body
        self._origins = dict((function.attrs or {}).get(ORIGINS, {}))

    def at(self, height: int, width: int) -> dict[Any, int]:
        """Return the values of the module's symbolic sizes for a picture of so many pixels, multiples of the unit."""
        return {self.height: height // self.unit, self.width: width // self.unit}

    def origin(self, value: Any) -> str:
        """Return the operator of the ONNX model that ``value`` belongs to, such as "Tanh 'act'"; empty where
        unknown.
        """
        return str(self._origins.get(value.name, "")) if isinstance(value, relax.Var) else ""

    def activation(self, value: Any) -> tuple[Activation | None, Any]:
        """Split ``value`` into its activation (None if it has none) and what the activation is applied to."""
        if self.is_call(value, "relax.nn.relu"):
            return Activation(low=0.0), self.definitions[value].args[0]
        if self.is_call(value, "relax.nn.leakyrelu"):
            call = self.definitions[value]
            return Activation(slopes=np.full(channels_of(value), call.attrs.alpha, np.float32)), call.args[0]
        if self.is_call(value, "relax.nn.prelu"):
            call = self.definitions[value]
            slope = call.args[1]
            if isinstance(slope, relax.Var):
                slope = self.definitions.get(slope)
            if isinstance(slope, relax.Call) and isinstance(slope.args[0], GenericConst):
                slope = slope.args[0]  # a reshape of the constant
            if isinstance(slope, GenericConst):
                slopes = slope.value.numpy().astype(np.float32).reshape(-1)
                return Activation(slopes=np.broadcast_to(slopes, (channels_of(value),))), call.args[0]
        above, inner = self._bound(value, "minimum")
        below, inner = self._bound(inner, "maximum")
        if above is None and below is None:
            return None, value
        return Activation(-np.inf if below is None else below, np.inf if above is None else above), inner

    def convolution(self, value: Any) -> tuple[Any, Any, Any] | None:
        """``value`` as a convolution with a bias: the variable of the convolution itself, what its weights and what its
        biases are bound to; None if it is none.
        """
        if not self.is_call(value, "relax.add"):
            return None
        conv, bias = self.definitions[value].args
        if not self.is_call(conv, "relax.nn.conv2d") or not self.is_call(bias, "relax.reshape"):
            return None
        call = self.definitions[conv]
        return conv, call.args[1], self.definitions[bias].args[0]

    def convolution_of(self, conv: Any, weight: np.ndarray, bias: np.ndarray) -> Convolution:
        """Return the convolution of the variable ``conv`` with these constants."""
        attrs = self.definitions[conv].attrs
        top, left, bottom, right = (int(pad) for pad in attrs.padding)
        dilations = (int(attrs.dilation[0]), int(attrs.dilation[1]))
        strides = (int(attrs.strides[0]), int(attrs.strides[1]))
        return Convolution(weight, bias, strides, (top, left, bottom, right), dilations, int(attrs.groups))

    def _bound(self, value: Any, name: str) -> tuple[float | None, Any]:
        """Half of a Clip, ``value`` = ``name``(x, constant): the constant and x; else None and ``value``.

        TVM imports Clip as calls of generated functions called maximum and minimum, whose second argument is
        ``where(isnan(constant), infinity, constant)``; behind a shuffle, the picture's sizes follow.
        """
        if not self.is_call(value, "relax.call_tir"):
            return None, value
        function, arguments = self.definitions[value].args[:2]
        if function.name_hint.rstrip("0123456789_") != name or len(arguments.fields) < 2:
            return None, value
        inner, bound, *_ = arguments.fields
        constant = self.definitions[bound].args[2] if self.is_call(bound, "relax.where") else bound
        if not isinstance(constant, GenericConst) or np.isnan(constant.value.numpy()).any():
            return None, value
        return float(constant.value.numpy().reshape(())), inner

    def is_call(self, value: Any, name: str) -> bool:
        """Return whether ``value`` is bound to a call of the Relax operator ``name``."""
        call = self.definitions.get(value) if value in self.definitions else None
        return isinstance(call, relax.Call) and getattr(call.op, "name", None) == name

    def joins_channels(self, value: Any) -> bool:
        """Return whether ``value`` is several tensors' channels side by side."""
        return self.is_call(value, "relax.concat") and int(self.definitions[value].attrs.axis) in (1, -3)


def _sizes(parameter: Any) -> tuple[Any, Any, int]:
    """Return the symbolic sizes of a parameter (1, C, height, width), of which the last two are these or equal
    multiples of them, and the multiple.
    """
    height, width = parameter.ty.shape.values[2:]
    unit = 1 if isinstance(height, tirx.Var) else int(height.b)
    return (height, width, 1) if unit == 1 else (height.a, width.a, unit)


def channels_of(var: Any) -> int:
    """Return channels of a variable (1, C, h, w).

    Raises:
        ModelError: it has other axes.
    """
    if var.ty.ndim != 4:
        raise ModelError(
            f"a tensor of {var.ty.ndim} axes is computed of the picture and used with it",
            hint="keep the four axes of what is reduced (keepdims); pixels in a row, as tokens of transformers, are "
            "taken where each is computed by itself",
        )
    return int(var.ty.shape[1])


def is_picture(var: Any) -> bool:
    """Return whether a variable is a tensor of four dimensions whose sizes are known; a shape has four of them too."""
    return isinstance(var.ty, relax.TensorType) and var.ty.ndim == 4 and var.ty.shape is not None
