"""How far the default tiles are from tuned ones, on networks whose channels no log knows.

    python benchmarks/untuned.py [--target host] [--count 10] [--trials 48] -o untuned.json

Each network is tuned into a log of its own, which stays in the folder given with --logs: a run that was killed goes on.
A kernel's default tile and its best one are timed in turn, at the end of each search once more. What is given are the
sums over a network's kernels, without what else a bundle does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from graphs import LAST, Graph, enlarged
from made import write
from toolchain.schedules.task import describe
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write
from toolchain.tune.request import TuningRequest
from toolchain.tune.search import Search
from toolchain.tune.session import Budget, relative
from toolchain.tune.tune import tune

SIZE = (180, 320)
SIDES = (3, 3, 3, 1, 5)
"""Rows and columns of taps, as often as they occur."""

LAYERS = 3
MOST = 72
"""Channels."""


@dataclass(frozen=True)
class Kernel:
    """A kernel's default tile against its best one: how many times as long, and what they are."""

    kernel: str
    ratio: float
    default: str
    best: str


@dataclass(frozen=True)
class Untuned:
    """A network with default tiles: how many times as long its kernels take as with the best tiles that were found."""

    network: str
    ratio: float
    trials: int
    kernels: tuple[Kernel, ...]


@dataclass(frozen=True)
class Report:
    """All networks."""

    cpu: str
    target: str
    size: tuple[int, int]
    threads: int
    networks: tuple[Untuned, ...]


def layers(seed: int) -> list[tuple[int, int, int]]:
    """Channels before, channels behind and taps a side of each convolution of a random network."""
    chance = np.random.default_rng(seed)
    widths = [3, *(int(width) for width in chance.integers(5, MOST, LAYERS - 1)), 12]
    sides = [3, *(int(side) for side in chance.choice(SIDES, LAYERS - 2)), 3]
    return [(*pair, side) for pair, side in zip(itertools.pairwise(widths), sides, strict=True)]


def network(path: Path, convolutions: Sequence[tuple[int, int, int]]) -> None:
    """Write a network of such convolutions, with ReLUs between them, that adds to the nearest pixels at x2."""
    graph = Graph(0)
    x = "input"
    for before, behind, side in convolutions[:-1]:
        x = graph.add("Relu", graph.conv(x, before, behind, side))
    write(enlarged(graph, graph.conv(x, *convolutions[-1], LAST), 2), path)


def measure(seed: int, options: argparse.Namespace) -> Untuned:
    """Tune one network.

    Raises:
        ClipfreeError: it cannot be tuned.
    """
    convolutions = layers(seed)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "random.onnx"
        network(path, convolutions)
        request = TuningRequest(
            (path,),
            options.target,
            (SIZE,),
            (options.threads,),
            Budget(options.trials),
            resume=True,
            logs=options.logs / str(seed),
        )
        found = tune(request)
    title = ", ".join(f"{side}x{side} {before}->{behind}" for before, behind, side in convolutions)
    trials = sum(len(search.tried) for search in found.searches)
    return Untuned(title, 1 / relative(found.searches), trials, tuple(map(_kernel, found.searches)))


def _kernel(search: Search) -> Kernel:
    ratio = 1 / search.best.relative if search.best else 1.0
    return Kernel(describe(search.task.conv), ratio, str(search.default), str(search.incumbent))


def table(report: Report) -> str:
    """The figures as text, the worst kernels named."""
    lines = [f"{report.cpu}, {report.target}, {report.size[0]}x{report.size[1]}, threads: {report.threads}"]
    for one in report.networks:
        lines.append(f"{one.ratio:5.2f} x  {one.network} ({one.trials} tiles tried)")
        lines += [
            f"         {kernel.ratio:5.2f} x  {kernel.kernel}: {kernel.default}; best {kernel.best}"
            for kernel in one.kernels
            if kernel.ratio > 1.1
        ]
    return "\n".join(lines)


def main() -> int:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="host")
    parser.add_argument("--count", type=int, default=10, help="of networks; default: %(default)s")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--trials", type=int, default=48, help="tiles to try for each network; default: %(default)s")
    parser.add_argument("--logs", type=Path, default=Path("out/untuned"), help="default: %(default)s")
    parser.add_argument("-o", "--output", type=Path, help="JSON")
    options = parser.parse_args()
    found: list[Untuned] = []
    try:
        for seed in range(options.count):
            found.append(measure(seed, options))
            report = Report(this_cpu().name, options.target, SIZE, options.threads, tuple(found))
            print(table(report).splitlines()[-1], flush=True)
            if options.output:
                with atomic_write(options.output) as file:
                    file.write((json.dumps(asdict(report), indent=1) + "\n").encode())
    except ClipfreeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
