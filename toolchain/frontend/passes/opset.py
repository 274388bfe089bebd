"""Conversion to opset 17, up or down.

After: opset 17, valid. Going down, an operator that only learnt more types since 17 keeps its meaning; one that changed
is refused by the checker. That values stay the same is tested at the end of normalization in any case.
"""

from __future__ import annotations

import onnx
from onnx import checker, version_converter

from toolchain.errors import ModelError
from toolchain.frontend.graph import IR_VERSION, OPSET
from toolchain.frontend.probe import short

_DEFAULTS = {("Reshape", "allowzero"): 0, ("Resize", "antialias"): 0, ("Cast", "saturate"): 1,
             ("Cast", "round_mode"): b"up", ("DequantizeLinear", "block_size"): 0,
             ("QuantizeLinear", "block_size"): 0, ("QuantizeLinear", "saturate"): 1,
             ("QuantizeLinear", "output_dtype"): 0, ("QuantizeLinear", "precision"): 0,
             ("DequantizeLinear", "output_dtype"): 0}
"""Attributes newer than opset 17, and the value with which they change nothing."""


def apply(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model in opset 17, and what was done.

    Raises:
        ModelError: the model cannot be expressed in opset 17.
    """
    version = model.opset_import[0].version
    if version == OPSET:
        return model, ""
    model.ir_version = max(model.ir_version, 4)
    converted = _restamped(model) if version > OPSET else None
    if converted is None:
        try:
            converted = version_converter.convert_version(model, OPSET)
            checker.check_model(converted, full_check=True)
        except Exception as error:  # the converter throws RuntimeError, but also what pybind makes of C++ exceptions
            raise ModelError(f"the model cannot be converted from opset {version} to {OPSET}: {short(error)}",
                             hint=f"export it with opset {OPSET}") from error
    return converted, f"converted from opset {version} to {OPSET}"


def _restamped(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The same nodes under opset 17, if that is valid."""
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
