"""How many multiply-accumulates a second one core can do at most: products and sums on registers, and nothing else.

    python benchmarks/ceiling.py [BUNDLE...]

For each of x86's instruction sets that this CPU has: what direct products allow, and what Winograd's, which count for
four. For each bundle, made for one of them: its time on one thread, and which share of that its products alone take.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contestants.base import Ready, UnsupportedError
from networks import Network, Pixels
from toolchain.backends.open import load
from toolchain.bundle import REPORT, open_bundle
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError
from toolchain.targets import Target, find_target

GMAC = 128_000 * 640 / 1e9
"""What one call computes, see `dots`."""

SETS = ("avx512vnni", "avxvnni", "avx2", "sse4")
_HEIGHT, _WIDTH = 32, 640
"""Of the picture for bundles: so short a call is seldom interrupted on a busy machine."""


def prepare(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The ceiling in the place of a contestant, to be measured in the same rounds; it gives the picture back.

    Raises:
        UnsupportedError: nothing is known of this CPU.
    """
    return Ready(dot_products(find_target(network.target).instruction_set), lambda _: pixels)


def dot_products(instruction_set: str = "") -> Callable[[], object]:
    """A call of ``GMAC`` direct products on one core, about a millisecond long: by ``instruction_set``, or by the best
    one that this CPU has.

    Raises:
        UnsupportedError: nothing is known of this CPU.
    """
    for name in [instruction_set] if instruction_set in SETS else SETS:
        target = find_target(f"x86-{name}")
        if not _lacking(target):
            from dots import compiled, ways  # not before it is needed: it loads TVM

            return compiled(ways(name)[0], target)
    raise UnsupportedError("nothing is known of what this CPU's products allow")


def measured(target: Target) -> dict[str, float]:
    """GMAC/s of each way to multiply and add, the fastest of some calls."""
    from dots import compiled, ways

    return {way.name: GMAC / _fastest(compiled(way, target)) for way in ways(target.instruction_set)}


def share(path: Path, limits: Mapping[str, float]) -> str:
    """What a bundle's products alone would take, as a line."""
    bundle = open_bundle(path)
    manifest, report = bundle.manifest, json.loads((path / REPORT).read_bytes())
    pixels = np.random.default_rng(0).integers(0, 256, (_HEIGHT, _WIDTH, manifest.channels), dtype=np.uint8)
    seconds = _fastest(load(bundle, threads=1).bind(pixels))
    layers = [layer["macs_per_pixel"] for layer in report["network"]["layers"]]
    tiles = list(bundle.tiles().values())
    if len(tiles) != len(layers):  # several layers in one kernel: all count as direct
        tiles = [""] * len(layers)
    area = _HEIGHT * _WIDTH / 1e9
    direct = sum(layers) * area / limits["direct"]
    own = sum(macs * area / limits[_way(tile)] for macs, tile in zip(layers, tiles, strict=True))
    return (
        f"{path.name}: {seconds * 1e3:.2f} ms for {_HEIGHT}x{_WIDTH}; direct products alone {direct * 1e3:.2f} ms "
        f"({direct / seconds:.0%}), those of its kernels {own * 1e3:.2f} ms ({own / seconds:.0%})"
    )


def _way(tile: str) -> str:
    return next((name for name in ("Winograd", "byte pairs") if tile.startswith(name)), "direct")


def _lacking(target: Target) -> Any:
    cpu = this_cpu()
    return target.missing_on(cpu) or cpu.machine != "x86_64"


def _fastest(call: Callable[[], object]) -> float:
    """Seconds."""
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main(paths: list[str]) -> int:
    """Print both."""
    limits: dict[str, dict[str, float]] = {}
    for name in SETS:
        target = find_target(f"x86-{name}")
        if _lacking(target):
            print(f"{name}: this CPU has it not")
            continue
        limits[name] = measured(target)
        print(f"{name}: " + ", ".join(f"{way} {speed:.0f} GMAC/s" for way, speed in limits[name].items()))
    for path in map(Path, paths):
        try:
            name = open_bundle(path).manifest.target.instruction_set
            print(share(path, limits[name]) if name in limits else f"{path.name}: nothing is known of {name}")
        except ClipfreeError as error:
            print(f"{path.name}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
