"""The variants of a network and of how it is shown: how it is quantized, and how its result becomes pixels."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from networks import static_int8, with_clip
from runtimes import picture_of
from subject import Pixels, Subject
from toolchain.images.metrics import luma
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.calibrate import measure_ranges
from toolchain.quantize.calibrated import round_weights
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.plan import make_plan
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.reference.program import parse
from toolchain.reference.quantization import Quantization
from toolchain.workflows.evaluate import Picture, float_upscale, upscaled

Settled = Mapping[str, Any]
Show = Callable[[Pixels], Picture]


def in_float(subject: Subject, settings: Settled) -> onnx.ModelProto:
    """The normalized network, its clip taken off."""
    return subject.sr.model


def by_extremes(subject: Subject, settings: Settled) -> onnx.ModelProto:
    """INT8 by the extremes of every tensor, the output too, on the crops named; nothing is balanced or corrected."""
    sr = subject.sr
    plan = make_plan(sr, pin_output=False)
    ranges = measure_ranges(sr, plan, images_of(subject, settings), {}, "minmax")
    width = sr.value_range[1] - sr.value_range[0]
    quantizations = {name: Quantization.of_range(r.low, r.high, fallback=width) for name, r in ranges.items()}
    quantizations.update(dict.fromkeys(plan.pinned, pixel_quantization(sr.value_range)))
    return write_qdq(sr, plan, quantizations, *round_weights(sr, plan, quantizations, "minmax"))


def by_clipfree(subject: Subject, settings: Settled) -> onnx.ModelProto:
    """What ``clipfree deploy`` quantizes with these ``Settings``."""
    return quantize(subject.sr, subject.photographs.read(subject.sr.channels).images, Settings(**settings)).model


def by_onnxruntime(subject: Subject, settings: Settled) -> onnx.ModelProto:
    """INT8 by onnxruntime's static quantization, with the network's clip or without, the input pinned or not."""
    sr = subject.sr
    pixels = {"scale": np.array(subject.step, np.float32), "zero_point": np.array(0, np.uint8)}
    pinned = {"TensorQuantOverrides": {"input": [pixels]}} if settings["pinned_input"] else {}
    with tempfile.TemporaryDirectory() as name:
        source, result = Path(name, "float.onnx"), Path(name, "int8.onnx")
        onnx.save(with_clip(sr.model, *sr.value_range) if settings["clip"] else sr.model, source)
        feeds = (to_float(image, sr.value_range) for image in images_of(subject, settings))
        static_int8(source, result, feeds, **pinned)
        return onnx.load(result)


def images_of(subject: Subject, settings: Settled) -> Sequence[Pixels]:
    """The crops called "natural" or "tamed"."""
    tamed = settings["images"] == "tamed"
    return [image.pixels for image in subject.representative.images] if tamed else subject.natural


def shown_saturated(model: onnx.ModelProto, subject: Subject) -> Show:
    """A float network; what it gives beyond the pixels saturates, as a clip and any screen do."""
    return _enlarging(float_upscale(model, subject.sr.value_range, threads=1), subject)


def shown_exactly(model: onnx.ModelProto, subject: Subject) -> Show:
    """A QDQ network in onnxruntime, in arithmetic that saturates on no processor."""
    return _in_onnxruntime(model, subject, "onnxruntime, exact", old=False)


def shown_without_vnni(model: onnx.ModelProto, subject: Subject) -> Show:
    """The same by default on an emulated processor with AVX2 and no VNNI, as many users have it."""
    return _in_onnxruntime(model, subject, "onnxruntime", old=True)


def _in_onnxruntime(model: onnx.ModelProto, subject: Subject, runtime: str, *, old: bool) -> Show:
    def upscale(pixels: Pixels) -> Pixels:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name, "model.onnx")
            onnx.save(model, path)
            return picture_of(runtime, path, pixels, subject.step, old=old)

    return _enlarging(upscale, subject)


def shown_as_is(model: onnx.ModelProto, subject: Subject) -> Show:
    """A float network, rounded but not saturated. RGB of a luma network is: no colour has such a luma."""
    network = FloatModel(model)

    def show(low: Pixels) -> Picture:
        made: list[npt.NDArray[np.int32]] = []

        def upscale(pixels: Pixels) -> Pixels:
            planes = network.run(to_float(pixels, subject.sr.value_range))[0]
            made.append(np.rint(planes.transpose(1, 2, 0) / np.float32(subject.step)).astype(np.int32))
            return np.clip(made[-1], 0, 255).astype(np.uint8)

        rgb, _ = upscaled(low, upscale, subject.sr.channels, subject.sr.scale)
        return (rgb if subject.sr.channels == 1 else made[-1]), luma(made[-1])

    return show


def shown_codes(model: onnx.ModelProto, subject: Subject) -> Show:
    """The integer network's codes, taken as pixels."""
    return _enlarging(IntegerReference(model).run, subject)


def shown_through_a_clip(model: onnx.ModelProto, subject: Subject) -> Show:
    """The integer network's codes through a clip of its own, which also requantizes them to pixels."""
    reference, codes = IntegerReference(model), np.arange(256, dtype=np.uint8)
    real = parse(model).result.quantization.dequantize(codes)
    pixels = np.clip(np.rint(real / np.float32(subject.step)), 0, 255).astype(np.uint8)
    return _enlarging(lambda low: pixels[reference.run(low)], subject)


def _enlarging(upscale: Callable[[Pixels], Pixels], subject: Subject) -> Show:
    return lambda low: upscaled(low, upscale, subject.sr.channels, subject.sr.scale)
