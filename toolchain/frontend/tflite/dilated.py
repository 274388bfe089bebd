"""Dilated convolutions as older converters wrote them: pixels that lie so far apart are laid into a batch
(SPACE_TO_BATCH_ND), a plain convolution follows, and the batch is laid out again (BATCH_TO_SPACE_ND).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from toolchain.frontend.tflite.contents import Contents, Operator

PADS: Final = "Pads"
"""Option of a convolution that says its padding in numbers: top, left, bottom, right."""

_PLAIN = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}


def as_dilated(contents: Contents) -> Contents:
    """Return ``contents`` with such threes of operators as one convolution."""
    before = {operator.outputs[0]: operator for operator in contents.operators if operator.outputs}
    readers: dict[int, int] = {}
    for operator in contents.operators:
        for place in operator.inputs:
            readers[place] = readers.get(place, 0) + 1
    for place in contents.outputs:
        readers[place] = readers.get(place, 0) + 1
    found: dict[int, Operator] = {}
    gone: set[int] = set()
    for last in contents.operators:
        conv = before.get(last.inputs[0]) if last.kind == "BATCH_TO_SPACE_ND" and last.inputs else None
        first = before.get(conv.inputs[0]) if conv is not None and conv.inputs else None
        if conv is None or first is None or first.kind != "SPACE_TO_BATCH_ND":
            continue
        made = _joined(contents, first, conv, last)
        if made is not None and readers[conv.outputs[0]] == readers[first.outputs[0]] == 1:
            found[last.index] = made
            gone |= {first.index, conv.index}
    operators = [found.get(one.index, one) for one in contents.operators if one.index not in gone]
    return replace(contents, operators=tuple(operators))


def _joined(contents: Contents, first: Operator, conv: Operator, last: Operator) -> Operator | None:
    """Return the dilated convolution; None where it is none."""
    if conv.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D") or conv.options.get("Padding") == 0:
        return None
    if any((int(conv.options.get(name, 1)) or 1) != number for name, number in _PLAIN.items()):
        return None
    numbers = []
    for operator in (first, last):
        told = [contents.tensors[place].data for place in operator.inputs[1:3]]
        if len(told) < 2 or told[0] is None or told[1] is None or told[0].size != 2 or told[1].size != 4:
            return None
        numbers.append(([int(n) for n in told[0].ravel()], [int(n) for n in told[1].ravel()]))
    (block, added), (again, cut) = numbers
    pads = [more - less for more, less in zip(added, cut, strict=True)]
    if block != again or min(block) < 1 or min(pads) < 0:
        return None
    options = dict(conv.options) | {"DilationHFactor": block[0], "DilationWFactor": block[1]}
    options[PADS] = [pads[0], pads[2], pads[1], pads[3]]
    return Operator(conv.kind, last.index, (first.inputs[0], *conv.inputs[1:]), last.outputs, options)
