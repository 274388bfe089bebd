"""The same network through clipfree and onnxruntime, FP32 and INT8, in turn in one run.

    python benchmarks/compare.py MODEL.onnx --calib DIR [--size 360x640] [--threads 1 2] [--rounds 20] -o result.json

Absolute times on a shared machine mean little; what counts is the ratio of runs that follow each other. Every round
runs each contestant once, so that all see the same drift; the ratios are medians over rounds, with their quartiles.
On a CPU with AVX512-VNNI the ceiling of its dot products is measured too, and the share of it that is reached.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TVM_BIND_THREADS", "0")

import numpy as np
import onnx
import onnxruntime

from toolchain.atomic import atomic_write
from toolchain.bundle import open_bundle
from toolchain.deploy import Request, deploy
from toolchain.frontend import load_model, normalize
from toolchain.images import read_images

Call = Callable[[], object]


@dataclass(frozen=True)
class Figures:
    """Milliseconds of one contestant; how many times as long as clipfree's INT8 it takes (median and quartiles)."""

    name: str
    threads: int
    fastest: float
    median: float
    p90: float
    ratio: float
    ratio_quartiles: tuple[float, float]


def onnxruntime_call(model: onnx.ModelProto, pixels: np.ndarray, threads: int, scale: float) -> Call:
    """One inference of a float-in, float-out ONNX model by onnxruntime's CPU provider."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    feed = {name: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) * np.float32(scale)}
    return lambda: session.run(None, feed)


def onnxruntime_int8(model: onnx.ModelProto, images: list[np.ndarray], scale: float) -> onnx.ModelProto:
    """onnxruntime's own static quantization: QDQ, u8 activations, s8 weights per channel, min/max."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter([{"input": np.ascontiguousarray(i.transpose(2, 0, 1)[None]).astype(np.float32)
                                * np.float32(scale)} for i in images])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(source, result, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        return onnx.load(result)


def with_clip(model: onnx.ModelProto, low: float, high: float) -> onnx.ModelProto:
    """The normalized model with its final clip put back."""
    clipped = onnx.ModelProto()
    clipped.CopyFrom(model)
    output = clipped.graph.output[0].name
    for node in clipped.graph.node:
        for index, name in enumerate(node.output):
            if name == output:
                node.output[index] = "unclipped"
    clipped.graph.initializer.extend([onnx.numpy_helper.from_array(np.float32(low), "clip_low"),
                                      onnx.numpy_helper.from_array(np.float32(high), "clip_high")])
    clipped.graph.node.append(onnx.helper.make_node("Clip", ["unclipped", "clip_low", "clip_high"], [output]))
    return clipped


def run(options: argparse.Namespace) -> dict[str, object]:
    """All contestants at all thread counts; returns the result's JSON data."""
    height, width = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        path = deploy(Request(options.model, Path(folder), options.calib, "host")).path
        bundle = open_bundle(path)
        sr = normalize(load_model(options.model))
        low, high = sr.value_range
        scale = (high - low) / 255.0
        images = read_images(options.calib, channels=sr.channels, crop=256, crops_per_photo=1).images
        clipped = with_clip(sr.model, low, high)
        photo = images[0]
        tiled = np.tile(photo, (-(-height // photo.shape[0]), -(-width // photo.shape[1]), 1))
        pixels = np.ascontiguousarray(tiled[:height, :width])
        quantized = {"onnxruntime INT8": onnxruntime_int8(clipped, list(images), scale),
                     "onnxruntime INT8, no clip": onnxruntime_int8(sr.model, list(images), scale)}
        figures: list[Figures] = []
        for threads in options.threads:
            calls = {"clipfree INT8": bundle.load(threads=threads).bind(pixels)}
            floats = {"onnxruntime FP32": clipped, "onnxruntime FP32, no clip": sr.model}
            for name, model in {**quantized, **floats}.items():
                calls[name] = onnxruntime_call(model, pixels, threads, scale)
            figures += measure(calls, threads, options.rounds)
        gmac = bundle.manifest.macs_per_pixel * height * width / 1e9
        result = {"model": options.model.name, "size": [height, width], "gmac": gmac, "cpu": cpu_name(),
                  "target": bundle.manifest.target.name, "rounds": options.rounds,
                  "onnxruntime": onnxruntime.__version__, "figures": [asdict(figure) for figure in figures]}
        if bundle.manifest.target.instruction_set == "avx512vnni":
            from ceiling import vnni_ceiling

            ceiling = vnni_ceiling()
            result |= {"ceiling_gmac_per_second_and_core": ceiling, "share_of_ceiling": {
                str(f.threads): gmac / (f.fastest / 1e3) / (ceiling * f.threads)
                for f in figures if f.name == "clipfree INT8"}}
        return result


def measure(calls: dict[str, Call], threads: int, rounds: int) -> list[Figures]:
    """Two warm-up rounds, then ``rounds`` rounds of every call in turn.

    Before each timed call there is a pause and an untimed call: the thread pools of the others spin for a while after
    their work and would keep a core from this one.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(rounds + 2):
        for name, call in calls.items():
            time.sleep(0.1)
            call()
            start = time.perf_counter()
            call()
            if index >= 2:
                times[name].append((time.perf_counter() - start) * 1e3)
    first = next(iter(calls))
    figures = []
    for name, series in times.items():
        ratios = [other / own for other, own in zip(series, times[first], strict=True)]
        lower, middle, upper = statistics.quantiles(ratios, n=4)
        figures.append(Figures(name, threads, min(series), statistics.median(series), float(np.quantile(series, 0.9)),
                               middle, (lower, upper)))
    return figures


def cpu_name() -> str:
    """What /proc/cpuinfo calls this CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    """Parse, run, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calib", type=Path, required=True)
    parser.add_argument("--size", default="360x640")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    result = run(options)
    for figure in result["figures"]:
        print(f"{figure['threads']} threads  {figure['name']:28s} {figure['fastest']:8.1f} ms fastest "
              f"{figure['median']:8.1f} median  {figure['ratio']:6.2f} x "
              f"({figure['ratio_quartiles'][0]:.2f} to {figure['ratio_quartiles'][1]:.2f})")
    if "share_of_ceiling" in result:
        shares = ", ".join(f"{share:.0%} on {threads}" for threads, share in result["share_of_ceiling"].items())
        print(f"share of {result['ceiling_gmac_per_second_and_core']:.0f} GMAC/s a core: {shares} threads")
    if options.output:
        with atomic_write(options.output) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
