"""Linear branches become single convolutions, equal to the last pixel of the border, or stay for a stated reason."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.expanded import MASKS, add, ecb, network, sesr_block, valid, zeros_around
from tests.frontend.spellings import agree, operators
from tests.frontend.test_normalize import check_canonical
from tests.sr_models import Builder, abpn, espcn, fsrcnn, sesr, xlsr
from toolchain.frontend import normalize
from toolchain.frontend.graph import Graph
from toolchain.frontend.model import Merge
from toolchain.frontend.passes import affine, biases, collapse, constants, pads
from toolchain.frontend.probe import run
from toolchain.reference.network import describe_network


def opened(b: Builder, channels: int = 4) -> tuple[onnx.ModelProto, Graph]:
    """What was built, from "input" to "output", and the same opened in front of the pass."""
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, channels, "h", "w"]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(b.nodes, "g", ends[:1], ends[1:], b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    open_graph = Graph(model, (1, channels, 11, 9))
    open_graph.tidy()
    for step in (constants, pads, biases, affine):
        step.apply(open_graph)
    return model, open_graph


def collapsed(graph: Graph) -> tuple[tuple[Merge, ...], tuple[str, ...]]:
    """What the pass merged, and what it says."""
    facts = collapse.apply(graph)
    return facts.merges, facts.changes


def work(graph: Graph) -> tuple[int, int]:
    """Nodes, weights of convolutions."""
    weights = [graph.constants[n.input[1]].size for n in graph.nodes if n.op_type == "Conv"]
    return len(graph.nodes), sum(weights)


def check_equal(model: onnx.ModelProto, graph: Graph, *sizes: tuple[int, int]) -> None:
    channels = graph.probe[1]
    merged = graph.to_model(input_shape=(1, channels, "h", "w"), output_shape=None)
    for size in sizes:
        x = np.random.default_rng(1).normal(0, 1, (1, channels, *size)).astype(np.float32)
        want, got = run(model, x), run(merged, x)
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1.0, float(np.abs(want).max())))


@st.composite
def branches(draw: st.DrawFn) -> Builder:
    """A random structure on 4 channels: whatever is linear, in any order, sometimes interrupted by a Relu."""
    b = Builder(draw(st.integers(0, 9999)))
    pool = [("input", 4, 0)]  # value, channels, rows and columns more than the input has

    def convolution(x: str, c: int, size: int) -> tuple[str, int, int]:
        k, d, group = draw(st.sampled_from([1, 1, 3, 5])), draw(st.sampled_from([1, 1, 1, 2])), 1
        out, reach = draw(st.sampled_from([2, 4, 4, 8])), d * (k - 1)
        weight = b.rng.normal(0, 1 / np.sqrt(c * k * k), (out, c, k, k))
        kind = draw(st.sampled_from(["dense", "dense", "grouped", "mask"]))
        if kind == "grouped":
            weight, group = weight[:, : c // 2], 2
        elif kind == "mask":
            weight = MASKS[draw(st.sampled_from(sorted(MASKS)))] * b.rng.normal(0, 0.3, (c, 1, 1, 1))
            out, group, k, reach = c, c, 3, 2 * d
        pad = draw(st.sampled_from([0, reach // 2])) if size - reach >= -6 else reach // 2
        names = [x, b.const(weight)]
        if draw(st.booleans()):
            names.append(b.const(b.rng.normal(0, 0.3, out)))
        y = b.node("Conv", *names, kernel_shape=[k, k], pads=[pad] * 4, dilations=[d, d], group=group)
        return y, out, size + 2 * pad - reach

    for _ in range(draw(st.integers(2, 9))):
        x, c, size = pool[-draw(st.integers(1, min(4, len(pool))))]
        match draw(st.sampled_from(["conv"] * 4 + ["add", "add", "sub", "scale", "offset", "pad", "relu"])):
            case "conv":
                made = convolution(x, c, size)
            case "scale":
                made = b.node("Mul", x, b.const(b.rng.normal(0, 1, (c, 1, 1)))), c, size
            case "offset":
                made = b.node("Add", x, b.const(b.rng.normal(0, 1, (1, c, 1, 1)))), c, size
            case "pad":
                number = b.const(draw(st.sampled_from([0.0, 0.5])))
                made = b.node("Pad", x, b.const([0, 0, 1, 1] * 2, np.int64), number), c, size + 2
            case "relu":
                made = b.node("Relu", x), c, size
            case op:
                other = draw(st.sampled_from([value for value in pool if value[1:] == (c, size)]))[0]
                made = b.node(op.capitalize(), x, other), c, size
        pool.append(made)
    value, *shape = pool[-1]
    for other in [name for name, *same in pool[1:-1] if same == shape]:
        value = b.node("Add", value, other)
    b.node("Relu", value, out="output")
    return b


@settings(max_examples=150, deadline=None)
@given(branches())
def test_random_branches(b: Builder) -> None:
    model, graph = opened(b)
    nodes, weights = work(graph)
    merges, said = collapsed(graph)
    check_equal(model, graph, (7, 9), (8, 11))
    assert work(graph) <= (nodes, weights)
    assert work(graph)[1] <= weights
    assert nodes - work(graph)[0] == sum(m.nodes - 1 for m in merges)
    assert any("merged linear branches" in sentence for sentence in said) == bool(merges)


@pytest.mark.parametrize(("kind", "groups"), [("ecb", 1), ("sesr", 1), ("repvgg", 1), ("repvgg", 2)])
def test_an_expanded_network_has_the_nodes_of_the_plain_one(kind: str, groups: int) -> None:
    model = network(kind, merged=False, groups=groups)
    sr, plain = normalize(model), normalize(network(kind, merged=True, groups=groups))
    check_canonical(sr)
    assert operators(sr) == operators(plain)
    want, got = describe_network(plain.model), describe_network(sr.model)
    assert [(m.weight, m.groups) for m in got.layers] == [(m.weight, m.groups) for m in want.layers]
    assert sr.halo == plain.halo
    for size in ((14, 21), (1, 1), (2, 5)):
        agree(model, sr, tolerance=1e-5, size=size)


@pytest.mark.parametrize("block", [ecb, sesr_block])
def test_an_enlarged_input_is_recognized_behind_merged_branches(block: object) -> None:
    """What is added to the output belongs to the kernel of the last convolution, once that is one."""

    def net(*, merged: bool) -> onnx.ModelProto:
        b = Builder(2)
        x = b.node("Relu", b.conv("input", 3, 8))
        x = b.depth_to_space(b.conv(x, 8, 12) if merged else block(b, x, 8, 12), 2)
        up = b.node(
            "Resize",
            "input",
            "",
            b.const([1.0, 1, 2, 2]),
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        b.node("Add", x, up, out="output")
        return b.model(3, 2)

    model = net(merged=False)
    sr = normalize(model, value_range="0..1")
    assert operators(sr) == operators(normalize(net(merged=True), value_range="0..1"))
    assert "Resize" not in operators(sr)
    agree(model, sr, tolerance=1e-5)


@pytest.mark.parametrize("kind", ["ecb", "sesr"])
def test_what_is_said_of_a_merge(kind: str) -> None:
    model = network(kind, merged=False)
    sr = normalize(model)
    after = describe_network(sr.model)
    assert len(sr.merges) == 4
    if kind == "sesr":  # the weights of the other are not constants yet
        gained = sum(m.macs_before - m.macs_after for m in sr.merges)
        assert describe_network(model).macs_per_pixel == pytest.approx(after.macs_per_pixel + gained)
    layers = {layer.name: layer for layer in after.layers}
    weights = {t.name: numpy_helper.to_array(t) for t in sr.model.graph.initializer}
    for merge in sr.merges:
        assert layers[merge.result].weight[2:] == merge.kernel
        assert merge.macs_after == layers[merge.result].macs_per_pixel
        assert merge.result in merge.sources
        w = np.abs(weights[f"{merge.result}_weight"].reshape(layers[merge.result].weight[0], -1))
        assert merge.outliers_after == pytest.approx(np.max(w.max(axis=1) / np.median(w, axis=1)), rel=1e-5)
        assert merge.outliers_before >= 1
    sentence = next(change for change in sr.changes if "merged linear branches" in change)
    worst = max(sr.merges, key=lambda m: m.outliers_after)
    assert f"'{worst.result}'" in sentence


def golden() -> Builder:
    """x -> (1x1, masked horizontally) + (3x3) + x, in numbers that can be followed by hand."""
    b = Builder()
    b.initializers += [
        numpy_helper.from_array(np.asarray(v, np.float32), n)
        for n, v in {
            "mix": np.array([[1, 2], [3, 4]]).reshape(2, 2, 1, 1),
            "mix_bias": [10, 20],
            "mask": np.broadcast_to(np.array([[1, 0, -1]]), (2, 1, 1, 3)),
            "mask_bias": [1, 2],
            "plain": np.full((2, 2, 1, 3), 0.5),
            "plain_bias": [5, 6],
        }.items()
    ]
    b.node("Conv", "input", "mix", "mix_bias", out="mixed", pads=[0, 1, 0, 1])
    b.node("Conv", "mixed", "mask", "mask_bias", out="edges", group=2)
    b.node("Conv", "input", "plain", "plain_bias", out="even", pads=[0, 1, 0, 1])
    b.node("Add", "edges", "even", out="sum")
    b.node("Add", "sum", "input", out="all")
    b.node("Relu", "all", out="output")
    return b


def test_golden_merge() -> None:
    model, graph = opened(golden(), 2)
    merges, _ = collapsed(graph)
    assert [(n.op_type, list(n.input), list(n.output)) for n in graph.nodes] == [
        ("Conv", ["input", "all_weight", "all_bias"], ["all"]),
        ("Relu", ["all"], ["output"]),
    ]
    np.testing.assert_array_equal(
        graph.constants["all_weight"].reshape(2, 2, 3),
        [
            [[1.5, 1.5, -0.5], [2.5, 0.5, -1.5]],
            [[3.5, 0.5, -2.5], [4.5, 1.5, -3.5]],
        ],
    )
    np.testing.assert_array_equal(graph.constants["all_bias"], [6.0, 8.0])
    assert graph.constants["all_weight"].dtype == np.float32
    assert merges == (
        Merge(
            result="all",
            sources=("mixed", "edges", "even", "sum", "all"),
            nodes=5,
            kernel=(1, 3),
            macs_before=22.0,
            macs_after=12.0,
            outliers_before=2 / 1.5,
            outliers_after=2.5 / 1.5,
        ),
    )
    check_equal(model, graph, (5, 7), (1, 1))


def refusals(said: list[str]) -> list[str]:
    return [sentence for sentence in said if sentence.startswith("did not merge")]


@pytest.mark.parametrize(("bias", "merged"), [(0.0, True), (0.1, False)])
def test_zeros_around_a_bias(bias: float, merged: bool) -> None:
    """1x1 -> 3x3 that pads: exact as long as the 1x1 makes zero of zero."""
    b = Builder(1)
    b.node("Relu", valid(b, valid(b, "input", 4, 16, 1, bias=bias), 16, 4, 3, pads=1), out="output")
    model, graph = opened(b)
    merges, said = collapsed(graph)
    assert [n.op_type for n in graph.nodes] == (["Conv", "Relu"] if merged else ["Conv", "Conv", "Relu"])
    assert bool(merges) == merged
    check_equal(model, graph, (5, 7))
    assert refusals(said) == (
        []
        if merged
        else [
            "did not merge 'conv_3' and 'conv_6': borders would change, since the zeros that pad the second are not "
            "what the first makes outside of the picture, which is its bias"
        ]
    )


@pytest.mark.parametrize(("second", "merged"), [(0, True), (1, False)])
def test_a_kernel_that_reaches_back_over_the_border(second: int, merged: bool) -> None:
    """3x3 up -> 3x3 down: exact only if nothing is padded between them."""
    b = Builder(1)
    x = zeros_around(b, "input", 2 - second)
    y = valid(b, valid(b, x, 4, 64, 3, bias=0), 64, 4, 3, pads=second)
    b.node("Relu", y, out="output")
    model, graph = opened(b)
    _, said = collapsed(graph)
    assert [n.op_type for n in graph.nodes] == (["Conv", "Relu"] if merged else ["Conv", "Conv", "Relu"])
    assert any("from outside back into the picture" in sentence for sentence in refusals(said)) == (not merged)
    check_equal(model, graph, (5, 7), (1, 2))


@pytest.mark.parametrize(("number", "merged"), [(0.3, True), (0.0, False)])
def test_padding_with_the_bias_is_exact(number: float, merged: bool) -> None:
    b = Builder(1)
    w = b.const(b.rng.normal(0, 1, (8, 4, 1, 1)))
    x = b.node("Conv", "input", w, b.const(np.full(8, 0.3)), kernel_shape=[1, 1])
    x = b.node("Pad", x, b.const([0, 0, 1, 1] * 2, np.int64), b.const(number))
    b.node("Relu", valid(b, x, 8, 4, 3), out="output")
    model, graph = opened(b)
    collapse.apply(graph)
    assert ([n.op_type for n in graph.nodes] == ["Conv", "Relu"]) == merged
    check_equal(model, graph, (5, 7))


def test_a_block_with_zeros_around_its_biases_is_merged_as_far_as_it_is_exact() -> None:
    b = Builder(1)
    b.node("Relu", ecb(b, "input", 4, 4, exact=False), out="output")
    model, graph = opened(b)
    merges, said = collapsed(graph)
    assert [(m.nodes, m.kernel) for m in merges] == [(2, (3, 3))]  # the plain 3x3 and the identity
    assert len(refusals(said)) == 1
    assert "and 1 more pairs" in said[-1]
    check_equal(model, graph, (5, 7))


@pytest.mark.parametrize("kind", ["depthwise-separable", "bottleneck", "mix and groups", "dilated", "small stack"])
def test_what_would_grow_stays(kind: str) -> None:
    b = Builder(1)
    x = "input"
    match kind:
        case "depthwise-separable":
            x = b.conv(b.conv(x, 8, 8, 3, groups=8), 8, 8, 1)
        case "bottleneck":
            x = valid(b, valid(b, zeros_around(b, x, 1), 8, 2, 1), 2, 8, 3)
        case "mix and groups":
            x = b.conv(b.conv(x, 8, 8, 1, bias=0), 8, 8, 3, groups=4)
        case "dilated":
            w = b.const(b.rng.normal(0, 1, (8, 8, 3, 3)))
            x = b.conv(b.node("Conv", x, w, pads=[2] * 4, dilations=[2, 2]), 8, 8, 1)
        case _:
            x = valid(b, valid(b, x, 8, 8, 3), 8, 8, 3)
    b.node("Relu", x, out="output")
    _, graph = opened(b, 8)
    before = list(graph.nodes)
    assert collapsed(graph) == ((), ())
    assert graph.nodes == before


def test_what_fits_into_a_larger_kernel_is_free() -> None:
    """A dilated 3x3 and an unevenly padded 2x3 beside a 5x5."""
    b = Builder(1)
    parts = [b.conv("input", 4, 4, 5)]
    for shape, more in (((3, 3), {"pads": [2] * 4, "dilations": [2, 2]}), ((2, 3), {"pads": [0, 1, 1, 1]})):
        parts.append(b.node("Conv", "input", b.const(b.rng.normal(0, 0.1, (4, 4, *shape))), **more))
    b.node("Relu", add(b, parts), out="output")
    model, graph = opened(b)
    merges, _ = collapsed(graph)
    assert [(m.nodes, m.kernel, m.macs_before, m.macs_after) for m in merges] == [(5, (5, 5), 640, 400)]
    check_equal(model, graph, (5, 7), (1, 1))


@pytest.mark.parametrize("net", [xlsr, abpn, espcn, fsrcnn, sesr])
def test_plain_networks_have_nothing_to_merge(net: object) -> None:
    sr = normalize(net())
    assert sr.merges == ()
    assert not any("merge" in change for change in sr.changes if "parallel" not in change)


def test_values_used_elsewhere_stay() -> None:
    """The 1x1 is needed by a Relu, so that merging it into the 3x3 would save nothing of it."""
    b = Builder(1)
    mixed = valid(b, zeros_around(b, "input", 1), 4, 16, 1)
    b.node("Relu", b.node("Add", valid(b, mixed, 16, 4, 3), valid(b, b.node("Relu", mixed), 16, 4, 3)), out="output")
    model, graph = opened(b)
    assert collapsed(graph)[0] == ()
    assert [n.op_type for n in graph.nodes] == ["Conv", "Conv", "Relu", "Conv", "Add", "Relu"]
    check_equal(model, graph, (5, 7))


def test_a_chain_is_merged_in_the_parts_that_are_cheapest() -> None:
    """Up and down three times, padded once: one 7x7 would cost more than three 3x3."""
    b = Builder(1)
    x = zeros_around(b, "input", 3)
    for _ in range(3):
        x = valid(b, valid(b, x, 4, 32, 3), 32, 4, 1)
    b.node("Relu", x, out="output")
    model, graph = opened(b)
    merges, _ = collapsed(graph)
    assert [m.kernel for m in merges] == [(3, 3)] * 3
    check_equal(model, graph, (5, 7), (1, 1))


def test_a_sum_with_other_values_is_merged_around_them() -> None:
    b = Builder(1)
    other = b.node("Relu", b.conv("input", 4, 4))
    x = b.node("Add", sesr_block(b, "input", 4, 4), other)
    last = valid(b, "input", 4, 4, 1)
    x = b.node("Add", x, last)
    b.node("Relu", b.node("Mul", x, b.const(np.full((1, 4, 1, 1), 0.5))), out="output")
    model, graph = opened(b)
    merges, _ = collapsed(graph)
    assert [m.kernel for m in merges] == [(3, 3)]
    assert merges[0].result == last
    assert [n.op_type for n in graph.nodes] == ["Conv", "Conv", "Relu", "Add", "Mul", "Relu"]
    check_equal(model, graph, (5, 7))


def test_a_deep_network_without_activations_is_no_work() -> None:
    b = Builder(1)
    x = "input"
    for _ in range(40):
        x = b.node("Mul", sesr_block(b, x, 4, 4), b.const(0.5))
    b.node("Relu", x, out="output")
    model, graph = opened(b)
    assert len(collapsed(graph)[0]) == 40
    assert work(graph) == (41, 40 * 4 * 4 * 9)
    check_equal(model, graph, (5, 7))
