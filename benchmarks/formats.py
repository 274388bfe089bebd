"""What formats of pixels cost in the C interface: each beside packed RGB (or grey), which the network takes as it is.

    python benchmarks/formats.py BUNDLE [BUNDLE ...] -o benchmarks/results/formats.json [--size 360x640] [--threads 1 2]

All formats of a bundle are timed in one process, in turn, round by round; ratios are taken round by round to the first.
Sources and results lie in memory once, in rows without gaps. `--busy` counts what one thread spent on the
processor, for machines that others use too.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char_p, c_int32, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from timing import measure, summarize
from toolchain.bundle import open_bundle
from toolchain.images.scale import enlarged
from toolchain.runtime.interface import Options, Picture
from toolchain.support.cpu import this_cpu
from toolchain.support.files import atomic_write

FORMATS = {"GREY": 1, "RGB": 2, "BGR": 3, "PLANAR": 4, "RGBA": 5, "BGRA": 6, "NV12": 7, "I420": 9, "P010": 10}
PAIRS = {
    3: (("BGR", "BGR"), ("PLANAR", "PLANAR"), ("RGBA", "RGBA"), ("NV12", "NV12"), ("NV12", "RGBA"), ("P010", "P010")),
    1: (("NV12", "NV12"), ("I420", "I420"), ("P010", "P010"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("NV12", "RGBA")),
}
"""By the channels of a network: source and result."""


class Timed:
    """A network that is open, and a picture in one format and its result in another."""

    def __init__(self, library: Any, network: c_void_p, source: Picture, result: Picture, *, busy: bool) -> None:
        self._call = library.clipfree_upscale
        self._clock = time.thread_time if busy else time.perf_counter
        self._arguments = network, byref(source), byref(result)
        self._kept = source, result

    def time(self) -> float:
        """Milliseconds of a call, after an untimed one."""
        for _ in range(2):
            begin = self._clock()
            status = self._call(*self._arguments)
            seconds = self._clock() - begin
            assert status == 0, status
        return 1e3 * seconds


def picture(name: str, height: int, width: int) -> Picture:
    """Noise of a format, or room for it."""
    rng = np.random.default_rng(0)
    made = Picture(ctypes.sizeof(Picture), FORMATS[name], height, width)
    made.kept = []
    for place, (rows, row) in enumerate(planes(name, height, width)):
        pixels = rng.integers(0, 256, (rows, row), dtype=np.uint8)
        made.planes[place], made.strides[place] = pixels.ctypes.data, row
        made.kept.append(pixels)
    return made


def planes(name: str, height: int, width: int) -> Iterator[tuple[int, int]]:
    """Rows of each plane, and bytes of a row."""
    half, across, word = (height + 1) // 2, (width + 1) // 2, 2 if name == "P010" else 1
    samples = {"RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}.get(name, 1)
    yield height, width * samples * word
    if name == "PLANAR":
        yield from ((height, width),) * 2
    elif name == "I420":
        yield from ((half, across),) * 2
    elif name in ("NV12", "P010"):
        yield half, 2 * across * word


def timed(path: Path, size: tuple[int, int], threads: int, rounds: int, *, busy: bool) -> dict[str, Any]:
    """Figures of a bundle."""
    manifest = open_bundle(path).manifest
    library, network = ctypes.CDLL(str((path / "model.so").resolve())), c_void_p()
    library.clipfree_open.argtypes = (POINTER(c_void_p), POINTER(Options), c_char_p)
    library.clipfree_upscale.argtypes = (c_void_p, POINTER(Picture), POINTER(Picture))
    library.clipfree_upscale.restype = c_int32
    assert (
        library.clipfree_open(byref(network), byref(Options(size=ctypes.sizeof(Options), threads=threads)), None) == 0
    )
    own = "RGB" if manifest.channels == 3 else "GREY"
    large = [enlarged(side, manifest.scale) for side in size]
    contestants = {
        f"{before} to {after}": Timed(library, network, picture(before, *size), picture(after, *large), busy=busy)
        for before, after in ((own, own), *PAIRS[manifest.channels])
    }
    series, _ = measure({name: one.time for name, one in contestants.items()}, rounds)
    library.clipfree_close(network)
    figures = [
        {
            "formats": one.name,
            "fastest_ms": one.fastest,
            "median_ms": one.median,
            "ratio": one.ratio,
            "ratio_quartiles": one.ratio_quartiles,
        }
        for one in summarize(series, threads)
    ]
    about = {"network": manifest.name, "channels": manifest.channels, "scale": str(manifest.scale)}
    effort = {"target": manifest.target.name, "size": size, "threads": threads, "rounds": rounds, "busy": busy}
    return {**about, **effort, "figures": figures}


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--size", default="360x640", help="of the source, HEIGHTxWIDTH")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--busy", action="store_true", help="count the processor's time, not the clock's")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.busy and options.threads != [1]:
        parser.error("--busy is for --threads 1")
    height, width = map(int, options.size.split("x"))
    runs = [
        timed(path, (height, width), threads, options.rounds, busy=options.busy)
        for path in options.bundles
        for threads in options.threads
    ]
    for run in runs:
        for one in run["figures"]:
            said = f"{one['median_ms']:9.2f} ms {one['ratio']:6.3f}"
            print(f"{run['network']:24} {run['threads']} {one['formats']:18} {said}")
    with atomic_write(options.output) as file:
        file.write((json.dumps({"cpu": this_cpu().name, "runs": runs}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
