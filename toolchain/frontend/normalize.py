"""The normalization stage: any float super-resolution ONNX model in, one canonical form out."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import checker

from toolchain.frontend import halo as receptive_field
from toolchain.frontend import value_range as ranges
from toolchain.frontend.explain import refusal
from toolchain.frontend.graph import Graph
from toolchain.frontend.interface import Interface, free_size, random_picture, read_interface
from toolchain.frontend.load import is_quantized
from toolchain.frontend.model import Clip, Merge, SRModel
from toolchain.frontend.passes import (
    affine,
    anchor,
    batch,
    biases,
    border_fill,
    channels,
    clips,
    collapse,
    constants,
    early,
    final_clip,
    float32,
    inline,
    layout,
    names,
    nearest,
    noops,
    opset,
    pads,
    parallel,
    pixel_ends,
    pixel_scale,
    prelu,
    shuffle,
    sizes,
    transposed,
    windows,
)
from toolchain.frontend.probe import run
from toolchain.frontend.source import Source
from toolchain.support.errors import ModelError

TOLERANCE = 1e-4
"""Largest deviation of the normalized model from its source, as a part of the value range."""

NARROW_TOLERANCE = 2e-2
"""The same where the source itself computes with float16 or bfloat16."""

_ROUNDING = 0.51 / 255
"""What rounding to pixels, which is not part of the normalized model, changes."""

_SIZES = ((23, 17), (19, 27))
_ROUND_SIZE = (32, 48)
_ANY_SIZE = "networks that halve pictures (strides, SpaceToDepth) before enlarging them cannot be deployed"
_FAULT = "this is a fault of clipfree: please report it with the model"


def normalize(model: onnx.ModelProto, *, value_range: str | None = None, name: str | None = None) -> SRModel:
    """Bring a float model (from ``load_model``) to the canonical form described in ``SRModel``.

    Args:
        model: any float super-resolution network; not changed.
        value_range: "0..1", "0..255" or "-1..1" of the output at least, or two with a colon between for input and
            output, or None to find it out.
        name: what to call it; by default the graph's own name.

    Raises:
        ModelError: not a picture-to-picture network, an opset that cannot be converted, a range that cannot be told,
            no whole scale, a size that is baked in beyond repair, or (never silently) a result that differs.
    """
    if is_quantized(model):
        raise ModelError("the model is quantized already", hint="only float models are normalized")
    changes: list[str] = []
    # 1. Plain operators of ai.onnx only, no functions, no unused parts.
    model, said = inline.apply(model)
    # 2. float32 everywhere, one picture of floats at either end. The source keeps all but float64, for which
    #    onnxruntime has few operators.
    changes += [said, float32.apply(model, float32.DOUBLE)]
    interface = read_interface(model)
    if interface.freed:
        free_size(model)
    source = Source(model, interface)
    narrow = float32.apply(model, float32.NARROW)
    changes += [pixel_ends.apply(model), batch.apply(model, interface.batch), narrow]
    # 3. Opset 17.
    model, said = opset.apply(model)
    changes.append(said)
    found = _rewritten(model, interface, None)
    errors = {} if _told(value_range, found) else ranges.follow(found.plain, interface.channels, found.scale)
    ends = ranges.choose(value_range, found.limits, found.pixels.value_range, errors)
    if not ends.alike:
        found = _rewritten(model, interface, ends)
    bounds = ends.input if ends.alike else ranges.UNIT
    tolerance = NARROW_TOLERANCE if narrow else TOLERANCE
    _compare(source, found, bounds[1], tolerance)
    return SRModel(
        model=found.plain,
        name=_file_name(name or found.name),
        channels=interface.channels,
        scale=found.scale,
        value_range=bounds,
        clip=found.clip,
        halo=found.halo,
        changes=tuple(dict.fromkeys(c for c in (*changes, *found.changes) if c)),
        merges=found.merges,
    )


@dataclass(frozen=True, eq=False)
class _Rewritten:
    """A model in the canonical form, and what was found on the way, as `SRModel` has it.

    ``limits``: of the clip that it ends in, whatever they are. ``pixels``: what its ends were.
    """

    plain: onnx.ModelProto
    name: str
    scale: int
    halo: int
    clip: Clip | None
    limits: tuple[float, float] | None
    pixels: pixel_scale.PixelScale
    merges: tuple[Merge, ...]
    changes: tuple[str, ...]


def _told(value_range: str | None, found: _Rewritten) -> bool:
    """Whether nobody need ask how the model behaves: what its input takes is said only where nothing is negative."""
    if value_range is not None:
        return value_range in ("0..1", "0..255") or ":" in value_range
    return found.clip is not None or found.pixels.value_range is not None


def _rewritten(model: onnx.ModelProto, interface: Interface, ends: ranges.Ends | None) -> _Rewritten:
    """All that is done to the graph, with ``ends`` made 0..1 if they are given."""
    changes: list[str] = []
    graph, clip, limits, pixels, merges = _rewrite(model, interface, ends, changes)
    # 19. The ends are called "input" and "output", every node has a name.
    names.apply(graph)
    plain = _model(graph, interface.channels)
    scale = _scale(plain, interface.channels)
    return _Rewritten(
        plain, graph.name, scale, receptive_field.halo(graph, scale), clip, limits, pixels, merges, tuple(changes)
    )


def _rewrite(
    model: onnx.ModelProto, interface: Interface, ends: ranges.Ends | None, changes: list[str]
) -> tuple[Graph, Clip | None, tuple[float, float] | None, pixel_scale.PixelScale, tuple[Merge, ...]]:
    """Steps 4 to 18, on the graph opened for editing."""
    graph = Graph(model, interface.shape)
    # 4. Constants are computed now; 5. operators without effect go; borders that are written by index are recognized.
    changes += [constants.apply(graph), noops.apply(graph), constants.apply(graph), border_fill.apply(graph)]
    # 6. Channels-last ends become NCHW; 7. transposes meet and vanish; 8. pixel shuffles are
    #    recognized in any spelling.
    changes.append(layout.open_ends(graph, input_last=interface.channels_last, channels=interface.channels))
    changes += [layout.apply(graph), shuffle.apply(graph), layout.apply(graph), noops.apply(graph)]
    # 9. Paddings are explicit, sizes that were baked in or computed become factors; choices of channels and crops
    #    get one spelling.
    changes += [pads.apply(graph), sizes.apply(graph), channels.apply(graph)]
    changes.append(windows.apply(graph, fixed=interface.fixed))
    # 10. Both ends have one value range; every convolution has a bias.
    limits = final_clip.limits(graph)
    pixels = pixel_scale.apply(graph, pixels=interface.integer_input and interface.integer_output, ends=ends)
    changes += [pixels.said, biases.apply(graph)]
    # 11. Scalings, offsets and batch normalization are folded into convolutions.
    changes.append(affine.apply(graph))
    # 12. The final clip is taken off.
    clip, said = final_clip.apply(graph)
    changes.append(said)
    # 13. Spelled-out activations become PRelu or Relu; 14. other limits get one spelling.
    changes += [prelu.apply(graph), biases.apply(graph), clips.apply(graph)]
    # 15. Transposed convolutions become convolutions with a pixel shuffle; 16. activations move before the shuffle.
    changes += [transposed.apply(graph), early.apply(graph)]
    # 17. Linear branches are merged: they stand out once activations are recognized and sums precede shuffles.
    #     The anchor that is added to the output, now that of one convolution, gets one spelling,
    #     other enlargements by nearest neighbours another.
    merges, sentences = collapse.apply(graph)
    changes += [*sentences, anchor.apply(graph), nearest.apply(graph)]
    # 18. Parallel convolutions of one input become one.
    changes.append(parallel.apply(graph))
    if interface.fixed:
        changes.append("freed the picture's size, which was fixed to {}x{}".format(*interface.declared))
    return graph, clip, limits, pixels, merges


def _model(graph: Graph, channels: int) -> onnx.ModelProto:
    model = graph.to_model(
        input_shape=(1, channels, "height", "width"), output_shape=(1, channels, "height_out", "width_out")
    )
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        raise refusal("the normalized model is not valid", error, hint=_FAULT) from error
    return model


def _scale(model: onnx.ModelProto, channels: int) -> int:
    """Output pixels per input pixel, the same at two sizes and in both directions."""
    found: set[int] = set()
    for height, width in _SIZES:
        try:
            found |= _factors(model, channels, height, width)
        except ModelError as error:
            if not _takes(model, channels, _ROUND_SIZE):
                raise
            raise ModelError(
                f"the model takes pictures of {_ROUND_SIZE[0]}x{_ROUND_SIZE[1]}, but not of {height}x{width} pixels",
                hint=_ANY_SIZE,
            ) from error
    if len(found) != 1 or 0 in found:
        raise ModelError(
            f"the model scales height and width differently ({sorted(found)})", hint="is it a super-resolution network?"
        )
    return int(found.pop())


def _takes(model: onnx.ModelProto, channels: int, size: tuple[int, int]) -> bool:
    try:
        return bool(_factors(model, channels, *size))
    except ModelError:
        return False


def _factors(model: onnx.ModelProto, channels: int, height: int, width: int) -> set[int]:
    try:
        shape = run(model, np.zeros((1, channels, height, width), np.float32)).shape
    except ModelError as error:
        baked = next((n for n in model.graph.node if n.op_type == "Reshape"), None)
        if baked is None:
            raise ModelError(error.message, hint="it must take pictures of any size") from error
        raise ModelError(
            f"operator Reshape '{baked.name}' has a picture's size written into it, and what it does to "
            f"pixels is no pixel shuffle: it takes no picture of {height}x{width}",
            hint="enlarge with the framework's own pixel shuffle, whose order this is not",
        ) from error
    if len(shape) == 4 and shape[1] != channels and not (shape[2] % height or shape[3] % width):
        raise ModelError(
            f"the model takes pictures of {channels} channel{'s' * (channels > 1)} and gives {shape[1]}",
            hint="networks that keep the channels, 1 (Y) or 3 (RGB), can be deployed",
        )
    if len(shape) != 4 or shape[:2] != (1, channels) or shape[2] % height or shape[3] % width:
        raise ModelError(
            f"the model makes {tuple(shape)} of an input of (1, {channels}, {height}, {width})",
            hint="a super-resolution network multiplies height and width by a whole number",
        )
    return {shape[2] // height, shape[3] // width}


def _compare(source: Source, found: _Rewritten, peak: float, tolerance: float) -> None:
    """Both models on one picture of a size that the source accepts."""
    interface, pixels, clip = source.interface, found.pixels, found.clip
    x = random_picture(interface.shape, peak)
    if interface.integer_input:  # whole numbers are what it takes
        x = np.rint(x * np.float32(pixels.input_factor)) / np.float32(pixels.input_factor)
    want = pixels.from_source(source.run(pixels.to_source(x)))
    got = run(found.plain, x.transpose(0, 3, 1, 2) if interface.channels_last else x)
    if clip is not None:
        got = np.clip(got, np.float32(clip.low), np.float32(clip.high))
    if want.shape != got.shape:
        want = want.transpose(0, 3, 1, 2)
    with np.errstate(all="ignore"):
        difference = float(np.abs(want - got).max()) / peak if want.shape == got.shape else float("inf")
    if not np.isfinite(want).all():
        raise ModelError("the model's output is not finite", hint="are its weights sound, and is it whole?")
    if not difference <= tolerance + _ROUNDING * interface.integer_output:
        raise ModelError(
            f"the normalized model differs from its source by {difference:.1e} of the value range", hint=_FAULT
        )


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[:64] or "model"
