"""Weights of few bits as the exported file holds them: two codes in a byte (see ``frontend.packed``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.quantize.code_set import ALL, MOST_OUTLIERS, CodeSet, places_of_largest
from toolchain.quantize.qdq import for_bits
from toolchain.quantize.recipe import Recipe, TensorRecipe
from toolchain.quantize.sites import CONVOLUTIONS
from toolchain.reference.graph import Array
from toolchain.reference.quantization import WIDE_BITS
from toolchain.support.errors import ModelError

_PACKED = 4
"""Bits of what codes of 2 to 4 bits are stored in; those of more bits remain int8."""


def pack(model: onnx.ModelProto, recipe: Recipe) -> onnx.ModelProto:
    """Return the quantized model with the weights packed that, as its recipe says, have at most 4 bits.

    Args:
        model: as it is written for other runtimes; not changed.
        recipe: of its quantization.
    """
    sets = {f"{item.name}_quantized": item for item in recipe.tensors if item.role == "weight" and item.bits <= _PACKED}
    if not sets:
        return model
    try:
        packed = onnx.ModelProto.FromString(for_bits(model, [WIDE_BITS]).SerializeToString())
    except ModelError:  # an operator has no form in the opset of 4 bits: the same codes, one a byte
        return model
    kept, added, nodes = [], [], []
    taken = {name for node in packed.graph.node for name in (*node.input, *node.output)}
    short = (name for name in map("w{}".format, count()) if name not in taken)
    for item in packed.graph.initializer:
        if item.name not in sets:
            kept.append(item)
            continue
        constants, made = _stored(item.name, numpy_helper.to_array(item), sets[item.name], short)
        added += constants
        nodes += made
    nodes += packed.graph.node
    graph = helper.make_graph(nodes, packed.graph.name, [], [], [*kept, *added])
    del packed.graph.node[:], packed.graph.initializer[:], packed.graph.value_info[:]
    packed.graph.node.extend(graph.node)
    packed.graph.initializer.extend(graph.initializer)
    return packed


def with_books(recipe: Recipe, model: onnx.ModelProto) -> Recipe:
    """Return the recipe with those codebooks that the weights of a canonical QDQ model are of, which learnt them."""
    codes = {item.name: item for item in model.graph.initializer}
    tensors = tuple(
        replace(item, codebook=tuple(np.unique(numpy_helper.to_array(codes[f"{item.name}_quantized"])).tolist()))
        if item.codebook
        else item
        for item in recipe.tensors
    )
    return replace(recipe, tensors=tensors)


def _stored(
    name: str, codes: Array, item: TensorRecipe, short: Iterator[str]
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """Return constants of 4 bits, and what makes the int8 ``codes`` called ``name`` of them; ``short``: names that
    nothing has.
    """
    book = item.codebook
    if item.outliers:
        return _scattered(name, codes, item.outliers, short)
    if not book:
        constant = numpy_helper.from_array(codes.astype(ml_dtypes.int4), f"{name}_packed")
        return [constant], [helper.make_node("Cast", [constant.name], [name], name=name, to=TensorProto.INT8)]
    entries = np.array(book, np.int8)
    places = np.searchsorted(entries, codes).astype(ml_dtypes.uint4)
    constants = [numpy_helper.from_array(places, f"{name}_packed"), numpy_helper.from_array(entries, f"{name}_book")]
    cast, gather = f"{name}_places", name
    return constants, [
        helper.make_node("Cast", [constants[0].name], [cast], name=cast, to=TensorProto.INT32),
        helper.make_node("Gather", [constants[1].name, cast], [gather], name=gather, axis=0),
    ]


def _scattered(
    name: str, codes: Array, outliers: int, short: Iterator[str]
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """Return the same for weights some of which have 8 bits: these, and their places, lie beside. What lies between has
    short names: long ones are more than the outliers themselves.
    """
    rows = codes.reshape(len(codes), -1)
    places = places_of_largest(rows.astype(np.int16), outliers)
    few, limit = rows.copy(), CodeSet(_PACKED).limit
    np.put_along_axis(few, places, np.clip(np.take_along_axis(rows, places, 1), -limit, limit), 1)
    kind = np.uint8 if rows.shape[1] <= np.iinfo(np.uint8).max + 1 else np.uint16
    constants = {
        f"{name}_packed": few.astype(ml_dtypes.int4),
        next(short): places.astype(kind),
        f"{name}_outliers": np.take_along_axis(rows, places, 1),
        next(short): np.array(codes.shape, np.int64),
    }
    few_name, places_name, outliers_name, shape = constants
    body, at, mixed = next(short), next(short), next(short)
    nodes = [
        helper.make_node("Cast", [few_name], [body], to=TensorProto.INT8),
        helper.make_node("Cast", [places_name], [at], to=TensorProto.INT32),
        helper.make_node("ScatterElements", [body, at, outliers_name], [mixed], axis=1),
        helper.make_node("Reshape", [mixed, shape], [name]),
    ]
    return [numpy_helper.from_array(value, key) for key, value in constants.items()], nodes


def stored_codes(codes: Array, stated: int | None = None) -> CodeSet:
    """Return the set of codes of 4 bits that a file's weights are among, or of as many as are ``stated`` of it; all of
    int8 where there is none.
    """
    magnitudes = np.abs(codes.astype(np.int16)).reshape(len(codes), -1)
    if stated and magnitudes.max(initial=0) <= CodeSet(stated).limit:
        return CodeSet(stated)
    large = magnitudes > CodeSet(_PACKED).limit
    if not large.any():
        return CodeSet(_PACKED)
    found = CodeSet(_PACKED, codebook=True).used(codes)
    if found.bits == _PACKED:
        return found
    outliers = int(large.sum(axis=1).max())
    return CodeSet(_PACKED, outliers=outliers) if outliers <= MOST_OUTLIERS else ALL


def weights_by_output(model: onnx.ModelProto) -> dict[str, str]:
    """Return the names that a recipe gives the weights of a canonical QDQ model's convolutions, by the names that their
    outputs have in that model.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    return {
        node.output[0]: makers[node.input[1]].input[0].removesuffix("_quantized")
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and node.input[1] in makers
    }


def bits_by_output(model: onnx.ModelProto, recipe: Recipe) -> dict[str, int]:
    """Return how many bits the weights of each convolution of a canonical QDQ model have, by its output there."""
    bits = {item.name: item.bits for item in recipe.tensors if item.role == "weight"}
    return {output: bits[name] for output, name in weights_by_output(model).items() if name in bits}


def say_bits(recipe: Recipe) -> str:
    """Return how many bits weights have, for people; empty where all have 8."""
    counts: dict[tuple[int, bool, bool], int] = {}
    for item in recipe.tensors:
        if item.role == "weight":
            kind = item.bits, bool(item.codebook), bool(item.outliers)
            counts[kind] = counts.get(kind, 0) + 1
    if recipe.nested:
        return f"nested weights: {'; '.join(map(str, recipe.nested))}"
    spared = f"; {recipe.spared}" if recipe.spared else ""
    if set(counts) <= {(ALL.bits, False, False)} and not spared:
        return ""
    return f"weights: {', '.join(_said(counts))} convolutions{spared}"


def _said(counts: dict[tuple[int, bool, bool], int]) -> Iterator[str]:
    for (bits, book, outliers), number in sorted(counts.items()):
        yield f"{bits} bits{' by codebook' * book}{' but for outliers' * outliers} in {number}"
