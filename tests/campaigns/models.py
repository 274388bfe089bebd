"""Damaged ONNX models: spoilt bytes, and graphs edited to say what no exporter would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests import sr_models
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import spoil
from tests.campaigns.random_graph import random_graph
from tests.conftest import photograph
from tests.standin import standing_in

T = TypeVar("T")

_BASES: tuple[Callable[[int], onnx.ModelProto], ...] = (
    lambda seed: sr_models.xlsr(2, width=2, blocks=1, seed=seed),
    lambda seed: sr_models.abpn(2, features=6, blocks=1, seed=seed),
    lambda seed: sr_models.espcn(2, width=4, seed=seed),
    lambda seed: sr_models.fsrcnn(2, features=4, shrunk=2, maps=1, kernel=5, seed=seed),
    lambda seed: sr_models.sesr(2, 3, features=4, blocks=1, prelu=True, seed=seed),
    lambda seed: random_graph(seed).model,
)
_INTEGERS = (-(2**63), -(2**31), -1, 0, 1, 2, 3, 7, 99, 2**31 - 1, 2**40, 2**63 - 1)
_FLOATS = (float("nan"), float("inf"), -1.0, 0.0, 1e-45, 1e38, -0.0)
_OPERATORS = (
    "Conv",
    "Relu",
    "PRelu",
    "Clip",
    "Add",
    "Mul",
    "Div",
    "Concat",
    "DepthToSpace",
    "Reshape",
    "Transpose",
    "Resize",
    "Pad",
    "Slice",
    "Gather",
    "ConvTranspose",
    "Sigmoid",
    "Softmax",
    "MatMul",
    "Gemm",
    "Identity",
    "Cast",
    "Shape",
    "Split",
    "Squeeze",
    "Loop",
    "If",
    "Scan",
    "QuantizeLinear",
    "NoSuchOperator",
    "",
)


def trial(seed: int, folder: Path) -> Outcome:
    """Inspect what damage of ``seed`` made of a sound model; what `inspect` takes is deployed."""
    rng = np.random.default_rng([seed, 2])
    model = _BASES[rng.integers(len(_BASES))](seed)
    if rng.random() < 0.3:
        data, said = spoil(model.SerializeToString(), rng), "bytes"
    else:
        said = _edit(model, rng)
        data = model.SerializeToString()
    path = folder / "damaged.onnx"
    path.write_bytes(data)
    outcome = judge(clipfree("inspect", path))
    if outcome.verdict == "passed":
        Image.fromarray(photograph(56, 64, 0)).save(folder / "photo.png")
        words = ["deploy", path, "--calib", folder / "photo.png", "-o", folder / "out"]
        if rng.random() < 0.1:
            outcome = judge(clipfree(*words))
        else:
            with standing_in():
                outcome = judge(clipfree(*words))
    left = sorted(entry.name for entry in (folder / "out").glob(".*"))
    if left:
        raise Fault(f"left behind: {left[0]}")
    return Outcome(outcome.verdict, f"{said}: {outcome.note}", outcome.details)


def _edit(model: onnx.ModelProto, rng: np.random.Generator) -> str:
    """Change one to three things; returns which."""
    edits = [_EDITS[int(rng.integers(len(_EDITS)))] for _ in range(int(rng.choice([1, 1, 2, 3])))]
    for edit in edits:
        edit(model, rng)
    return ", ".join(edit.__name__.strip("_") for edit in edits)


def _one(items: Iterable[T], rng: np.random.Generator) -> T:
    found = list(items)
    return found[int(rng.integers(len(found)))]


def _node(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.NodeProto:
    return _one(model.graph.node, rng)


def _number(rng: np.random.Generator) -> int:
    return int(_INTEGERS[rng.integers(len(_INTEGERS))])


def _attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """An attribute has another value, another type, or goes."""
    holders = [node for node in model.graph.node if node.attribute]
    if not holders:
        return
    node = holders[rng.integers(len(holders))]
    attribute = _one(node.attribute, rng)
    name, way = attribute.name, rng.integers(6)
    if way == 0:
        node.attribute.remove(attribute)
        return
    if way == 1 and attribute.ints:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = _number(rng)
        return
    if way == 2 and attribute.ints:
        del attribute.ints[-1]
        return
    if attribute.type == onnx.AttributeProto.INT and rng.random() < 0.8:
        attribute.i = _number(rng)
        return
    if attribute.type == onnx.AttributeProto.FLOAT and rng.random() < 0.8:
        attribute.f = float(_FLOATS[rng.integers(len(_FLOATS))])
        return
    values = (
        _number(rng),
        float(_FLOATS[rng.integers(len(_FLOATS))]),
        "x",
        [_number(rng)] * int(rng.integers(0, 5)),
        b"\xff\xfe",
        np.zeros(2, np.float32),
    )
    value = values[int(rng.integers(len(values)))]
    if isinstance(value, np.ndarray):
        value = numpy_helper.from_array(value)
    kind = onnx.AttributeProto.INTS if value == [] else None
    attribute.CopyFrom(helper.make_attribute(name, value, attr_type=kind))


def _new_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    names = (
        "axis",
        "group",
        "pads",
        "strides",
        "dilations",
        "kernel_shape",
        "auto_pad",
        "mode",
        "blocksize",
        "alpha",
        "to",
        "perm",
        "domain",
        "unheard of",
    )
    name, node = str(names[rng.integers(len(names))]), _node(model, rng)
    if name not in [attribute.name for attribute in node.attribute]:
        values = (_number(rng), [_number(rng)] * 4, "VALID", 0.5)
        node.attribute.append(helper.make_attribute(name, values[int(rng.integers(4))]))


def _operator(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    _node(model, rng).op_type = str(_OPERATORS[rng.integers(len(_OPERATORS))])


def _wire(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A node reads something else: another tensor, its own output, nothing, what nobody makes."""
    node = _node(model, rng)
    names = [
        *(name for other in model.graph.node for name in other.output),
        "input",
        "output",
        "",
        "nobody",
        *(tensor.name for tensor in model.graph.initializer),
    ]
    name = str(names[rng.integers(len(names))])
    if node.input and rng.random() < 0.7:
        node.input[int(rng.integers(len(node.input)))] = name
    elif node.input and rng.random() < 0.5:
        del node.input[-1]
    else:
        node.input.append(name)


