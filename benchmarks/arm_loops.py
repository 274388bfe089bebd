"""What Arm cores would make of the kernels' loops, by LLVM's models of them: no board is needed, and nothing is timed.

    python benchmarks/arm_loops.py [NETWORK...] [--core NAME] -o benchmarks/results/arm_loops.json --logs tuning_logs

Every convolution is compiled with each direct tile that the tuner would try, and llvm-mca counts the cycles of its
innermost loop, and of everything that is done for one register tile. Caches, branches and what the driver does are not
in it.
With ``--logs`` the best tiles are written as tuning logs, marked as estimated. A core takes two to five minutes; each
is written when it is done, and what the file holds of other cores is kept.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import tvm

import loops
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK
from toolchain.kernels.tile import WINOGRAD, Tile, direct_tile
from toolchain.schedules.database import log_path, write_log
from toolchain.schedules.records import STATIC, Best, LogHeader
from toolchain.schedules.task import Task, describe, tasks_of
from toolchain.support.files import atomic_write
from toolchain.targets import Target, find_target
from toolchain.targets.llvm import tvm_target
from toolchain.tune.kernel import standalone
from toolchain.tune.network import kernels_of
from toolchain.tune.search_space import tiles
from toolchain.zoo.embedded import list_models, resolve

SIZE = (360, 640)
"""Height and width of the picture; it does not change the figures."""

GAIN = 1.02
"""What another tile than the default one must promise: the models are not finer, and its loads may cost more."""


@dataclass(frozen=True)
class Layer:
    """A convolution on a core, in multiply-accumulates a cycle.

    Attributes:
        core: its name.
        kernel: the convolution.
        peak: what the core can do at most.
        default_loop, default_whole: of the default tile: its innermost loop; all that a register tile takes.
        tile: the best one.
        loop, whole: of the best tile.
        tiles: how many were compared.
    """

    core: str
    kernel: str
    peak: int
    default_loop: float
    default_whole: float
    tile: str
    loop: float
    whole: float
    tiles: int


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="of the zoo; all of them if none is named")
    parser.add_argument("-o", "--out", type=Path, help="JSON file")
    parser.add_argument("--logs", type=Path, help="folder for tuning logs")
    parser.add_argument("--core", action="append", choices=[core.name for core in loops.CORES], help="only this one")
    options = parser.parse_args(words)
    mca = loops.find_mca()
    if mca is None:
        print("llvm-mca of LLVM 16 or later is needed: apt install llvm-19", file=sys.stderr)
        return 1
    names = options.networks or [model.name for model in list_models()]
    for core in loops.CORES:
        if options.core is None or core.name in options.core:
            target = find_target(core.target)
            target = replace(target, instruction_set=core.instruction_set or target.instruction_set)
            found = []
            for layer, best in search(core, target, names, mca):
                print(
                    f"{layer.core} {layer.kernel}: default {layer.default_loop:.2f} {layer.default_whole:.2f}, "
                    f"best {layer.loop:.2f} {layer.whole:.2f} of {layer.peak}: {layer.tile}",
                    flush=True,
                )
                found.append((layer, best))
            # Where Winograd is admitted it is the default, of which these models of loops know nothing.
            known = [best for _, best in found if WINOGRAD not in best.task.conv.algorithms]
            if options.logs and core.instruction_set is None:
                for name in (core.target, *core.alike):
                    header = LogHeader.of(find_target(name))
                    write_log(log_path(options.logs, header), header, known)
            if options.out:
                _write(options.out, mca, [layer for layer, _ in found])
    return 0


def _write(path: Path, mca: str, layers: Sequence[Layer]) -> None:
    """Put the layers of one core in the place of those that the file holds of it."""
    kept = json.loads(path.read_text())["layers"] if path.exists() else []
    kept = [layer for layer in kept if layer["core"] != layers[0].core]
    done = {
        "mca": Path(mca).name,
        "unit": "multiply-accumulates a cycle",
        "layers": kept + [asdict(layer) for layer in layers],
    }
    with atomic_write(path) as file:
        file.write((json.dumps(done, indent=1) + "\n").encode())


def search(core: loops.Core, target: Target, networks: Sequence[str], mca: str) -> Iterator[tuple[Layer, Best]]:
    """The best tile of every convolution of some networks, as a line of the table and of a log."""
    dot = dot_product(target.instruction_set)
    kernels = [kernels_of(resolve(f"zoo:{name}"), target) for name in networks]
    for task in tasks_of(kernels, [SIZE], [1]):
        geometry = task.geometry(dot)
        default = direct_tile(task.conv, geometry.columns, dot)
        space = [
            tile
            for tile in tiles(task.conv, geometry.columns, dot)
            if tile == default or (tile.algorithm != WINOGRAD and tile.outer == default.outer and _promising(tile, dot))
        ]
        costs = {tile: estimate(core, target, task, tile, mca) for tile in space}
        best = max(costs, key=lambda tile: costs[tile].whole * (GAIN if tile == default else 1))
        own, first = costs[best], costs[default]
        yield (
            Layer(
                core.name,
                describe(task.conv),
                core.peak,
                first.loop,
                first.whole,
                str(best),
                own.loop,
                own.whole,
                len(space),
            ),
            Best(
                task,
                best,
                f"{STATIC}, {core.model} at 1 GHz",
                seconds=task.macs / own.whole / 1e9,
                relative=first.whole / own.whole,
                trials=len(space),
            ),
        )


def _promising(tile: Tile, dot: Dot) -> bool:
    """Whether it is worth compiling: few sums keep the multipliers waiting, and as many as there are registers leave
    none for codes and weights (32-bit Arm has too few in any case). Which loop is outside matters to caches only, of
    which the models know nothing.
    """
    return dot.registers // 8 <= tile.vectors * tile.channels < max(dot.registers, 9)


def estimate(core: loops.Core, target: Target, task: Task, tile: Tile, mca: str) -> loops.Cost:
    """What a convolution costs with ``tile``; none of its weights is -128, as in all networks quantized here."""
    dot, conv = dot_product(target.instruction_set), replace(task.conv, symmetric=True)
    module = standalone(conv, task.geometry(dot), dot, tile)
    assembly = str(tvm.compile(module, target=tvm_target(target)).mod.inspect_source("asm"))
    outputs, blocks = tile.vectors * dot.lanes * tile.channels, conv.source.count // conv.groups
    products = outputs * math.prod(dot.steps(blocks, conv.kernel)) * dot.depth
    return loops.cost(assembly, core, products, outputs * math.prod(conv.kernel) * blocks * PACK, mca)


if __name__ == "__main__":
    sys.exit(main())
