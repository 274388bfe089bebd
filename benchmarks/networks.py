"""The network that all contestants run, as files: float and QDQ ONNX, with its final clip and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend import load_model, normalize
from toolchain.images import read_images
from toolchain.quantize import Settings
from toolchain.reference.network import describe_network

Pixels = npt.NDArray[np.uint8]

HURRY = Settings(equalize=False, reconstruct=False, correct_bias=False, crops_per_image=1, crop=48)
"""For networks whose weights are chance: nobody asks how good their pictures are."""


@dataclass(frozen=True)
class Network:
    """One network in the form that a contestant starts from.

    Attributes:
        source: the user's ONNX file.
        clip: whether the files below end in the clip to black and white.
        fp32: normalized float ONNX; ``input`` (1, C, h, w) to ``output`` (1, C, h*scale, w*scale), any size.
        qdq: the same, quantized by onnxruntime: u8 activations, s8 weights per channel, min/max.
        channels: 1 or 3.
        scale: output pixels per input pixel and direction.
        pixel_scale: what one step of a u8 pixel is in the network's floats: 1/255 or 1.
        macs_per_pixel: multiply-accumulates per input pixel.
        calibration: the folder of photographs.
        images: crops of them, u8 (h, w, C), 256 pixels a side at most.
        folder: where contestants keep what they make of the network.
        tflite: a TensorFlow Lite file of a network of this kind, if one was given.
        onnx2tf: the command that converts to such files, if one was given.
        target: what clipfree deploys for.
        settings: of clipfree's quantization; None for the defaults.
    """

    source: Path
    clip: bool
    fp32: Path
    qdq: Path
    channels: int
    scale: int
    pixel_scale: float
    macs_per_pixel: float
    calibration: Path
    images: tuple[Pixels, ...]
    folder: Path
    tflite: Path | None = None
    onnx2tf: str | None = None
    target: str = "host"
    settings: Settings | None = None

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """The file or folder ``name`` of this network, made by the first contestant that asks for it."""
        path = self.folder / name
        if not path.exists():
            unfinished = self.folder / f"unfinished-{name}"
            make(unfinished)
            unfinished.rename(path)
        return path

    def kept(self) -> frozenset[str]:
        """Names of what was made of the network so far."""
        return frozenset(path.name for path in self.folder.iterdir())

    def planes(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """u8 (h, w, C) as the network's float32 (1, C, h, w)."""
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) * np.float32(self.pixel_scale)

    def pixels(self, planes: npt.NDArray[np.float32]) -> Pixels:
        """The network's float32 (C, h, w) as u8 (h, w, C): rounded to nearest even, saturated."""
        codes = np.rint(planes.transpose(1, 2, 0) / np.float32(self.pixel_scale))
        return np.clip(codes, 0, 255).astype(np.uint8)

    def upscale(self, pixels: Pixels) -> Pixels:
        """The float network's result, by onnxruntime: what every contestant's picture is held against."""
        import onnxruntime

        session = onnxruntime.InferenceSession(self.fp32, providers=["CPUExecutionProvider"])
        return self.pixels(session.run(None, {"input": self.planes(pixels)})[0][0])


def read_networks(source: Path, calibration: Path, folder: Path) -> dict[bool, Network]:
    """Normalize and quantize ``source`` with its clip (True) and without (False), into ``folder``; what an earlier run
    left there is taken as it is.

    Raises:
        ModelError, CalibrationError, InputError: the model or the photographs cannot be used.
    """
    sr = normalize(load_model(source))
    images = read_images(calibration, channels=sr.channels, crop=256, crops_per_photo=1).images
    low, high = sr.value_range
    macs = describe_network(sr.model).macs_per_pixel
    networks = {}
    for clip, model in ((True, with_clip(sr.model, low, high)), (False, sr.model)):
        place = folder / ("clip" if clip else "no-clip")
        place.mkdir(parents=True, exist_ok=True)
        network = Network(
            source,
            clip,
            place / "float.onnx",
            place / "qdq.onnx",
            sr.channels,
            sr.scale,
            (high - low) / 255.0,
            macs,
            calibration,
            images,
            place,
        )
        if not network.qdq.exists():
            onnx.save(model, network.fp32)
            unfinished = place / "unfinished.onnx"
            static_int8(network.fp32, unfinished, map(network.planes, images))
            unfinished.rename(network.qdq)
        networks[clip] = network
    return networks


def static_int8(source: Path, result: Path, feeds: Iterable[npt.NDArray[np.float32]], **options: object) -> None:
    """Quantize the float ONNX file ``source`` by onnxruntime's own static quantization: QDQ, min/max.

    Args:
        source: its input is called ``input``.
        result: the file to write; a prepared copy of the source is left beside it.
        feeds: what to calibrate with, float32 (1, C, h, w).
        options: ``extra_options`` of onnxruntime.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter([{"input": feed} for feed in feeds])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    prepared = result.with_name("prepared.onnx")  # as onnxruntime advises
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        result,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options=options,
    )


def picture(calibration: Path, channels: int, height: int, width: int) -> Pixels:
    """The first photograph as u8 (height, width, channels), repeated where it is smaller."""
    photo = read_images(calibration, channels=channels, crop=max(height, width), crops_per_photo=1).images[0]
    tiled = np.tile(photo, (-(-height // photo.shape[0]), -(-width // photo.shape[1]), 1))
    return np.ascontiguousarray(tiled[:height, :width])


def with_clip(model: onnx.ModelProto, low: float, high: float) -> onnx.ModelProto:
    """The normalized model with its final clip put back."""
    clipped = _copy(model)
    output = clipped.graph.output[0].name
    for node in clipped.graph.node:
        for index, name in enumerate(node.output):
            if name == output:
                node.output[index] = "unclipped"
    clipped.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(low), "clip_low"), numpy_helper.from_array(np.float32(high), "clip_high")]
    )
    clipped.graph.node.append(helper.make_node("Clip", ["unclipped", "clip_low", "clip_high"], [output]))
    return clipped


def with_pixel_ends(path: Path, shape: Sequence[int], scale: int, pixel_scale: float) -> bytes:
    """The ONNX file ``path`` with u8 pixels at both ends: ``pixels`` (1, h, w, C) to ``result`` (1, h*scale, ...).

    The operators for it are DequantizeLinear and QuantizeLinear with the pixel's scale: the latter rounds and
    saturates, and a runtime that computes with integers can join them with those of the network.
    """
    model = _copy(onnx.load(path))
    graph = model.graph
    source, result = graph.input[0].name, graph.output[0].name
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(pixel_scale), "pixel_scale"),
            numpy_helper.from_array(np.uint8(0), "pixel_zero"),
        ]
    )
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["pixel_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["pixel_planes", "pixel_scale", "pixel_zero"], [source]),
        *graph.node,
        helper.make_node("QuantizeLinear", [result, "pixel_scale", "pixel_zero"], ["result_planes"]),
        helper.make_node("Transpose", ["result_planes"], ["result"], perm=[0, 2, 3, 1]),
    ]
    height, width, channels = shape
    for field, new in (
        (graph.node, nodes),
        (graph.value_info, []),
        (graph.input, [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, height, width, channels])]),
        (
            graph.output,
            [helper.make_tensor_value_info("result", TensorProto.UINT8, [1, height * scale, width * scale, channels])],
        ),
    ):
        kept = list(new)
        del field[:]
        field.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
