"""The rows of the quality table. A new one is a line in ``ROWS``, with settings or variants of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import onnx

import variants
from subject import Subject
from toolchain.quantize import Settings
from toolchain.quantize.settings import for_deployment
from variants import Settled, Show


@dataclass(frozen=True)
class Network:
    """A network to be made once for all rows that show it: by ``make`` with ``settings``, which decide the result."""

    make: Callable[[Subject, Settled], onnx.ModelProto]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One way from a network to a picture.

    Attributes:
        name: in the JSON.
        title: in the table.
        meaning: for those who read the table.
        network: what is made of the subject.
        show: the network as a function from pixels u8 (h, w, 3) to a picture and its luma.
        portable: whether another processor gives the same picture.
    """

    name: str
    title: str
    meaning: str
    network: Network
    show: Callable[[onnx.ModelProto, Subject], Show]
    portable: bool = True


FLOAT = Network(variants.in_float)
EXTREMES = Network(variants.by_extremes, {"images": "natural"})
CFQP = Network(variants.by_extremes, {"images": "tamed"})
OURS = Network(variants.by_clipfree, asdict(Settings()))
DEPLOYED = Network(variants.by_clipfree, asdict(for_deployment(None)))
MIXED = Network(variants.by_clipfree, asdict(Settings(budget=10)))
ONNXRUNTIME = Network(variants.by_onnxruntime, {"images": "natural", "clip": True, "pinned_input": False})
ONNXRUNTIME_CFQP = Network(variants.by_onnxruntime, {"images": "tamed", "clip": False, "pinned_input": True})

ROWS = (
    Row(
        "fp32_clip", "FP32, clip", "the float network and its clip; rounded to 8 bits", FLOAT, variants.shown_saturated
    ),
    Row("fp32", "FP32", "without the clip: rounded, but what leaves 0..255 is left there", FLOAT, variants.shown_as_is),
    Row(
        "int8_clip",
        "INT8, clip",
        "min/max on the photographs for every tensor, the output before the clip among them; then the clip as an "
        "operator of its own, which requantizes to pixels",
        EXTREMES,
        variants.shown_through_a_clip,
    ),
    Row(
        "int8_naive",
        "INT8, no clip",
        "the same with the clip deleted: the codes that come out are taken as pixels",
        EXTREMES,
        variants.shown_codes,
    ),
    Row(
        "int8_cfqp",
        "INT8 CFQP",
        "min/max on the representative photographs of CFQP, nothing else; no clip, the codes are the pixels",
        CFQP,
        variants.shown_codes,
    ),
    Row(
        "int8_ours",
        "INT8 clipfree",
        "what `clipfree deploy --budget 0` makes: 8 bits everywhere",
        OURS,
        variants.shown_codes,
    ),
    Row(
        "int8_deployed",
        "clipfree, default",
        "what `clipfree deploy` makes: the same, and where that loses more than 0.05 dB without labels up to 8 % more "
        "multiply-accumulates for channels at 16 bits",
        DEPLOYED,
        variants.shown_codes,
    ),
    Row(
        "int8_mixed",
        "clipfree +10 %",
        "the same with `--budget 10`: the channels at 16 bits that gain most for up to 10 % more multiply-accumulates",
        MIXED,
        variants.shown_codes,
    ),
    Row(
        "ort_clip",
        "onnxruntime INT8, clip",
        "its static quantization (QDQ, min/max, int8 weights per channel) of the network with its clip, run so that no "
        "product saturates",
        ONNXRUNTIME,
        variants.shown_exactly,
        portable=False,
    ),
    Row(
        "ort_cfqp",
        "onnxruntime INT8, CFQP",
        "the same without the clip, on the representative photographs of CFQP, the input pinned",
        ONNXRUNTIME_CFQP,
        variants.shown_exactly,
        portable=False,
    ),
    Row(
        "ort_avx2",
        "onnxruntime INT8, CFQP, no VNNI",
        "that file with onnxruntime's default options on a processor with AVX2 and no VNNI (Haswell, emulated), where "
        "it adds products in 16 bits that saturate",
        ONNXRUNTIME_CFQP,
        variants.shown_without_vnni,
        portable=False,
    ),
)
"""In the order of the claims: float, INT8 with its clip and without, CFQP, and what else one can do."""
