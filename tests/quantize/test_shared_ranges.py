"""Tensors that share a range, or the output's: none of them may be clipped, or rounded coarsely, for another's sake."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.quantize.helpers import picture, psnr, small_model
from toolchain.frontend import SRModel
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.equalize import equalize, find_sites, measure_channels, share_ranges
from toolchain.quantize.plan import make_plan
from toolchain.workflows.evaluate import float_upscale

PLAIN = Settings(crop=40, crops_per_image=2, equalize=False)
BALANCED = replace(PLAIN, equalize=True)
Constants = dict[str, np.ndarray]


def conv(
    source: str,
    name: str,
    channels: tuple[int, int],
    constants: Constants,
    *,
    gain: float = 1.0,
    offset: float = 0.0,
    size: int = 3,
    pad: int = 1,
) -> onnx.NodeProto:
    """A convolution that passes its input's channels on, ``gain`` times as large, with some texture."""
    inputs, outputs = channels
    rng = np.random.default_rng(len(constants))
    weight = rng.normal(0, 0.05, (outputs, inputs, size, size))
    weight[np.arange(outputs), np.arange(outputs) % inputs, size // 2, size // 2] += 1
    constants[f"{name}.weight"] = (gain * weight).astype(np.float32)
    constants[f"{name}.bias"] = np.full(outputs, offset, np.float32)
    return helper.make_node("Conv", [source, f"{name}.weight", f"{name}.bias"], [name], name=name, pads=[pad] * 4)


def clip(source: str, name: str, low: float, high: float, constants: Constants) -> onnx.NodeProto:
    constants |= {f"{name}.low": np.float32(low), f"{name}.high": np.float32(high)}
    return helper.make_node("Clip", [source, f"{name}.low", f"{name}.high"], [name], name=name)


def shuffle(source: str) -> onnx.NodeProto:
    return helper.make_node("DepthToSpace", [source], ["output"], name="shuffle", blocksize=2, mode="CRD")


def closeness(sr: SRModel, settings: Settings = PLAIN, count: int = 3) -> float:
    """PSNR of the integer network against the float one, on a picture that calibration has not seen."""
    model = quantize(sr, [picture(60, 60, 3, seed) for seed in range(count)], settings)
    pixels = picture(40, 50, 3, 9)
    return psnr(IntegerReference(model.model).run(pixels), float_upscale(sr.model, sr.value_range)(pixels))


def test_a_tensor_that_the_output_holds_and_another_layer_reads_is_not_clipped_to_pixels() -> None:
    constants: Constants = {}
    nodes = [
        conv("input", "first", (3, 6), constants, gain=1.8, offset=-0.4),
        conv("first", "second", (6, 6), constants, gain=0.6),
        helper.make_node("Concat", ["first", "second"], ["both"], name="both", axis=1),
        shuffle("both"),
    ]
    sr = small_model(nodes, constants, scale=2)
    plan = make_plan(sr)
    assert {plan.group[name] in plan.pinned for name in ("second", "both")} == {True}
    assert plan.group["first"] not in plan.pinned
    assert closeness(sr) > 44


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("clipped", [False, True], ids=["clip at the end", "clip before"])
def test_a_clip_stands_where_the_network_has_it_before_or_behind_a_resize(kind: str, clipped: bool) -> None:
    constants: Constants = {"scales": np.array([1, 1, 2, 2], np.float32)}
    nodes = [conv("input", "first", (3, 3), constants, gain=2.2, offset=-0.6)]
    if clipped:
        nodes.append(clip("first", "clipped", 0, 1, constants))
    nodes.append(helper.make_node("Resize", [nodes[-1].output[0], "", "scales"], ["output"], name="resize", mode=kind))
    assert closeness(small_model(nodes, constants, scale=2)) > 44


@pytest.mark.parametrize("bounds", [(0.0, 0.3), (-0.1, 5.0), (-9.0, 0.3)])
def test_a_clip_inside_does_not_clip_what_is_concatenated_with_it(bounds: tuple[float, float]) -> None:
    constants: Constants = {}
    nodes = [
        conv("input", "small", (3, 6), constants),
        clip("small", "limited", *bounds, constants),
        conv("input", "large", (3, 6), constants, gain=2.0, offset=-0.8),
        helper.make_node("Concat", ["limited", "large"], ["both"], name="both", axis=1),
        conv("both", "last", (12, 12), constants, gain=0.4),
        shuffle("last"),
    ]
    assert closeness(small_model(nodes, constants, scale=2)) > 38


def joined(ranges: tuple[float, float], constants: Constants, *, limited: bool) -> list[onnx.NodeProto]:
    """Two tensors of so different ranges side by side, equally important to the last convolution.

    ``limited``: the second ends with a clip, which never acts, and through which channels cannot be balanced.
    """
    nodes = [
        conv("input", "first", (3, 6), constants, gain=ranges[0]),
        helper.make_node("Relu", ["first"], ["positive"], name="positive"),
        conv("input", "second", (3, 6), constants, gain=ranges[1]),
    ]
    if limited:
        nodes.append(clip("second", "limited", 0, 1e4 * ranges[1], constants))
    second = nodes[-1].output[0]
    nodes += [
        helper.make_node("Concat", ["positive", second], ["both"], name="both", axis=1),
        conv("both", "last", (12, 12), constants),
        shuffle("last"),
    ]
    weight = constants["last.weight"]
    weight[:, :6] /= 2 * ranges[0]
    weight[:, 6:] /= 2 * ranges[1]
    weight[np.arange(6), np.arange(6) + 6, 1, 1] += 0.5 / ranges[1]
    return nodes


@pytest.mark.parametrize("limited", [False, True], ids=["both balanced", "one fixed"])
@pytest.mark.parametrize("ranges", [(1.0, 1000.0), (1000.0, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_tensors_side_by_side_may_have_very_different_ranges(
    ranges: tuple[float, float], limited: bool, peak: float
) -> None:
    constants: Constants = {}
    nodes = joined(ranges, constants, limited=limited)
    sr = small_model(nodes, constants, scale=2, value_range=(0.0, peak))
    assert closeness(sr, BALANCED) > 42


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_pixels_side_by_side_with_features(peak: float) -> None:
    constants: Constants = {}
    nodes = [
        conv("input", "first", (3, 6), constants, gain=40.0),
        helper.make_node("Concat", ["input", "first"], ["both"], name="both", axis=1),
        conv("both", "last", (9, 12), constants, gain=0.3),
        shuffle("last"),
    ]
    constants["last.weight"][:, 3:] /= 40
    sr = small_model(nodes, constants, scale=2, value_range=(0.0, peak))
    assert closeness(sr, BALANCED) > 42


@pytest.mark.parametrize("offset", [100.0, -100.0, 0.3])
def test_a_large_offset_is_moved_into_the_bias_of_the_reader(offset: float) -> None:
    constants: Constants = {}
    nodes = [
        conv("input", "first", (3, 8), constants, offset=offset),
        conv("first", "last", (8, 12), constants, size=1, pad=0),
        shuffle("last"),
    ]
    constants["last.bias"] -= offset * constants["last.weight"].sum(axis=(1, 2, 3))
    assert closeness(small_model(nodes, constants, scale=2), BALANCED) > 42


@pytest.mark.parametrize(("carries", "span"), [(1.0, 0.25), (0.1, 0.025), (0.0, 0.002)])
def test_a_small_channel_gets_codes_for_what_it_carries_and_keeps_room(carries: float, span: float) -> None:
    """A channel a thousandth as large as the others, read by weights that make it as important, less, or not at all.

    It may become four times as large on other pictures as it was here; where it carries nothing it is widened twice.
    """
    constants: Constants = {}
    nodes = [
        conv("input", "first", (3, 6), constants),
        conv("first", "last", (6, 12), constants),
        shuffle("last"),
    ]
    first, last = constants["first.weight"], constants["last.weight"]
    first[5], last[:, 5] = first[2] / 1000, last[:, 2] * 1000 * carries
    sr = small_model(nodes, constants, scale=2)
    groups = share_ranges(sr, make_plan(sr), find_sites(sr))
    crops = [picture(40, 40, 3)]
    balanced = equalize(sr, groups, measure_channels(sr, groups, crops, "minmax"), 2.0)
    after = measure_channels(balanced, groups, crops, "minmax")["first"]
    reach = np.maximum(after.high, -after.low)
    assert reach[5] / reach.max() == pytest.approx(span, rel=0.2)
