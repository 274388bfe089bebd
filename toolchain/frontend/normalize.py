"""The normalization stage: any float super-resolution ONNX model in, one canonical form out."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import onnx
from onnx import checker, shape_inference

from toolchain.frontend import halo as receptive_field
from toolchain.frontend import pipeline
from toolchain.frontend import value_range as ranges
from toolchain.frontend.explain import refusal
from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph
from toolchain.frontend.interface import PROBE_SIZE, Interface, free_size, random_picture, read_interface
from toolchain.frontend.load import is_quantized
from toolchain.frontend.model import SRModel
from toolchain.frontend.passes.base import GraphPass, Pass, Subject
from toolchain.frontend.pipeline import find_pass, find_passes, run_passes
from toolchain.frontend.planes import find_planes, into_pictures
from toolchain.frontend.probe import run, session
from toolchain.frontend.source import ModelSource, accepted
from toolchain.frontend.unfit import CONVOLUTIONS, attention
from toolchain.frontend.unit import find_unit, named
from toolchain.frontend.whole_picture import OF_PICTURES
from toolchain.images.scale import plain as plain_scale
from toolchain.images.units import in_units
from toolchain.support.dump import Dump, no_dump
from toolchain.support.errors import ModelError

TOLERANCE = 1e-4
"""Largest deviation of the normalized model from its source, as a part of the value range."""

NARROW_TOLERANCE = 2e-2
"""The same where the source itself computes with float16 or bfloat16."""

_ROUNDING = 0.51 / 255
"""What rounding to pixels, which is not part of the normalized model, changes."""

_SIZES = ((23, 17), (19, 27))
_LARGER = ((95, 71), (79, 111))
"""Sizes of which more is left where pictures are mirrored at their borders by as many pixels as smaller ones have."""

_ROUND_SIZE = (32, 48)
_ANY_SIZE = "it must take all pictures whose sides are multiples of what it divides them by"
_FAULT = "this is a fault of clipfree: please report it with the model"


def normalize(
    model: onnx.ModelProto,
    *,
    value_range: str | None = None,
    likely: str | None = None,
    name: str | None = None,
    passes: Sequence[str] = pipeline.REWRITE,
    dump: Dump = no_dump,
) -> SRModel:
    """Bring a float model (from ``load_model``) to the canonical form described in ``SRModel``.

    Args:
        model: any float super-resolution network; not changed.
        value_range: "0..1", "0..255" or "-1..1" of the output at least, or two with a colon between for input and
            output, or None to find it out.
        likely: "0..1" or "0..255", taken where nothing tells what it is; None: that is refused.
        name: what to call it; by default the graph's own name.
        passes: names of the passes on the graph, in order.
        dump: where the model is written as it is after each pass.

    Raises:
        ModelError: not a picture-to-picture network, an opset that cannot be converted, a range that cannot be told,
            no whole scale, a size that is baked in beyond repair, or (never silently) a result that differs.
    """
    if is_quantized(model):
        raise ModelError("the model is quantized already", hint="only float models are normalized")
    steps = find_passes(passes, Graph)
    plain, source, facts = _opened(model, value_range, dump)
    found = _rewritten(plain, facts, steps, dump)
    told = _told(value_range, found.facts)
    errors = {} if told else ranges.follow(_runner(found.plain, found.unit), facts.interface.channels, found.scale)
    ends = ranges.choose(value_range, found.facts.limits, found.facts.pixels.value_range, errors, likely)
    if facts.planes not in (None, ends.input):  # the middle of its range is another
        return normalize(model, value_range=str(ends), name=name, passes=passes, dump=dump)
    if not ends.alike:
        found = _rewritten(plain, replace(facts, ends=ends), steps, dump)
    bounds = ends.input if ends.alike else ranges.UNIT
    _compare(source, found, bounds[1], NARROW_TOLERANCE if facts.narrow else TOLERANCE)
    known = found.facts
    return SRModel(
        model=found.plain,
        name=_file_name(name or found.name),
        channels=known.interface.channels,
        scale=found.scale,
        unit=found.unit,
        value_range=bounds,
        clip=known.clip,
        halo=found.halo,
        changes=tuple(dict.fromkeys(known.changes)),
        merges=known.merges,
    )


def _runner(model: onnx.ModelProto, unit: int) -> Callable[[Array], Array]:
    ready = session(model)
    return in_units(lambda planes: ready.run(None, planes)[0], unit, (2, 3))


def _told(value_range: str | None, facts: Facts) -> bool:
    """Whether nobody need ask how the model behaves: what its input takes is said only where nothing is negative."""
    if value_range is not None:
        return value_range in ("0..1", "0..255") or ":" in value_range
    return facts.clip is not None or facts.pixels.value_range is not None


def _opened(model: onnx.ModelProto, value_range: str | None, dump: Dump) -> tuple[onnx.ModelProto, ModelSource, Facts]:
    """Return a copy of the model with plain ends in opset 17, the source that it is held against, and what is known."""
    steps = find_passes((*pipeline.READ, *pipeline.OPEN), onnx.ModelProto)
    read, open_up = steps[: len(pipeline.READ)], steps[len(pipeline.READ) :]
    watch = _dumped(dump, lambda model: model)
    plain = onnx.ModelProto.FromString(model.SerializeToString())
    facts = _of_pictures(plain, run_passes(read, plain, Facts(), watch), value_range)
    dump("pictures", ".onnx", plain.SerializeToString)
    facts = replace(facts, interface=read_interface(plain))
    if facts.interface.freed:
        free_size(plain)
    if not facts.interface.fixed or facts.interface.freed:
        facts = replace(facts, interface=accepted(plain, facts.interface))
    source = ModelSource(plain, facts.interface)
    return plain, source, run_passes(open_up, plain, facts, watch)


def _of_pictures(model: onnx.ModelProto, facts: Facts, value_range: str | None) -> Facts:
    """Make a network of other planes than a picture's one of pictures, in place."""
    found = find_planes(model)
    if found is None:
        return facts
    interface = Interface(found.taken, False, (1, found.taken, *PROBE_SIZE))
    facts = run_passes([find_pass("opset", onnx.ModelProto)], model, replace(facts, interface=interface))
    bounds = ranges.alike(value_range)
    return replace(facts, planes=bounds).said(into_pictures(model, found, *bounds))


