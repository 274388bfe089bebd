"""Tensors that share a range, or the output's: none of them may be clipped, or rounded coarsely, for another's sake."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.quantize.helpers import picture, psnr, small_model
from toolchain.evaluate import float_upscale
from toolchain.frontend import SRModel
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.plan import make_plan

PLAIN = Settings(crop=40, crops_per_image=2, equalize=False)
Constants = dict[str, np.ndarray]


def conv(
    source: str, name: str, channels: tuple[int, int], constants: Constants, *, gain: float = 1.0, offset: float = 0.0,
    size: int = 3, pad: int = 1,
) -> onnx.NodeProto:  # fmt: skip
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


def closeness(sr: SRModel, settings: Settings = PLAIN) -> float:
    """PSNR of the integer network against the float one, on a picture that calibration has not seen."""
    model = quantize(sr, [picture(60, 60, 3, seed) for seed in range(3)], settings)
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
    nodes.append(
        helper.make_node("Resize", [nodes[-1].output[0], "", "scales"], ["output"], name="resize", mode=kind)
    )
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
