"""What works on the channels of each pixel, before and after: matrices, normalization, means, the largest."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.goldens import Case
from toolchain.frontend.passes import channel_means, layout

ONE_TAP = "dilations=[1, 1], group=1, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1]"
MATRIX = np.arange(8, dtype="f4").reshape(4, 2)

CASES = {
    "matrices on channels last, behind a normalization": Case(
        layout.apply,
        """
        a = Transpose <perm = [0, 2, 3, 1]> (input)
        n = LayerNormalization <axis = -1> (a, gain, offset)
        m = MatMul (n, matrix)
        b = Add (offset2, m)
        output = Transpose <perm = [0, 3, 1, 2]> (b)
        """,
        f"""
        v0 = Transpose(input, perm=[0, 2, 3, 1])
        v1 = LayerNormalization(v0, [1 2 3 4], [0 0 0 1], axis=-1)
        v2 = Transpose(v1, perm=[0, 3, 1, 2])
        v3 = Conv(v2, [0 2 4 6 1 3 5 7], {ONE_TAP})
        output = Add([5 6], v3)
        """,
        {
            "gain": np.float32([1, 2, 3, 4]),
            "offset": np.float32([0, 0, 0, 1]),
            "offset2": np.float32([5, 6]),
            "matrix": MATRIX,
        },
    ),
    "an activation of what is normalized": Case(
        layout.apply,
        """
        a = Transpose <perm = [0, 2, 3, 1]> (input)
        n = LayerNormalization <axis = 3> (a, gain)
        r = Relu (n)
        f = Transpose <perm = [0, 3, 1, 2]> (r)
        output = Sigmoid (f)
        """,
        """
        v0 = Transpose(input, perm=[0, 2, 3, 1])
        v1 = LayerNormalization(v0, [1 2 3 4], axis=3)
        v2 = Transpose(v1, perm=[0, 3, 1, 2])
        v3 = Relu(v2)
        output = Sigmoid(v3)
        """,
        {"gain": np.float32([1, 2, 3, 4])},
    ),
    "a mean and the largest of channels last": Case(
        layout.apply,
        """
        a = Transpose <perm = [0, 2, 3, 1]> (input)
        m = ReduceMean <axes = [-1]> (a)
        l = ReduceMax <axes = [3], keepdims = 1> (a)
        c = Concat <axis = 3> (m, l)
        output = Transpose <perm = [0, 3, 1, 2]> (c)
        """,
        """
        v0 = ReduceMean(input, axes=[1])
        v1 = ReduceMax(input, axes=[1], keepdims=1)
        output = Concat(v0, v1, axis=1)
        """,
    ),
    "spatial attention": Case(
        channel_means.apply,
        """
        m = ReduceMean <axes = [1], keepdims = 0> (input)
        mean = Unsqueeze (m, one)
        l = ReduceMax <axes = [-3], keepdims = 0> (input)
        largest = Unsqueeze (l, one)
        s = ReduceSum <keepdims = 1> (input, one)
        output = Concat <axis = 1> (mean, largest, s)
        """,
        f"""
        v0 = Conv(input, [0.25 0.25 0.25 0.25], {ONE_TAP})
        v1 = ReduceMax(input, axes=[-3], keepdims=1)
        v2 = Conv(input, [1 1 1 1], {ONE_TAP})
        output = Concat(v0, v1, v2, axis=1)
        """,
        {"one": np.array([1])},
    ),
    "means of squares and exponentials, of rows, and of an axis that stays away": Case(
        channel_means.apply,
        """
        q = Mul (input, input)
        m = ReduceMean <axes = [1]> (q)
        e = Exp (input)
        s = ReduceMean <axes = [1]> (e)
        r = ReduceMean <axes = [2]> (input)
        f = ReduceMax <axes = [1], keepdims = 0> (input)
        a = Sum (m, s, r, f)
        output = Relu (a)
        """,
        """
        v0 = Mul(input, input)
        v1 = ReduceMean(v0, axes=[1])
        v2 = Exp(input)
        v3 = ReduceMean(v2, axes=[1])
        v4 = ReduceMean(input, axes=[2])
        v5 = ReduceMax(input, axes=[1], keepdims=0)
        v6 = Sum(v1, v3, v4, v5)
        output = Relu(v6)
        """,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_graph(case: Case):
    case.check()
