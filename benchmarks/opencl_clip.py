"""What a network's final clip costs on a GPU: launches and bytes by estimate, times on this machine's processor.

    python benchmarks/opencl_clip.py [NETWORK...] -o benchmarks/results/opencl_clip.json

Each network is compiled three times from the same QDQ graph, by the same compiler:

* "folded": as clipfree deploys it. The clip is the range of the output's codes.
* "fused": the clip is an operator that follows the last convolution, before its codes are made. A compiler that fuses
  activations puts it into the convolution's kernel.
* "pass": the last convolution's codes span more than the pictures' range, and the clip works on them: what is left if a
  tool quantizes the convolution's output as it comes and runs the clip by itself. The pixels are shuffled behind it.

All three give the pixels of their own integer reference. Launches and bytes follow from the plan and the estimate of
`toolchain/backends/opencl/estimate.py` for phones; PoCL's times say nothing about phones.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from toolchain.backends.opencl.build import CompiledKernels, compile_opencl
from toolchain.quantize import IntegerReference, QuantizedModel
from toolchain.runtime.opencl.device import find_device
from toolchain.runtime.opencl.runner import OpenClRunner
from toolchain.schedules.select import Tuning
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write
from toolchain.targets import find_target
from toolchain.tune.network import quantize_quickly
from toolchain.zoo.embedded import resolve

PHONES = ("mali-g78", "adreno-740")
HERE = "opencl-cpu"
NETWORKS = ("zoo:xlsr_x3", "zoo:abpn_x3")

WIDE = 1.4711
"""What the codes of a convolution span whose clip is a pass of its own, over the pictures' range; a sixth of it lies
below black. The value does not touch the speed.
"""


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with a clip to the pictures' range behind its last convolution."""
    changed, end = _copy(model)
    node = changed.graph.node[end]
    scale = _constant(changed, node.input[1])
    clip = _clip(changed, node.input[0], 255 * float(scale))
    node.input[0] = clip.output[0]
    changed.graph.node.insert(end, clip)
    return changed


