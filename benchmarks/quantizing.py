"""How the time and memory of quantizing grow with photographs and with layers.

    python benchmarks/quantizing.py --calib DIR -o quantizing.json

Each point is a process of its own, from the file to the quantized network, nothing kept and nothing spent; with the
photographs grows zoo:xlsr_x3, with the layers an SRVGG of 32 features at four photographs. Beside the JSON lies a
picture of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx

from families import srvgg
from lines import Panel, draw
from toolchain.frontend import load_model, normalize
from toolchain.images import read_calibration
from toolchain.images.sets import picture_files
from toolchain.quantize import Settings, quantize
from toolchain.support.cpu import this_cpu
from toolchain.support.files import atomic_write
from toolchain.zoo.embedded import resolve

PHOTOGRAPHS = (2, 4, 8, 14)
LAYERS = (4, 8, 16, 32)
FEATURES, SCALE, FEW = 32, 2, 4
NETWORK = "zoo:xlsr_x3"


@dataclass(frozen=True)
class Point:
    """Seconds by the clock and of processors, and the largest megabytes, of one quantization."""

    photographs: int
    layers: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Quantizing:
    """All that was measured."""

    cpu: str
    cores: int
    photographs: tuple[Point, ...]
    layers: tuple[Point, ...]


def measure(model: Path, calibration: Path, count: int, layers: int) -> Point:
    """Quantize in this process."""
    begin = time.perf_counter()
    sr = normalize(load_model(model), value_range="0..1")
    photographs = read_calibration(picture_files(calibration)[:count], sr.channels)
    quantize(sr, photographs.images, Settings(budget=0.0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.perf_counter() - begin
    return Point(len(photographs.images), layers, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3)


def apart(model: Path, calibration: Path, count: int, layers: int) -> Point:
    """The same in a process of its own."""
    words = [sys.executable, __file__, "--one", str(model), str(count), str(layers), "--calib", str(calibration)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    point = Point(**json.loads(done.stdout))
    print(
        f"{point.photographs} photographs, {layers} layers: {point.seconds:.1f} s, {point.cpu_seconds:.1f} CPU s, "
        f"{point.peak_mb:.0f} MB",
        file=sys.stderr,
    )
    return point


def panels(found: Quantizing) -> list[Panel]:
    """What is drawn: seconds and megabytes, for photographs and for layers."""
    drawn = []
    for points, across in ((found.photographs, "photographs"), (found.layers, "layers")):
        labels = tuple(str(getattr(point, across)) for point in points)
        lines = {
            "by the clock": tuple(point.seconds for point in points),
            "of processors": tuple(point.cpu_seconds for point in points),
        }
        drawn.append(Panel(f"Time by {across}", across, "time (s)", labels, lines))
        peaks = {"peak": tuple(point.peak_mb for point in points)}
        drawn.append(Panel(f"Memory by {across}", across, "memory (MB)", labels, peaks))
    return drawn


def title(found: Quantizing) -> str:
    """What the picture is headed by."""
    return f"Quantizing, {found.cpu}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calib", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("-o", "--out", type=Path, default=Path("quantizing.json"))
    parser.add_argument("--photographs", type=int, nargs="+", default=PHOTOGRAPHS)
    parser.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    parser.add_argument("--one", nargs=3, metavar=("MODEL", "PHOTOGRAPHS", "LAYERS"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one:
        model, count, layers = words.one
        print(json.dumps(asdict(measure(Path(model), words.calib, int(count), int(layers)))))
        return
    cpu = this_cpu()
    embedded = resolve(NETWORK)
    by_photographs = tuple(apart(embedded, words.calib, count, 0) for count in words.photographs)
    by_layers = []
    with tempfile.TemporaryDirectory() as folder:
        for layers in words.layers:
            path = Path(folder) / f"{layers}.onnx"
            onnx.save(srvgg(FEATURES, layers, SCALE), path)
            by_layers.append(apart(path, words.calib, FEW, layers))
    found = Quantizing(cpu.name, cpu.cores, by_photographs, tuple(by_layers))
    with atomic_write(words.out) as file:
        file.write((json.dumps(asdict(found), indent=1) + "\n").encode())
    draw(words.out.with_suffix(".svg"), panels(found), title(found))


if __name__ == "__main__":
    main()
