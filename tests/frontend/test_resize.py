"""Interpolation against onnxruntime: all ways to place pixels, by whole and broken factors, at the borders too."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from onnx import helper, numpy_helper
from tvm import relax

from tests.frontend.spellings import agree
from tests.instruction_sets import EVERY
from tests.sr_models import Builder
from toolchain.frontend import normalize
from toolchain.frontend.resize import COORDINATES, NEAREST
from toolchain.frontend.session import FloatSession
from toolchain.lower import import_qdq
from toolchain.lower.resizing import OPERATOR, resize_floats
from toolchain.reference.evaluator import evaluator
from toolchain.support.errors import ModelError
from toolchain.targets import Target
from toolchain.targets.llvm import tvm_target

FACTORS = ((2.0, 2.0), (3.0, 4.0), (1.5, 2.5), (1.3, 1.7), (0.5, 0.75))
SIZES = ((7, 9), (1, 5), (2, 1))
"""Of a size that stays what it was by rounding, onnxruntime copies the picture: broken factors get larger ones."""


def network(factors: tuple[float, float], **attributes: Any) -> onnx.ModelProto:
    """A Resize alone."""
    node = helper.make_node("Resize", ["input", "", "scales"], ["output"], **attributes)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [info("input", 1, [1, 2, "h", "w"])],
        [info("output", 1, [1, 2, "H", "W"])],
        [numpy_helper.from_array(np.array([1, 1, *factors], np.float32), "scales")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9
    return model


@relax.expr_functor.mutator
class SpelledOut(relax.PyExprMutator):
    """Interpolation as loops."""

    def visit_call_(self, call: Any) -> Any:
        call = self.visit_expr_post_order(call)
        if getattr(call.op, "name", "") != OPERATOR:
            return call

        def add(name: str, function: Any) -> Any:
            name = f"{name}{len(self.builder_.get().functions)}"
            return self.builder_.add_func(function.with_attr("global_symbol", name), name)

        return resize_floats(call, call.args[0], self.builder_, add)


def imported(model: onnx.ModelProto) -> tvm.IRModule:
    """The model as TVM has it, with our float interpolation."""
    module = import_qdq(model)
    mutator = SpelledOut(module)
    mutator.builder_.update_func(module.get_global_var("main"), mutator.visit_expr(module["main"]))
    return mutator.builder_.get()


def compare(model: onnx.ModelProto, tolerance: float) -> None:
    """NumPy's and TVM's against onnxruntime's."""
    wanted, reference = FloatSession(model), evaluator(model)
    machine = relax.VirtualMachine(tvm.compile(imported(model), "llvm"), tvm.cpu())
    factors = numpy_helper.to_array(model.graph.initializer[0])
    whole = (factors == np.rint(factors)).all()
    for seed, (height, width) in enumerate(SIZES if whole else [(7, 9), (6, 5)]):
        x = np.random.default_rng(seed).random((1, 2, height, width), np.float32)
        (want,) = wanted.run(None, x)
        np.testing.assert_allclose(reference.run(None, {"input": x})[0], want, atol=tolerance)
        np.testing.assert_allclose(machine["main"](tvm.runtime.tensor(x)).numpy(), want, atol=tolerance)


@pytest.mark.parametrize("coordinates", [c for c in COORDINATES if c != "tf_half_pixel_for_nn"])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_interpolation(mode: str, coordinates: str):
    for factors in FACTORS:
        compare(network(factors, mode=mode, coordinate_transformation_mode=coordinates), 1e-5)


@EVERY
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_what_lies_between_two_codes_is_rounded_as_by_the_reference(target: Target, mode: str):
    """Many results of codes do; instructions that fuse a product with an addition would round others."""
    scale = np.float32(0.0123)
    x = ((np.random.default_rng(1).integers(0, 256, (1, 2, 33, 47)) - 7).astype(np.float32)) * scale
    for factors in ((2.0, 2.0), (4.0, 4.0), (2.0, 1.0)):
        model = network(factors, mode=mode)
        machine = relax.VirtualMachine(tvm.compile(imported(model), tvm_target(target)), tvm.cpu())
        found, wanted = machine["main"](tvm.runtime.tensor(x)).numpy(), evaluator(model).run(None, {"input": x})[0]
        np.testing.assert_array_equal(found, wanted)
        halves = np.abs(wanted.astype(np.float64) / scale % 1 - 0.5) < 1e-4
        assert halves.mean() > 0.01 or mode == "cubic"


@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
def test_the_cubic_kernel(coordinates: str):
    for alpha, exclude in ((-0.5, 0), (-0.75, 1), (-0.5, 1)):
        compare(
            network(
                (2.0, 1.5),
                mode="cubic",
                coordinate_transformation_mode=coordinates,
                cubic_coeff_a=alpha,
                exclude_outside=exclude,
            ),
            1e-5,
        )


@pytest.mark.parametrize("rounding", NEAREST)
@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
def test_the_nearest_pixel(coordinates: str, rounding: str):
    for factors in ((2.0, 3.0), (1.5, 2.5)):
        compare(
            network(factors, mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=rounding), 1e-6
        )


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialiasing_does_nothing_to_what_grows(mode: str):
    b = Builder(1, 18)
    up = b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode=mode, antialias=1)
    b.node("Add", b.depth_to_space(b.conv("input", 3, 12), 2), up, out="output")
    model = b.model(3, 2)
    agree(model, normalize(model, value_range="0..1"))


