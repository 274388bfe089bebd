"""Interpolation by integers: accumulators near onnxruntime's numbers, ends that nothing exceeds, sums of weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from toolchain.frontend.fixed_point import ONE, Resizing, axis_weights, phases
from toolchain.frontend.resize import COORDINATES, NEAREST, Sampling
from toolchain.frontend.session import FloatSession
from toolchain.reference.quantization import Quantization
from toolchain.reference.resizing import Precision, ends, interpolate

FACTORS = [Fraction(2), Fraction(3), Fraction(4), Fraction(3, 2), Fraction(5, 2), Fraction(1, 2)]
SAMPLINGS = st.builds(
    Sampling,
    st.sampled_from(["linear", "cubic"]),
    st.sampled_from([c for c in COORDINATES if c != "tf_half_pixel_for_nn"]),
    st.just("floor"),
    st.sampled_from([-0.75, -0.5, -1.0]),
    st.booleans(),
)


def by_onnxruntime(values: np.ndarray, resizing: Resizing) -> np.ndarray:
    """What onnxruntime makes of (1, C, h, w)."""
    sampling = resizing.sampling
    node = helper.make_node(
        "Resize",
        ["x", "", "s"],
        ["y"],
        mode=sampling.mode,
        coordinate_transformation_mode=sampling.coordinates,
        nearest_mode=sampling.nearest,
        cubic_coeff_a=sampling.alpha,
        exclude_outside=int(sampling.exclude_outside and sampling.mode == "cubic"),
    )
    info = helper.make_tensor_value_info
    scales = numpy_helper.from_array(np.float32([1, 1, *map(float, resizing.factors)]), "s")
    graph = helper.make_graph(
        [node], "g", [info("x", 1, [1, "c", "h", "w"])], [info("y", 1, [1, "c", "H", "W"])], [scales]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9
    return np.asarray(FloatSession(model).run(None, values.astype(np.float32))[0])


@settings(max_examples=60)
@given(SAMPLINGS, st.sampled_from(FACTORS), st.sampled_from(FACTORS), st.sampled_from([0, 9, 255]), st.integers(0, 99))
def test_near_onnxruntime(sampling: Sampling, rows: Fraction, columns: Fraction, zero: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, 256, (2, 8, 6)).astype(np.uint8)
    given, resizing = Quantization(1.0, zero), Resizing(sampling, (rows, columns))
    sums = interpolate(codes, given, resizing) / 2.0 ** Precision.of(given).fraction
    wanted = by_onnxruntime(np.float32(codes[None]) - zero, resizing)[0]
    assert np.abs(sums - wanted).max() < 0.15, "parts of a code"


@settings(max_examples=60)
@given(SAMPLINGS, st.sampled_from(FACTORS), st.sampled_from([8, 16]), st.floats(0, 1), st.integers(0, 99))
def test_nothing_overflows_or_leaves_its_ends(sampling: Sampling, factor: Fraction, bits: int, zero: float, seed: int):
    given = Quantization(1.0, round(zero * (2**bits - 1)), bits)
    codes = np.random.default_rng(seed).choice([0, given.qmax], (1, 9, 7)).astype(given.dtype)
    resizing = Resizing(sampling, (factor, factor))
    sums = interpolate(codes, given, resizing)
    (rows, across) = (axis_weights(sampling, size, int(size * factor), factor) for size in codes.shape[1:])
    matrices = []
    for (indices, weights), size in ((rows, 9), (across, 7)):
        matrix = np.zeros((len(indices), size))
        for index, weight in zip(indices.T, weights.T, strict=True):
            np.add.at(matrix, (np.arange(len(indices)), index), weight)
        matrices.append(matrix)
    exact = matrices[0] @ (codes[0].astype(np.float64) - given.zero_point) @ matrices[1].T
    exact /= 2.0 ** Precision.of(given).dropped
    assert np.abs(sums[0] - exact).max() <= 1.5 * ONE, "a sum has left 32 bits"
    shape = (1, 1, 1)
    low, high = ends(np.zeros(shape, given.dtype), np.full(shape, given.qmax, given.dtype), given, resizing)
    assert low.item() <= sums.min()
    assert high.item() >= sums.max()


@given(
    st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from([c for c in COORDINATES if c != "align_corners"]),
    st.sampled_from(NEAREST),
    st.integers(2, 8),
)
def test_phases_are_what_lies_inside(mode: str, coordinates: str, nearest: str, factor: int):
    sampling = Sampling(mode, coordinates, nearest)
    resizing = Resizing(sampling, (Fraction(factor), Fraction(factor)))
    indices, weights = axis_weights(sampling, 9, 9 * factor, Fraction(factor))
    for number, phase in enumerate(phases(resizing)):
        row = 4 * factor + number
        found = {int(i): int(w) for i, w in zip(indices[row], weights[row], strict=True) if w}
        assert found == {4 + phase.first + tap: w for tap, w in enumerate(phase.weights) if w}
        assert sum(phase.weights) == ONE


def test_enlarging_by_two_and_four_is_exact_where_it_is_linear():
    codes = np.random.default_rng(0).integers(0, 256, (1, 5, 7)).astype(np.uint8)
    for factor in (2, 4):
        resizing = Resizing(Sampling("linear"), (Fraction(factor), Fraction(factor)))
        sums = interpolate(codes, Quantization(1.0, 0), resizing)
        np.testing.assert_array_equal(sums / 2.0**20, by_onnxruntime(np.float32(codes[None]), resizing)[0])


@pytest.mark.parametrize("coordinates", ["align_corners", "half_pixel"])
def test_no_phases_where_weights_depend_on_the_size(coordinates: str):
    whole = (Fraction(2), Fraction(2))
    assert bool(phases(Resizing(Sampling("linear", coordinates), whole))) == (coordinates == "half_pixel")
    assert not phases(Resizing(Sampling("cubic", exclude_outside=True), whole))
    assert not phases(Resizing(Sampling("linear"), (Fraction(2), Fraction(3))))