def by_itself(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with a clip that reads the codes of its last convolution, which span more than the pictures' range."""
    changed, end = _copy(model)
    node = changed.graph.node[end]
    scale = float(_constant(changed, node.input[1]))
    for name, value in (("wide_scale", np.float32(WIDE * scale)), ("wide_zero", np.uint8(round(255 / 6)))):
        changed.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    wide = ["wide_scale", "wide_zero"]
    quantize = helper.make_node("QuantizeLinear", [node.input[0], *wide], ["wide_quantized"])
    dequantize = helper.make_node("DequantizeLinear", ["wide_quantized", *wide], ["wide_dequantized"])
    clip = _clip(changed, "wide_dequantized", 255 * scale)
    node.input[0] = clip.output[0]
    for index, new in enumerate((quantize, dequantize, clip)):
        changed.graph.node.insert(end + index, new)
    return changed


VARIANTS: Mapping[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "folded": lambda model: model,
    "fused": fused,
    "pass": by_itself,
}


def _copy(model: onnx.ModelProto) -> tuple[onnx.ModelProto, int]:
    """A copy, and the place of the quantization of its output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy, max(index for index, node in enumerate(copy.graph.node) if node.op_type == "QuantizeLinear")


def _constant(model: onnx.ModelProto, name: str) -> npt.NDArray[Any]:
    return next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name)


def _clip(model: onnx.ModelProto, value: str, high: float) -> onnx.NodeProto:
    for name, bound in (("clip_low", 0.0), ("clip_high", high)):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(bound, np.float32), name))
    return helper.make_node("Clip", [value, "clip_low", "clip_high"], ["clipped"])


def compiled(model: QuantizedModel, target: str, size: tuple[int, int]) -> CompiledKernels:
    """The kernels of a variant."""
    gpu = find_target(target).gpu
    assert gpu is not None
    return compile_opencl(model, gpu, Tuning((), *size))


def expected(made: CompiledKernels) -> dict[str, Any]:
    """Launches and bytes of one picture; and of these, the bytes from the last convolution on."""
    read, written = (sum(getattr(figures, key) for figures in made.figures) for key in ("read", "written"))
    return {
        "launches": len(made.figures),
        "read": read,
        "written": written,
        "end_moved": sum(figures.read + figures.written for figures in made.figures[end_of(made) :]),
        "kernels": [figures.kernel for figures in made.figures],
    }


def end_of(made: CompiledKernels) -> int:
    """The place of the last convolution among the launches."""
    return max(place for place, figures in enumerate(made.figures) if figures.macs)


def runner(made: CompiledKernels) -> OpenClRunner:
    """The kernels on this machine's processor."""
    program = made.program
    sources = {kernel.name: made.prelude + kernel.code for kernel in program.kernels}
    return OpenClRunner(program.plan, sources, program.constants, find_device(HERE))


def equal(machine: OpenClRunner, model: QuantizedModel) -> bool:
    """Whether the kernels give the reference's pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (23, 41, model.channels), dtype=np.uint8)
    return bool(np.array_equal(machine.upscale(pixels), IntegerReference(model.model).run(pixels)))


def timed(
    machines: Mapping[str, OpenClRunner], end: int, size: tuple[int, int], channels: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Milliseconds of every variant by the device's clock, run in turn: of all kernels, and of those from launch
    ``end`` on; means of the fastest third, for other programs only ever add time.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (*size, channels), dtype=np.uint8)
    whole: dict[str, list[float]] = {name: [] for name in machines}
    ends: dict[str, list[float]] = {name: [] for name in machines}
    for turn in range(rounds + 1):
        for name, machine in machines.items():
            seconds = list(machine.functions(pixels, 1).values())
            if turn:  # the first warms up
                whole[name].append(1e3 * sum(seconds))
                ends[name].append(1e3 * sum(seconds[end:]))
    return {name: {"ms": _fastest(whole[name]), "end_ms": _fastest(ends[name])} for name in machines}


def _fastest(times: list[float]) -> float:
    return round(statistics.mean(sorted(times)[: -(-len(times) // 3)]), 2)


def measure(network: str, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Everything of one network."""
    model = quantize_quickly(resolve(network))
    models = {name: replace(model, model=change(model.model)) for name, change in VARIANTS.items()}
    phones = {phone: {name: expected(compiled(one, phone, size)) for name, one in models.items()} for phone in PHONES}
    here = {name: compiled(one, HERE, size) for name, one in models.items()}
    machines = {name: runner(made) for name, made in here.items()}
    wrong = [name for name, machine in machines.items() if not equal(machine, models[name])]
    if wrong:
        raise SystemExit(f"{network}: {', '.join(wrong)} differs from its reference")
    times = timed(machines, end_of(here["folded"]), size, model.channels, rounds)
    return {
        "network": network,
        "estimated": phones,
        HERE: {name: {**expected(made), **times[name]} for name, made in here.items()},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each network, device and variant."""
    lines = []
    for row in rows:
        for device, variants in {**row["estimated"], HERE: row[HERE]}.items():
            for name, found in variants.items():
                moved = (found["read"] + found["written"]) / 1e6
                took = f"{found['ms']:9.1f} ms, {found['end_ms']:.1f} at the end" if "ms" in found else ""
                lines.append(
                    f"{row['network']:14}{device:12}{name:8}{found['launches']:3} launches{moved:8.1f} MB, "
                    f"{found['end_moved'] / 1e6:.1f} at the end{took}"
                )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--size", type=int, nargs=2, default=(180, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args(arguments)
    size = (given.size[0], given.size[1])
    before = os.getloadavg()[0]
    try:
        rows = [measure(network, size, given.rounds) for network in given.networks]
        device = find_device(HERE)
    except ClipfreeError as error:
        sys.exit(str(error))
    print(table(rows))
    if given.out is not None:
        result = {
            "size": list(size),
            "rounds": given.rounds,
            "device": f"{device.name} ({device.platform.name})",
            "cores": os.cpu_count(),
            "load": [round(before, 2), round(os.getloadavg()[0], 2)],
            "networks": rows,
        }
        with atomic_write(given.out) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