@dataclass(frozen=True, eq=False)
class _Rewritten:
    """A model in the canonical form, and what was found on the way, as `SRModel` has it."""

    plain: onnx.ModelProto
    name: str
    scale: int | Fraction
    unit: int
    halo: int
    facts: Facts


def _rewritten(model: onnx.ModelProto, facts: Facts, passes: Sequence[GraphPass], dump: Dump) -> _Rewritten:
    """All that is done to the graph."""
    interface = facts.interface
    graph = Graph(model, interface.shape)
    dump("graph", ".onnx", lambda: _viewed(graph).SerializeToString())
    facts = run_passes(passes, graph, facts, _dumped(dump, _viewed))
    if interface.fixed:
        facts = facts.said("freed the picture's size, which was fixed to {}x{}".format(*interface.declared))
    plain = _model(graph, interface.channels)
    told = facts.interface.unit
    scale, unit = _scale(plain, interface.channels, math.lcm(find_unit(graph), told), whole=told > 1)
    if unit > 1:
        plain = _model(graph, interface.channels, unit)
        facts = facts.said(
            f"takes pictures whose sides are multiples of {unit}: others are extended by their border's pixels, "
            "and the result is cut to size"
        )
    dump("normalized", ".onnx", plain.SerializeToString)
    return _Rewritten(plain, graph.name, scale, unit, receptive_field.halo(graph, scale, unit), facts)


def _dumped(dump: Dump, view: Callable[[Subject], onnx.ModelProto]) -> Callable[[Pass[Subject], Subject], None]:
    """Return what is called after each pass; one that runs again is numbered."""
    seen: Counter[str] = Counter()

    def watch(step: Pass[Subject], subject: Subject) -> None:
        seen[step.name] += 1
        again = f"-{seen[step.name]}" if seen[step.name] > 1 else ""
        dump(step.name.replace("_", "-") + again, ".onnx", lambda: view(subject).SerializeToString())

    return watch


def _viewed(graph: Graph) -> onnx.ModelProto:
    """Return the graph as it is, with the shapes of its values at the size that it is tried at."""
    return shape_inference.infer_shapes(graph.to_model(input_shape=graph.probe, output_shape=None))


def _model(graph: Graph, channels: int, unit: int = 1) -> onnx.ModelProto:
    sides = named("height", unit), named("width", unit)
    model = graph.to_model(input_shape=(1, channels, *sides), output_shape=(1, channels, "height_out", "width_out"))
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        raise refusal("the normalized model is not valid", error, hint=_FAULT) from error
    return model


