"""Passes on ONNX models, before and after: what they make of a model, and that it computes the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import dedent
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import parser, printer

from toolchain.frontend.facts import Facts
from toolchain.frontend.interface import Interface
from toolchain.frontend.passes import batch, float16, float64, inline, opset, picture_axes, pixel_ends, stored_weights
from toolchain.frontend.passes.base import ModelPass
from toolchain.frontend.session import FloatSession

PICTURE = (np.arange(3 * 4 * 5, dtype=np.float32).reshape(1, 3, 4, 5) * 4.2).round(1)


class Case(NamedTuple):
    """A pass with a model before and after it, in ONNX's textual form.

    ``source`` and ``result`` make of `PICTURE` what the model before and after takes; ``tolerance`` is of the outputs.
    """

    apply: ModelPass
    before: str
    after: str
    facts: Facts = Facts()
    source: Callable[[np.ndarray], np.ndarray] = lambda x: x
    tolerance: float = 0.0


CASES = {
    "functions are written out, weights are no inputs": Case(
        inline.apply,
        """
        <ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        g (float[1,3,H,W] x, float[1] b) => (float[1,3,H,W] y) <float[1] b = {2}> {
            a = local.Act (x)
            y = Mul (a, b)
        }
        <domain: "local", opset_import: ["" : 17]>
        Act (x) => (y) { y = Relu (x) }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,H,W] x) => (float[1,3,H,W] y) <float[1] b = {2}>
        { [a] a = Relu (x) [y] y = Mul (a, b) }
        """,
    ),
    "weights stored as codes are numbers": Case(
        stored_weights.apply,
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,H,W] x) => (float[1,3,H,W] y)
        <float[3,1,1] w = {1, 2, -0.75}, float[3] s = {1, 2, 0.5}, int8[3] z = {0, 0, 1}> {
            a = QuantizeLinear <axis = 0> (w, s, z)
            b = DequantizeLinear <axis = 0> (a, s, z)
            y = Mul (x, b)
        }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,H,W] x) => (float[1,3,H,W] y) <float[3,1,1] b = {1,2,-1}>
        { y = Mul (x, b) }
        """,
    ),
    "a picture without a batch has one": Case(
        picture_axes.apply,
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[H,W,3] x) => (float[H,W,3] y)
        <float s = {0.5}, int64[1] front = {0}, int64[3] order = {2, 1, 0}> {
            a = Mul (x, s)
            b = Gather <axis = 2> (a, order)
            c = Transpose <perm = [2, 0, 1]> (b)
            d = Unsqueeze (c, front)
            e = Relu (d)
            f = Squeeze (e, front)
            y = Transpose <perm = [1, 2, 0]> (f)
        }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,H,W,3] x) => (float[1,H,W,3] y) <float s = {0.5}, int64[1] front = {0}, int64[3] order = {2,1,0}>
        {
           a = Mul (x, s)
           b = Gather <axis: int = 3> (a, order)
           c = Transpose <perm: ints = [0, 3, 1, 2]> (b)
           d = Identity (c)
           e = Relu (d)
           f = Identity (e)
           y = Transpose <perm: ints = [0, 2, 3, 1]> (f)
        }
        """,
        source=lambda x: np.ascontiguousarray(x[0].transpose(1, 2, 0)),
    ),
    "float64 is float32": Case(
        float64.apply,
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (double[1,3,H,W] x) => (double[1,3,H,W] y) <double[1] b = {0.5}> {
            a = Cast <to = 11> (x)
            y = Mul (a, b)
        }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,H,W] x) => (float[1,3,H,W] y) <float[1] b = {0.5}>
        { a = Identity (x) y = Mul (a, b) }
        """,
        source=lambda x: x.astype(np.float64),
        tolerance=1e-6,
    ),
    "float16 is float32": Case(
        float16.apply,
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float16[1,3,H,W] x) => (float[1,3,H,W] y) <float16[1] b = {15872}> {
            a = Mul (x, b)
            y = Cast <to = 1> (a)
        }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,H,W] x) => (float[1,3,H,W] y) <float[1] b = {1.5}>
        { a = Mul (x, b) y = Identity (a) }
        """,
        source=lambda x: x.astype(np.float16),
        tolerance=0.2,
    ),
    "pixels of uint8 are numbers": Case(
        pixel_ends.apply,
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (uint8[1,3,H,W] x) => (uint8[1,3,H,W] y) <float h = {0.5}> {
            a = Cast <to = 1> (x)
            b = Mul (a, h)
            c = Round (b)
            y = Cast <to = 2> (c)
        }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,H,W] x) => (float[1,3,H,W] y) <float h = {0.5}>
        { a = Identity (x) b = Mul (a, h) c = Identity (b) y = Identity (c) }
        """,
        source=lambda x: x.astype(np.uint8),
        tolerance=1.0,
    ),
    "a batch of two is a batch of one": Case(
        batch.apply,
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2,3,4,5] x) => (float[2,3,4,5] y) <int64[4] s = {2,3,4,5}> { y = Reshape (x, s) }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,4,5] x) => (float[1,3,4,5] y) <int64[4] s = {2,3,4,5}, int64[4] y_of_one = {1,3,4,5}>
        { y = Reshape (x, y_of_one) }
        """,
        Facts(Interface(3, False, (1, 3, 4, 5), batch=2)),
        source=lambda x: np.repeat(x, 2, axis=0),
    ),
    "a newer operator set is 17": Case(
        opset.apply,
        """
        <ir_version: 10, opset_import: ["" : 20]>
        g (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Relu (x) }
        """,
        """
        < ir_version: 8, opset_import: ["" : 17] >
        g (float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Relu (x) }
        """,
    ),
    "an older operator set is 17": Case(
        opset.apply,
        """
        <ir_version: 4, opset_import: ["" : 9]>
        g (float[1,3,4,5] x) => (float[1,3,8,10] y) <float[4] s = {1,1,2,2}> {
            y = Upsample <mode = "nearest"> (x, s)
        }
        """,
        """
        < ir_version: 4, opset_import: ["" : 17] >
        g (float[1,3,4,5] x) => (float[1,3,8,10] y) <float[4] s = {1,1,2,2}>
        { made = Constant <value: tensor = float[8] {0,0,0,0,1,1,1,1}> ()
          y = Resize <mode: string = "nearest", coordinate_transformation_mode: string = "asymmetric",
                      nearest_mode: string = "floor"> (x, made, s) }
        """,
    ),
}


def words(text: str) -> list[str]:
    """Of a model's text; spaces do not count, nor how ONNX's converter names what it makes."""
    text = re.sub(r"\b_v_\d+", "made", text)
    for mark in "<>{}(),":
        text = text.replace(mark, f" {mark} ")
    return text.split()


@pytest.mark.parametrize("name", CASES)
def test_before_and_after(name: str) -> None:
    case = CASES[name]
    model = parser.parse_model(dedent(case.before))
    model.graph.ClearField("value_info")
    source = onnx.ModelProto.FromString(model.SerializeToString())
    case.apply(model, case.facts)
    assert words(printer.to_text(model)) == words(case.after), printer.to_text(model)
    again = case.apply(model, Facts())
    assert words(printer.to_text(model)) == words(case.after), "twice is not once"
    assert again.changes == ()
    given = case.source(PICTURE)
    made = FloatSession(source).run(None, given)[0]
    given, made = (given[None], made[None]) if given.ndim == 3 else (given, made)
    want = made[:1].astype(np.float32)
    got = FloatSession(model).run(None, given[:1].astype(np.float32))[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=case.tolerance)
