"""From a TensorFlow Lite file to an ONNX model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from toolchain.frontend.tflite import activations, convolutions, elementwise, places, sizes
from toolchain.frontend.tflite.contents import Contents, Operator, read_contents
from toolchain.frontend.tflite.dilated import as_dilated
from toolchain.frontend.tflite.emitter import TO_FIRST, Emitter
from toolchain.support.errors import ModelError

_OPERATORS: Final[Mapping[str, Callable[[Emitter, Operator], None]]] = {
    **activations.OPERATORS,
    **convolutions.OPERATORS,
    **elementwise.OPERATORS,
    **places.OPERATORS,
    **sizes.OPERATORS,
}
_OPSET, _IR = 17, 8
_FREE = ("height", "width")


def to_onnx(path: Path, data: bytes) -> onnx.ModelProto:
    """Return the network in the file at ``path``, whose bytes are ``data``, as an ONNX model.

    Pictures lie channels-first, and have any size unless one is written into an operator; their codes at the ends have
    no sign, as pixels have none.

    Raises:
        ModelError: the package that knows the format is missing; the file is damaged; or it holds what is not known
            here, which is named.
    """
    contents = as_dilated(read_contents(path, data))
    emitter = Emitter(contents)
    _check_ends(path, contents)
    emitter.give(contents.inputs[0], "input")
    for operator in contents.operators:
        convert = _OPERATORS.get(operator.kind)
        if convert is None:
            raise ModelError(
                f"{path} computes with {operator}, which is not known here",
                hint="put its task into other operators, or export the network to ONNX",
            )
        convert(emitter, operator)
    result = emitter.result(contents.outputs[0])
    emitter.nodes.append(helper.make_node("Identity", [result], ["output"], name="output"))
    ends = [
        _end(emitter, place, name) for place, name in ((contents.inputs[0], "input"), (contents.outputs[0], "output"))
    ]
    graph = helper.make_graph(emitter.nodes, path.stem, ends[:1], ends[1:], emitter.initializers)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    used = {node.domain for node in emitter.nodes}
    return helper.make_model(
        graph,
        opset_imports=[entry for entry in opsets if entry.domain in used],
        ir_version=_IR,
        producer_name="clipfree",
    )


def _check_ends(path: Path, contents: Contents) -> None:
    if len(contents.inputs) != 1 or len(contents.outputs) != 1:
        raise ModelError(
            f"{path} has {len(contents.inputs)} inputs and {len(contents.outputs)} outputs",
            hint="networks from one picture to one picture can be deployed",
        )
    for place, end in ((contents.inputs[0], "input"), (contents.outputs[0], "output")):
        if place < 0 or contents.tensors[place].rank != 4:
            rank = contents.tensors[place].rank if place >= 0 else 0
            raise ModelError(f"{path} has an {end} of rank {rank}, not 4", hint="is it a super-resolution network?")


def _end(emitter: Emitter, place: int, name: str) -> onnx.ValueInfoProto:
    tensor = emitter.tensor(place)
    sizes_first = [tensor.shape[axis] for axis in TO_FIRST]
    free = [f"{name}_{word}" for word in _FREE]
    dims: list[int | str] = [1, sizes_first[1]]
    dims += [word if size < 0 or not emitter.baked else size for size, word in zip(sizes_first[2:], free, strict=True)]
    if tensor.dtype in (np.dtype(np.int8), np.dtype(np.uint8)):
        kind = TensorProto.UINT8
    elif tensor.dtype == np.int16:
        kind = TensorProto.INT16
    else:
        kind = TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, dims)
