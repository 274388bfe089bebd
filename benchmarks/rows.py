"""The rows of the quality table: how the same network and photographs become a picture in each of the ways compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from networks import static_int8, with_clip
from subject import Pixels, Subject
from toolchain.evaluate import Picture, float_upscale, upscaled
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.quantize.arithmetic import Quantization
from toolchain.quantize.calibrate import measure_ranges
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.pipeline import round_weights
from toolchain.quantize.plan import make_plan
from toolchain.quantize.program import parse
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.report.metrics import luma

Show = Callable[[onnx.ModelProto, Subject], Callable[[Pixels], Picture]]


@dataclass(frozen=True)
class Network:
    """A network to be made once for all rows that show it.

    Attributes:
        name: of this way to make it.
        make: the ONNX model, out of a subject.
        settings: what else decides the result.
    """

    name: str
    make: Callable[[Subject], onnx.ModelProto]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One way from a network to a picture.

    Attributes:
        name: in the JSON.
        title: in the table.
        meaning: a sentence for those who read the table.
        network: what is made of the subject.
        show: the network as a function from pixels u8 (h, w, 3) to a picture and its luma.
        portable: whether another processor gives the same picture.
    """

    name: str
    title: str
    meaning: str
    network: Network
    show: Show
    portable: bool = True


def by_extremes(subject: Subject, images: Iterable[Pixels]) -> onnx.ModelProto:
    """INT8 by the extremes that ``images`` reach, those of the output included; nothing is balanced or corrected."""
    sr = subject.sr
    plan = make_plan(sr, pin_output=False)
    ranges = measure_ranges(sr, plan, images, {}, "minmax")
    width = sr.value_range[1] - sr.value_range[0]
    quantizations = {name: Quantization.of_range(r.low, r.high, fallback=width) for name, r in ranges.items()}
    quantizations.update(dict.fromkeys(plan.pinned, pixel_quantization(sr.value_range)))
    return write_qdq(sr, plan, quantizations, *round_weights(sr, plan, quantizations, "minmax"))


def by_onnxruntime(subject: Subject, images: Iterable[Pixels], *, clip: bool, **options: object) -> onnx.ModelProto:
    """INT8 by onnxruntime's static quantization of the normalized network, with its clip or without."""
    sr = subject.sr
    with tempfile.TemporaryDirectory() as name:
        source, result = Path(name, "float.onnx"), Path(name, "int8.onnx")
        onnx.save(with_clip(sr.model, *sr.value_range) if clip else sr.model, source)
        static_int8(source, result, (to_float(image, sr.value_range) for image in images), **options)
        return onnx.load(result)


def with_pinned_input(subject: Subject) -> dict[str, object]:
    """onnxruntime's option for an input whose codes are the pixels."""
    pixels = {"scale": np.array(subject.step, np.float32), "zero_point": np.array(0, np.uint8)}
    return {"TensorQuantOverrides": {"input": [pixels]}}


def shown_saturated(model: onnx.ModelProto, subject: Subject) -> Callable[[Pixels], Picture]:
    """A float network; what it gives beyond the pixels saturates, as a clip and any screen do."""
    return _enlarging(float_upscale(model, subject.sr.value_range, threads=1), subject)


def shown_as_is(model: onnx.ModelProto, subject: Subject) -> Callable[[Pixels], Picture]:
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


def shown_codes(model: onnx.ModelProto, subject: Subject) -> Callable[[Pixels], Picture]:
    """The integer network's codes, taken as pixels."""
    return _enlarging(IntegerReference(model).run, subject)


def shown_through_a_clip(model: onnx.ModelProto, subject: Subject) -> Callable[[Pixels], Picture]:
    """The integer network's codes through a clip of its own, which also requantizes them to pixels."""
    reference, codes = IntegerReference(model), np.arange(256, dtype=np.uint8)
    real = parse(model).result.quantization.dequantize(codes)
    pixels = np.clip(np.rint(real / np.float32(subject.step)), 0, 255).astype(np.uint8)
    return _enlarging(lambda low: pixels[reference.run(low)], subject)


def _enlarging(upscale: Callable[[Pixels], Pixels], subject: Subject) -> Callable[[Pixels], Picture]:
    return lambda low: upscaled(low, upscale, subject.sr.channels, subject.sr.scale)


FLOAT = Network("float", lambda subject: subject.sr.model)
EXTREMES = Network("extremes", lambda subject: by_extremes(subject, subject.natural))
CFQP = Network("cfqp", lambda subject: by_extremes(subject, [image.pixels for image in subject.representative.images]))
OURS = Network(
    "ours",
    lambda subject: quantize(subject.sr, subject.photographs.read(subject.sr.channels).images).model,
    asdict(Settings()),
)
ONNXRUNTIME = Network("onnxruntime", lambda subject: by_onnxruntime(subject, subject.natural, clip=True))
ONNXRUNTIME_CFQP = Network(
    "onnxruntime cfqp",
    lambda subject: by_onnxruntime(
        subject, [image.pixels for image in subject.representative.images], clip=False, **with_pinned_input(subject)
    ),
)

ROWS = (
    Row("fp32_clip", "FP32, clip", "the float network and its clip; rounded to 8 bits", FLOAT, shown_saturated),
    Row("fp32", "FP32", "without the clip: rounded, but what leaves 0..255 is left there", FLOAT, shown_as_is),
    Row("int8_clip", "INT8, clip",
        "min/max on the photographs for every tensor, the output before the clip among them; then the clip as an "
        "operator of its own, which requantizes to pixels", EXTREMES, shown_through_a_clip),
    Row("int8_naive", "INT8, no clip",
        "the same with the clip deleted: the codes that come out are taken as pixels", EXTREMES, shown_codes),
    Row("int8_cfqp", "INT8 CFQP",
        "min/max on the tamed photographs, nothing else; no clip, the codes are the pixels", CFQP, shown_codes),
    Row("int8_ours", "INT8 clipfree", "what `clipfree deploy` makes by default", OURS, shown_codes),
    Row("ort_clip", "onnxruntime INT8, clip",
        "its static quantization (QDQ, min/max, weights per channel) of the network with its clip", ONNXRUNTIME,
        shown_saturated, portable=False),
    Row("ort_cfqp", "onnxruntime INT8, tamed",
        "the same without the clip, on the tamed photographs, the input pinned", ONNXRUNTIME_CFQP, shown_saturated,
        portable=False),
)  # fmt: skip
"""In the order of the claims: float, INT8 with its clip and without, CFQP, and what else one can do."""
