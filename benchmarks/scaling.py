"""How time and memory grow with the picture, the threads, the channels and the layers; how long compiling takes.

    python benchmarks/scaling.py MODEL.onnx --calib DIR [--target x86-avx2] [--threads 1 2] -o scaling.json

Sizes, and networks of other widths and depths, run in turn, as contestants do in compare.py. The share of the ceiling
is counted in the network's true multiply-accumulates. Memory is the growth of a fresh process over what it held when
the library was loaded (Linux only); the pictures that come in and go out are in it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import ceiling
from contestants import UnsupportedError
from lines import Panel, draw
from networks import HURRY
from timing import PAUSE, held
from toolchain.backends.open import load
from toolchain.bundle import Bundle, open_bundle
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write
from toolchain.targets import find_target
from toolchain.workflows.deploy import Request, deploy
from toolchain.zoo.embedded import resolve

SIZES = ((180, 320), (270, 480), (360, 640), (540, 960), (720, 1280), (1080, 1920))
FEATURES = (8, 12, 16, 24, 28, 32, 48, 64)
LAYERS = 5
"""3x3 convolutions from features to features in the networks of different widths."""
DEPTHS, WIDTH = (1, 2, 4, 8, 16), 28
"""How many there are in the networks of different depths, and their features."""


@dataclass(frozen=True)
class Point:
    """One network at one size: milliseconds of its fastest call and of the median one; share of the ceiling, 0..1."""

    network: str
    height: int
    width: int
    threads: int
    fastest: float
    median: float
    share: float | None


@dataclass(frozen=True)
class Memory:
    """Megabytes by which a process grows that upscales one picture; what of it are the pictures themselves."""

    height: int
    width: int
    threads: int
    grown: float
    pictures: float


@dataclass(frozen=True)
class Scaling:
    """All that was measured; ``compile_seconds`` are of the steps of `deploy`, ``ceiling`` is GMAC/s a core in direct
    products.
    """

    model: str
    cpu: str
    target: str
    cores: int
    rounds: int
    ceiling: float | None
    compile_seconds: Mapping[str, float]
    sizes: tuple[Point, ...]
    features: tuple[Point, ...]
    layers: tuple[Point, ...]
    memory: tuple[Memory, ...]


def scaling(model: Path, calibration: Path, target: str, threads: Sequence[int], rounds: int) -> Scaling:
    """Measure everything.

    Raises:
        ClipfreeError: the model or the photographs cannot be used.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        deployed = deploy(Request(model, folder, calibration, target))

        def plain(name: str, features: int, layers: int) -> Bundle:
            path = folder / f"{name}.onnx"
            onnx.save(plain_network(features, layers), path)
            quick = Request(path, folder, calibration, target, value_range="0..1", settings=HURRY)
            return open_bundle(deploy(quick).path)

        bundle = open_bundle(deployed.path)
        wide = [plain(f"{features} channels", features, LAYERS) for features in FEATURES]
        deep = [plain(f"{layers} layers", WIDTH, layers) for layers in DEPTHS]
        limit = _limit(target)
        peaks: list[float] = []
        found: list[list[Point]] = [[], [], []]
        runs = [[(bundle, size) for size in SIZES], *([(one, (360, 640)) for one in many] for many in (wide, deep))]
        for count in threads:
            for points, several in zip(found, runs, strict=True):
                points += _points(several, count, rounds, limit, peaks)
        memory = tuple(_memory(deployed.path, size, max(threads)) for size in SIZES)
    highest = max(peaks, default=None)
    macs = {one.manifest.name: one.manifest.macs_per_pixel for one in (bundle, *wide, *deep)}
    sizes, widths, depths = (tuple(_shared(p, highest, macs[p.network]) for p in points) for points in found)
    cpu = this_cpu()
    return Scaling(
        model.name,
        cpu.name,
        target,
        cpu.cores,
        rounds,
        highest,
        deployed.seconds,
        sizes,
        widths,
        depths,
        memory,
    )


def _limit(target: str) -> Callable[[], object] | None:
    try:
        return ceiling.dot_products(find_target(target).instruction_set)
    except UnsupportedError:
        return None


def plain_network(features: int, layers: int = LAYERS) -> onnx.ModelProto:
    """RGB x2: a 3x3 convolution to ``features`` channels, ``layers`` of them from there to there, one to the pixels."""
    rng = np.random.default_rng(features)
    nodes, constants, x = [], [], "input"
    channels = [3, *[features] * (layers + 1), 12]
    for index, (before, after) in enumerate(itertools.pairwise(channels)):
        weights = rng.normal(0, (2 / (9 * before)) ** 0.5, (after, before, 3, 3)).astype(np.float32)
        constants += [
            numpy_helper.from_array(weights, f"w{index}"),
            numpy_helper.from_array(np.zeros(after, np.float32), f"b{index}"),
        ]
        nodes.append(helper.make_node("Conv", [x, f"w{index}", f"b{index}"], [f"c{index}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        x = f"r{index}"
    nodes[-1] = helper.make_node("DepthToSpace", [f"c{len(channels) - 2}"], ["output"], blocksize=2, mode="CRD")
    graph = helper.make_graph(
        nodes,
        "plain",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, "H", "W"])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _points(
    runs: Sequence[tuple[Bundle, tuple[int, int]]],
    threads: int,
    rounds: int,
    limit: Callable[[], object] | None,
    peaks: list[float],
) -> list[Point]:
    """Time every bundle at its size, in turn; what ``limit`` makes of the ceiling goes into ``peaks`` (GMAC/s)."""
    calls: list[Callable[[], object]] = []
    for bundle, (height, width) in runs:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, bundle.manifest.channels), dtype=np.uint8)
        calls.append(load(bundle, threads=threads).bind(pixels))
    series: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, series, strict=True):
            times.append(_once(call))
        if limit is not None:
            peaks.append(ceiling.GMAC / (_once(limit) / 1e3))
    return [
        Point(bundle.manifest.name, *size, threads, min(times), float(np.median(times)), None)
        for (bundle, size), times in zip(runs, series, strict=True)
    ]