def _scale(model: onnx.ModelProto, channels: int, unit: int, *, whole: bool) -> tuple[int | Fraction, int]:
    """Output pixels per input pixel, the same at two sizes and in both directions; and the unit that sizes must be
    multiples of, which is 1 where the network takes any as they are and scales by a whole number, else ``unit``.

    ``whole``: it is known to take multiples only.
    """
    try:
        if not whole:
            return _scale_at(model, channels, _SIZES, 1), 1
    except ModelError:
        if unit == 1 and not all(_takes(model, channels, size, 1) for size in _LARGER):
            raise
    small, large = (
        [(max(3, height // unit) * unit, max(2, width // unit) * unit) for height, width in sizes]
        for sizes in (_SIZES, _LARGER)
    )
    return _scale_at(model, channels, small if _takes(model, channels, small[0], unit) else large, unit), unit


def _scale_at(model: onnx.ModelProto, channels: int, sizes: Sequence[tuple[int, int]], unit: int) -> int | Fraction:
    """Output pixels per input pixel at ``sizes``, which are multiples of ``unit``."""
    found: set[Fraction] = set()
    for height, width in sizes:
        try:
            found |= _factors(model, channels, height, width, unit)
        except ModelError as error:
            if sizes is not _SIZES or not _takes(model, channels, _ROUND_SIZE, 1):
                raise
            raise ModelError(
                f"the model takes pictures of {_ROUND_SIZE[0]}x{_ROUND_SIZE[1]}, but not of {height}x{width} pixels",
                hint=_ANY_SIZE,
            ) from error
    if len(found) != 1 or 0 in found:
        raise ModelError(
            f"the model scales height and width differently ({', '.join(map(str, sorted(found)))})",
            hint="is it a super-resolution network?",
        )
    return plain_scale(found.pop())


def _takes(model: onnx.ModelProto, channels: int, size: tuple[int, int], unit: int) -> bool:
    try:
        return bool(_factors(model, channels, *size, unit))
    except ModelError:
        return False


def _factors(model: onnx.ModelProto, channels: int, height: int, width: int, unit: int) -> set[Fraction]:
    try:
        shape = run(model, np.zeros((1, channels, height, width), np.float32)).shape
    except ModelError as error:
        attending = attention(model.graph)
        if attending:
            raise ModelError(
                f"the network is a transformer: {attending} multiplies two tensors that are computed; as it is "
                f"exported it takes no picture of {height}x{width}",
                hint=CONVOLUTIONS,
            ) from error
        baked = next((n for n in _of_pixels(model.graph) if n.op_type == "Reshape"), None)
        if baked is None:
            raise ModelError(error.message, hint="it must take pictures of any size") from error
        raise ModelError(
            f"operator Reshape '{baked.name}' has a picture's size written into it, and what it does to "
            f"pixels is no pixel shuffle: it takes no picture of {height}x{width}",
            hint="enlarge with the framework's own pixel shuffle, whose order this is not",
        ) from error
    if len(shape) == 4 and shape[1] != channels and not (shape[2] * unit % height or shape[3] * unit % width):
        raise ModelError(
            f"the model takes pictures of {channels} channel{'s' * (channels > 1)} and gives {shape[1]}",
            hint=OF_PICTURES,
        )
    broken = len(shape) == 4 and (shape[2] * unit % height or shape[3] * unit % width or shape[2] < height)
    if len(shape) != 4 or shape[:2] != (1, channels) or broken:
        raise ModelError(
            f"the model makes {tuple(shape)} of an input of (1, {channels}, {height}, {width})",
            hint="a super-resolution network multiplies height and width by a number, whole or such as 3/2",
        )
    return {Fraction(shape[2], height), Fraction(shape[3], width)}


def _of_pixels(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of whose first input the picture's pixels are part, not its size alone."""
    known = {graph.input[0].name}
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and known.intersection(node.input):
            known.update(node.output)
            if node.input[0] in known:
                yield node


def _compare(source: ModelSource, found: _Rewritten, peak: float, tolerance: float) -> None:
    """Both models on one picture of a size that the source accepts."""
    interface, pixels, clip = found.facts.interface, found.facts.pixels, found.facts.clip
    x = random_picture(interface.shape, peak)
    if interface.integer_input:  # whole numbers are what it takes
        x = np.rint(x * np.float32(pixels.input_factor)) / np.float32(pixels.input_factor)
    want = pixels.from_source(source.run(pixels.to_source(x)))
    got = run(found.plain, x.transpose(0, 3, 1, 2) if interface.channels_last else x)
    if clip is not None:
        got = np.clip(got, np.float32(clip.low), np.float32(clip.high))
    if want.ndim == 4 and want.shape[1] != got.shape[1]:
        want = want.transpose(0, 3, 1, 2)
    if found.facts.border is not None and want.ndim == got.ndim:
        top, left = found.facts.border
        got = got[..., top : top + want.shape[2], left : left + want.shape[3]]
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
