"""Operators that no super-resolution network can be deployed with, by what they do and what to do about them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from toolchain.support.errors import ModelError


@dataclass(frozen=True)
class _Unfit:
    operators: tuple[str, ...]
    does: str
    hint: str


CONVOLUTIONS = "networks of convolutions, and what stands between them, can be deployed"
"""What to do with others."""

_EVALUATE = "export the network in evaluation mode (network.eval() in PyTorch), without its noise"
_KINDS = (
    _Unfit(("Loop", "Scan"), "repeats other operators", "export with the steps written out: a fixed number of them"),
    _Unfit(
        ("If",),
        "decides by what it computes which operators run",
        "export with constant conditions, or simplify it with onnxsim",
    ),
    _Unfit(
        ("LSTM", "GRU", "RNN"),
        "goes through its input step by step",
        "only networks that treat all pixels of a picture alike can be deployed",
    ),
    _Unfit(
        ("NonMaxSuppression", "RoiAlign", "MaxRoiPool"),
        "looks for objects in a picture",
        "is it a super-resolution network? cut off what comes after the enlarged picture",
    ),
    _Unfit(
        ("NonZero", "Unique", "Compress"),
        "makes a tensor whose size depends on the numbers in a picture",
        "replace it by arithmetic on whole tensors",
    ),
    _Unfit(
        ("TopK",),
        "sorts numbers that are computed",
        "let all parts of the network run, instead of those that it chooses for a picture",
    ),
    _Unfit(
        ("StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"),
        "works on text",
        "is it a super-resolution network? cut off what is no picture",
    ),
    _Unfit(
        (
            *(f"Sequence{what}" for what in ("At", "Construct", "Empty", "Erase", "Insert", "Length", "Map")),
            "SplitToSequence",
            "ConcatFromSequence",
            *("Optional", "OptionalGetElement", "OptionalHasElement"),
        ),
        "works on lists of tensors",
        "export again with opset 17 or later, with a fixed number of parts where tensors are split",
    ),
    _Unfit(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"),
        "makes random numbers",
        _EVALUATE,
    ),
    _Unfit(
        ("DFT", "STFT", "MelWeightMatrix"),
        "works on frequencies of the whole picture",
        CONVOLUTIONS,
    ),
    _Unfit(("ImageDecoder",), "reads files", "let the network begin with the picture"),
)
_BY_NAME = {name: kind for kind in _KINDS for name in kind.operators}


def check_fit(node: onnx.NodeProto) -> None:
    """See whether a node's operator has a place in a super-resolution network.

    Raises:
        ModelError: it has none.
    """
    kind = _BY_NAME.get(node.op_type)
    if kind is None:
        return
    what = f"the model contains control flow: {node.op_type}" if kind in _KINDS[:2] else f"operator {node.op_type}"
    raise ModelError(f"{what} '{node.name or next(iter(node.output), '')}' {kind.does}", hint=kind.hint)


def attention(graph: onnx.GraphProto) -> str:
    """Return the first operator that multiplies two matrices which are both computed, as transformers do; empty without
    one.
    """
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if known.issuperset(filter(None, node.input)):
            known.update(node.output)
        elif node.op_type in ("MatMul", "Einsum") and not known.intersection(node.input):
            return f"{node.op_type} '{node.name or node.output[0]}'"
    return ""
