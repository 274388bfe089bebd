"""Weights of few bits as the exported file holds them: two codes in a byte (see ``frontend.packed``)."""

from __future__ import annotations

from collections.abc import Iterator

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.quantize.code_set import ALL, CodeSet
from toolchain.quantize.qdq import for_bits
from toolchain.quantize.recipe import Recipe
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
    books = {
        f"{item.name}_quantized": item.codebook
        for item in recipe.tensors
        if item.role == "weight" and item.bits <= _PACKED
    }
    if not books:
        return model
    try:
        packed = onnx.ModelProto.FromString(for_bits(model, [WIDE_BITS]).SerializeToString())
    except ModelError:  # an operator has no form in the opset of 4 bits: the same codes, one a byte
        return model
    kept, added, nodes = [], [], []
    for item in packed.graph.initializer:
        if item.name not in books:
            kept.append(item)
            continue
        constants, made = _stored(item.name, numpy_helper.to_array(item), books[item.name])
        added += constants
        nodes += made
    nodes += packed.graph.node
    graph = helper.make_graph(nodes, packed.graph.name, [], [], [*kept, *added])
    del packed.graph.node[:], packed.graph.initializer[:], packed.graph.value_info[:]
    packed.graph.node.extend(graph.node)
    packed.graph.initializer.extend(graph.initializer)
    return packed


def _stored(name: str, codes: Array, book: tuple[int, ...]) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """Return constants of 4 bits, and what makes the int8 ``codes`` called ``name`` of them."""
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


def stored_codes(codes: Array, stated: int | None = None) -> CodeSet:
    """Return the set of codes of 4 bits that a file's weights are among, or of as many as are ``stated`` of it; all of
    int8 where there is none.
    """
    if stated and np.abs(codes.astype(np.int16)).max(initial=0) <= CodeSet(stated).limit:
        return CodeSet(stated)
    if np.abs(codes.astype(np.int16)).max(initial=0) <= CodeSet(_PACKED).limit:
        return CodeSet(_PACKED)
    found = CodeSet(_PACKED, codebook=True).used(codes)
    return found if found.bits == _PACKED else ALL


def say_bits(recipe: Recipe) -> str:
    """Return how many bits weights have, for people; empty where all have 8."""
    counts: dict[tuple[int, bool], int] = {}
    for item in recipe.tensors:
        if item.role == "weight":
            kind = item.bits, bool(item.codebook)
            counts[kind] = counts.get(kind, 0) + 1
    if recipe.nested:
        return f"nested weights: {'; '.join(map(str, recipe.nested))}"
    spared = f"; {recipe.spared}" if recipe.spared else ""
    if set(counts) <= {(ALL.bits, False)} and not spared:
        return ""
    return f"weights: {', '.join(_said(counts))} convolutions{spared}"


def _said(counts: dict[tuple[int, bool], int]) -> Iterator[str]:
    for (bits, book), count in sorted(counts.items()):
        yield f"{bits} bits{' by codebook' if book else ''} in {count}"