def _nodes(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A node goes, comes twice, or stands elsewhere."""
    index, way = int(rng.integers(len(model.graph.node))), rng.integers(3)
    node = onnx.NodeProto()
    node.CopyFrom(model.graph.node[index])
    if way != 1 and len(model.graph.node) > 1:
        del model.graph.node[index]
    if way != 0:
        model.graph.node.insert(int(rng.integers(len(model.graph.node) + 1)), node)


def _shape(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A tensor claims another shape, with its bytes as they are."""
    tensor = _one(model.graph.initializer, rng)
    dims = list(tensor.dims)
    way = rng.integers(4)
    if way == 0:
        dims = dims[::-1]
    elif way == 1 and dims:
        dims[int(rng.integers(len(dims)))] = _number(rng)
    elif way == 2:
        dims = [*dims, 1]
    else:
        dims = dims[1:]
    del tensor.dims[:]
    tensor.dims.extend(dims)


def _weights(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A tensor of other values, another type, or another shape with bytes to match."""
    tensor = _one(model.graph.initializer, rng)
    values = numpy_helper.to_array(tensor).copy()
    way = rng.integers(6)
    if way == 0 and values.size and values.dtype.kind == "f":
        values.reshape(-1)[rng.integers(values.size)] = _FLOATS[rng.integers(len(_FLOATS))]
    elif way == 1:
        kinds = (np.float16, np.float64, np.int64, np.int32, np.uint8, np.int8, np.bool_, np.complex64)
        with np.errstate(all="ignore"):
            values = values.astype(kinds[rng.integers(len(kinds))])
    elif way == 2:
        values = values[:0] if values.ndim else np.zeros(0, values.dtype)
    elif way == 3 and values.ndim:
        values = np.repeat(values, 2, axis=int(rng.integers(values.ndim)))
    elif way == 4:
        values = (values * values.dtype.type(_number(rng) % 1000)).astype(values.dtype)
    else:
        values = values.reshape(-1)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _ends(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """An input or output of another type or shape, none, or one more."""
    graph = model.graph
    ends = graph.input if rng.random() < 0.5 else graph.output
    way = rng.integers(5)
    kinds = (
        TensorProto.FLOAT16,
        TensorProto.DOUBLE,
        TensorProto.UINT8,
        TensorProto.INT64,
        TensorProto.STRING,
        TensorProto.BOOL,
        0,
        99,
    )
    shapes = (
        [1, 3],
        [1, 3, -1, -1],
        [0, 3, "h", "w"],
        [1, 2, "h", "w"],
        [1, 3, 10**9, 10**9],
        ["n", "c", "h", "w"],
        [],
        [1, "h", "w", 3],
        [4, 1, 8, 8],
        ["h", "h", "h", "h"],
        None,
    )
    if way == 0 and ends:
        del ends[0]
    elif way == 1:
        ends.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    elif way == 2 and ends:
        ends[0].type.tensor_type.elem_type = int(kinds[rng.integers(len(kinds))])
    elif way == 3 and ends:
        shape = shapes[int(rng.integers(len(shapes)))]
        ends[0].CopyFrom(helper.make_tensor_value_info(ends[0].name, TensorProto.FLOAT, shape))
    elif ends:
        ends[0].name = str(["", "nobody", graph.node[0].output[0], "a" * 10_000, "\0"][rng.integers(5)])


def _header(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Versions, domains, functions."""
    way = rng.integers(4)
    if way == 0:
        model.ir_version = _number(rng)
    elif way == 1:
        model.opset_import[0].version = int(rng.choice([0, 1, 6, 7, 9, 11, 13, 18, 21, 23, 26, 99, -1]))
    elif way == 2:
        model.opset_import[0].domain = "elsewhere"
    else:
        model.opset_import.append(
            helper.make_opsetid(str(rng.choice(["", "ai.onnx.ml", "com.microsoft", "x"])), int(rng.integers(1, 30)))
        )


def _names(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Names that are long, odd, or those of others."""
    names = ("", "input", "output", "a" * 100_000, "../../x", "\0", "\n", "é\u202e", "%s%n{}")
    name, node = str(names[rng.integers(len(names))]), _node(model, rng)
    way = rng.integers(3)
    if way == 0:
        node.name = name
    elif way == 1 and node.output:
        old, node.output[0] = node.output[0], name
        for other in model.graph.node:
            other.input[:] = [name if given == old else given for given in other.input]
    else:
        model.graph.name = name


_EDITS = (
    _attribute,
    _attribute,
    _attribute,
    _new_attribute,
    _operator,
    _wire,
    _wire,
    _nodes,
    _shape,
    _weights,
    _weights,
    _ends,
    _header,
    _names,
)

CAMPAIGN = Campaign("models", "damaged models: a bundle or a sentence", trial, limit=120, share=5, sample=range(3, 10))