def _once(call: Callable[[], object]) -> float:
    time.sleep(PAUSE)
    call()
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def _shared(point: Point, limit: float | None, macs_per_pixel: float) -> Point:
    """The point with its share of the ceiling of ``limit`` GMAC/s a core."""
    if limit is None:
        return point
    rate = macs_per_pixel * point.height * point.width / (point.fastest / 1e3) / 1e9
    return Point(**{**asdict(point), "share": rate / (limit * point.threads)})


def _memory(path: Path, size: tuple[int, int], threads: int) -> Memory:
    """The growth of a process that upscales one picture."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        grown, pictures = pool.apply(_grow, (path, size, threads))
    return Memory(*size, threads, grown / 1e6, pictures / 1e6)


def _grow(path: Path, size: tuple[int, int], threads: int) -> tuple[int, int]:
    bundle = open_bundle(path)
    runner = load(bundle, threads=threads)
    runner.upscale(np.zeros((16, 16, bundle.manifest.channels), np.uint8))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now: loading TVM took more
    before = held("VmRSS")
    pixels = np.zeros((*size, bundle.manifest.channels), np.uint8)
    result = runner.bind(pixels)()
    return held("VmHWM") - before, pixels.nbytes * 2 + int(np.from_dlpack(result).nbytes)


def panels(found: Scaling) -> list[Panel]:
    """Time and memory by size, and the share of the ceiling by channels."""
    counts = sorted({point.threads for point in found.sizes})
    labels = tuple(str(height) for height, _ in SIZES)

    def lines(points: Sequence[Point], value: Callable[[Point], float]) -> dict[str, tuple[float, ...]]:
        return {
            f"{count} thread{'s' * (count > 1)}": tuple(value(p) for p in points if p.threads == count)
            for count in counts
        }

    memory = {"grown": tuple(m.grown for m in found.memory), "pictures": tuple(m.pictures for m in found.memory)}
    result = [
        Panel(
            "Time for a megapixel of input",
            "rows of the input",
            "time (ms)",
            labels,
            lines(found.sizes, lambda p: p.fastest * 1e6 / (p.height * p.width)),
        ),
        Panel("Memory", "rows of the input", "memory (MB)", labels, memory),
        Panel(
            f"Time by layers of {WIDTH} channels, 640x360",
            "layers between the first and the last",
            "time (ms)",
            tuple(map(str, DEPTHS)),
            lines(found.layers, lambda p: p.fastest),
        ),
    ]
    if found.ceiling is not None:
        result.append(
            Panel(
                "Share of the dot product's ceiling, 3x3",
                "channels",
                "share (%)",
                tuple(map(str, FEATURES)),
                lines(found.features, lambda p: 100 * (p.share or 0)),
            )
        )
    return result


def title(found: Scaling) -> str:
    """What the picture is headed by."""
    return f"{found.model} for {found.target}, {found.cpu}"


def table(found: Scaling) -> str:
    """The figures as text."""
    lines = []
    for point in (*found.sizes, *found.features, *found.layers):
        share = "" if point.share is None else f"  {point.share:4.0%} of the ceiling"
        what = f"{point.network:14} {point.height}x{point.width}, threads {point.threads}:"
        lines.append(f"{what} {point.fastest:8.2f} ms fastest {point.median:8.2f} median{share}")
    for memory in found.memory:
        what = f"memory {memory.height}x{memory.width}, threads {memory.threads}:"
        lines.append(f"{what} {memory.grown:.1f} MB, of which pictures {memory.pictures:.1f}")
    lines.append("seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in found.compile_seconds.items()))
    return "\n".join(lines)


def main() -> int:
    """Parse, run, print a table, write JSON and the chart beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=resolve, help="an .onnx file, or zoo:NAME")
    parser.add_argument("--calib", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--target", default="host", help="of clipfree's")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, help="JSON; an SVG chart is written beside it")
    options = parser.parse_args()
    if options.rounds < 1 or min(options.threads) < 1:
        parser.error("rounds and threads are at least 1")
    try:
        found = scaling(options.model, options.calib, options.target, options.threads, options.rounds)
    except ClipfreeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(table(found))
    if options.output:
        with atomic_write(options.output) as file:
            file.write((json.dumps(asdict(found), indent=1) + "\n").encode())
        draw(options.output.with_suffix(".svg"), panels(found), title(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
