"""Conversion to opset 17, up or down.

After: opset 17, valid. Going down, an operator that only learnt more types since 17 keeps its meaning; one that changed
is refused by the checker. That values stay the same is tested at the end of normalization in any case.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import checker, inliner, numpy_helper, version_converter

from toolchain.frontend.explain import refusal
from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import IR_VERSION, OPSET, Array, attributes, known_constants, set_attribute
from toolchain.frontend.newer_resize import lower_resizes
from toolchain.frontend.passes.base import model_pass
from toolchain.frontend.properties import NO_FUNCTIONS, OPSET_17
from toolchain.support.errors import ModelError

_DEFAULTS = {
    ("Reshape", "allowzero"): 0,
    ("Resize", "antialias"): 0,
    ("Resize", "keep_aspect_ratio_policy"): b"stretch",
    ("Cast", "saturate"): 1,
    ("Cast", "round_mode"): b"up",
    ("DequantizeLinear", "block_size"): 0,
    ("QuantizeLinear", "block_size"): 0,
    ("QuantizeLinear", "saturate"): 1,
    ("QuantizeLinear", "output_dtype"): 0,
    ("QuantizeLinear", "precision"): 0,
    ("DequantizeLinear", "output_dtype"): 0,
}
"""Attributes newer than opset 17, and the value with which they change nothing."""

_REDUCING = {f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")}
"""Operators whose axes became an input in opset 18."""

_RESIZE_TOLD = 11
"""The first opset in which Resize says how it samples."""


@model_pass(requires=(NO_FUNCTIONS,), ensures=(OPSET_17,))
def apply(model: onnx.ModelProto, facts: Facts) -> Facts:
    """Convert in place; says what was done.

    Raises:
        ModelError: the model cannot be expressed in opset 17.
    """
    version = model.opset_import[0].version
    if version == OPSET:
        return facts
    model.ir_version = max(model.ir_version, 4)
    lowered = _lowered(model, facts.interface.shape) if version > OPSET else model
    converted = _restamped(lowered) if version > OPSET else None
    if converted is None:
        try:
            converted = version_converter.convert_version(lowered, OPSET)
            checker.check_model(converted, full_check=True)
        except Exception as error:  # the converter throws RuntimeError, but also what pybind makes of C++ exceptions
            newer = next((node for node in lowered.graph.node if not _is_old(node)), None)
            if newer is not None:
                raise ModelError(
                    f"operator {newer.op_type} '{newer.name}' came after opset {OPSET} and cannot be deployed",
                    hint="replace it by older operators, or export another way",
                ) from error
            raise refusal(
                f"the model cannot be converted from opset {version} to {OPSET}",
                error,
                hint=f"export it with opset {OPSET}",
            ) from error
        if version < _RESIZE_TOLD:
            _as_before(converted)
    model.CopyFrom(converted)
    return facts.said(f"converted from opset {version} to {OPSET}")


def _as_before(model: onnx.ModelProto) -> None:
    """Resize samples as it did before opset 11; the converter leaves it the later default."""
    for node in model.graph.node:
        if node.op_type == "Resize":
            set_attribute(node, "coordinate_transformation_mode", "asymmetric")
            set_attribute(node, "nearest_mode", "floor")


def _lowered(model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    """Operators and arguments newer than opset 17 in older words: ``axes`` where they were, functions inlined.

    ``shape``: of a picture that the model takes.
    """
    version = model.opset_import[0].version
    new = [n for n in model.graph.node if _is_new_function(n, version)]
    if new:
        for node in new:
            _spell_out(node, version)
        kinds = [("", n.op_type) for n in new]
        model = inliner.inline_selected_functions(model, kinds, inline_schema_functions=True)
    constants = known_constants(model)
    lower_resizes(model, constants, shape)
    for node in model.graph.node:
        if node.op_type == "Split":
            set_attribute(node, "num_outputs", None)  # equal parts are the default
        elif node.op_type in _REDUCING:
            _lower_reduction(node, constants)
        elif node.op_type == "Pad" and len(node.input) == 4 and node.input[3] in constants:
            places, given = constants[node.input[3]].ravel() % 4, constants.get(node.input[1])
            if given is not None:
                full = np.zeros((2, 4), np.int64)
                full[:, places] = given.reshape(2, -1)
                del node.input[3:]
                node.input[1] = _stored(model, full.ravel(), f"{node.output[0]}_pads")
    return model


def _is_new_function(node: onnx.NodeProto, version: int) -> bool:
    """Whether ONNX defines an operator by others, and did not know it in opset 17."""
    if _is_old(node) or not onnx.defs.has(node.op_type):
        return False
    found = onnx.defs.get_schema(node.op_type, version)
    return bool(found.has_function or found.has_context_dependent_function)


def _is_old(node: onnx.NodeProto) -> bool:
    """Whether opset 17 has an operator of this name."""
    try:
        onnx.defs.get_schema(node.op_type, OPSET)
    except onnx.defs.SchemaError:
        return False
    return True


def _lower_reduction(node: onnx.NodeProto, constants: Mapping[str, Array]) -> None:
    """Let a reduction have its axes in an attribute, as before opset 18."""
    set_attribute(node, "noop_with_empty_axes", attributes(node).get("noop_with_empty_axes") or None)
    if len(node.input) < 2 or not node.input[1]:
        del node.input[1:]
    elif (axes := constants.get(node.input[1])) is not None and axes.size:
        set_attribute(node, "noop_with_empty_axes", None)
        set_attribute(node, "axes", [int(axis) for axis in axes.ravel()])
        del node.input[1:]


def _spell_out(node: onnx.NodeProto, version: int) -> None:
    """Write down the attributes that have their default value: inlining forgets them."""
    given = attributes(node)
    for name, attribute in onnx.defs.get_schema(node.op_type, version).attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)


def _stored(model: onnx.ModelProto, value: Array, name: str) -> str:
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _restamped(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return the same nodes under opset 17, if that is valid."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    copy.opset_import[0].version = OPSET
    copy.ir_version = IR_VERSION
    for node in copy.graph.node:
        kept = []
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            if _DEFAULTS.get((node.op_type, attribute.name)) != value:
                kept.append(attribute)
        del node.attribute[:]
        node.attribute.extend(kept)
    try:
        checker.check_model(copy, full_check=True)
    except Exception:  # as above; then the converter is asked
        return None
    return copy