def shrunk(b: Builder, *, last: bool = False, by: float = 0.5, **how: object) -> str:
    """Half the side of a picture four times as large, channels first or last; of eight channels."""
    x = b.depth_to_space(b.conv("input", 3, 128), 4)
    if last:
        x = b.node("Transpose", x, perm=[0, 2, 3, 1])
    axes = [1, 2] if last else [-2, -1]
    x = b.node("Resize", x, "", b.const([by, by]), axes=axes, antialias=1, **how)
    return b.node("Transpose", x, perm=[0, 3, 1, 2]) if last else x


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("place", ["half_pixel", "asymmetric"])
@pytest.mark.parametrize(("mode", "by"), [("linear", 0.5), ("linear", 0.25), ("cubic", 0.5)])
def test_antialiasing_of_what_shrinks_is_a_convolution(mode: str, by: float, place: str, last: bool):
    if last and mode == "cubic":
        pytest.skip("onnxruntime has no cubic kernel for channels last")
    b = Builder(1, 18)
    x = shrunk(b, last=last, by=by, mode=mode, coordinate_transformation_mode=place)
    b.conv(x, 8, 3, out="output")
    model = b.model(3, int(4 * by))
    sr = normalize(model, value_range="0..1")
    assert {node.op_type for node in sr.model.graph.node} == {"Conv", "DepthToSpace", "Pad"}
    agree(model, sr)


@pytest.mark.parametrize(
    "how", [{"by": 0.75}, {"exclude_outside": 1, "mode": "cubic"}, {"coordinate_transformation_mode": "align_corners"}]
)
def test_antialiasing_that_is_no_convolution_is_refused(how: dict[str, object]):
    b = Builder(1, 18)
    b.conv(shrunk(b, **{"mode": "linear", **how}), 8, 3, out="output")
    with pytest.raises(ModelError, match=r"Resize 'node_resize_.*' shrinks with antialiasing"):
        normalize(b.model(3, 2), value_range="0..1")


@pytest.mark.parametrize(("computed", "policy"), [("sizes", "stretch"), ("sizes", "not_larger"), ("scales", "stretch")])
def test_some_axes_are_spelled_as_all(computed: str, policy: str):
    b = Builder(1, 18)
    x = b.conv("input", 3, 8)
    sides = b.node("Mul", b.node("Shape", "input", start=2, end=4), b.const([2, 2], np.int64))
    if computed == "scales":
        halves = [b.node("Cast", name, to=1) for name in (sides, b.node("Shape", x, start=2, end=4))]
        operands = (x, "", b.node("Div", *halves))
    else:
        operands = (x, "", "", sides)
    x = b.node("Resize", *operands, mode="cubic", axes=[2, 3], keep_aspect_ratio_policy=policy)
    b.conv(x, 8, 3, out="output")
    model = b.model(3, 2)
    agree(model, normalize(model, value_range="0..1"))


def test_an_aspect_ratio_that_is_no_picture_s_is_refused():
    b = Builder(1, 18)
    sides = b.node("Mul", b.node("Shape", "input", start=2, end=4), b.const([3, 2], np.int64))
    x = b.node("Resize", b.conv("input", 3, 8), "", "", sides, axes=[2, 3], keep_aspect_ratio_policy="not_larger")
    b.conv(x, 8, 3, out="output")
    with pytest.raises(ModelError, match=r"Resize 'node_resize_.*' keeps an aspect ratio"):
        normalize(b.model(3, 2), value_range="0..1")


@pytest.mark.parametrize("part", [False, True])
def test_a_crop_of_all_aligns_corners(part: bool):
    b = Builder(1, 17)
    shares = b.const([0, 0, 0, 0, 1, 1, 1, 0.5 if part else 1])
    how = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}
    x = b.node("Resize", b.conv("input", 3, 8), shares, b.const([1, 1, 2, 2]), **how)
    b.conv(x, 8, 3, out="output")
    model = b.model(3, 2)
    if part:
        with pytest.raises(ModelError, match="enlarges a part of the picture"):
            normalize(model, value_range="0..1")
    else:
        agree(model, normalize(model, value_range="0..1"))


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("gain", [2, 8])
def test_antialiasing_to_a_size_is_as_to_a_factor(gain: int, fixed: bool):
    b = Builder(1, 18)
    x = b.depth_to_space(b.node("Concat", *_halves(b), axis=1), 4)
    size = b.const([1, 3, 16 * gain, 24 * gain], np.int64)
    if not fixed:
        size = b.node("Mul", b.node("Shape", "input"), b.const([1, 1, gain, gain], np.int64))
    b.node("Resize", x, "", "", size, mode="linear", antialias=1, out="output")
    model = b.model(3, gain)
    for end, factor in ((model.graph.input[0], 1), (model.graph.output[0], gain)):
        for dim, side in zip(end.type.tensor_type.shape.dim[2:], (16, 24), strict=True):
            if fixed:
                dim.dim_value = side * factor
    agree(model, normalize(model, value_range="0..1"))


def _halves(b: Builder) -> list[str]:
    """Both halves of a convolution's channels, by an operator that newer opsets spell otherwise."""
    split = b.node("Split", b.conv("input", 3, 48), num_outputs=2, axis=1)
    b.nodes[-1].output.append("second")
    return [split, "second"]
