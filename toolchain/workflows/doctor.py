"""What this machine can do, and what would have to be installed for what it cannot."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolchain.images import Photo, write_photo
from toolchain.runtime.opencl.device import list_devices
from toolchain.support.cache import cache_folder
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError, TargetError
from toolchain.support.files import scratch_folder
from toolchain.support.versions import versions
from toolchain.targets import Target, architecture, best_target, list_targets, system
from toolchain.targets.linker import find_c_compiler, find_linker, is_native

EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "demo": (("skimage",), "photographs of `clipfree demo`, and to try embedded networks with"),
    "tflite": (("tflite",), "reads .tflite models"),
    "torch": (("torch", "onnxscript"), "reads .pt2 models"),
    "spandrel": (("torch", "spandrel", "safetensors"), "reads .pth and .safetensors models"),
    "train": (("torch",), "trains embedded networks again"),
    "tune": (("xgboost",), "`clipfree tune`"),
    "video": (("av",), "films"),
    "perceptual": (("flip_evaluator",), "FLIP, for `clipfree evaluate --perceptual`"),
    "opencl": (("pyopencl",), "runs OpenCL kernels here"),
    "board": (("tornado",), "the tracker of boards"),
    "zig": (("ziglang",), "a linker and C compiler for every target"),
    "bench": (("openvino", "ncnn", "MNN", "ai_edge_litert"), "runtimes that benchmarks compare with"),
}
"""Extras of the package: the modules that each brings, and what it is for."""

_EMULATORS = {
    "aarch64": (("qemu-aarch64-static", "qemu-aarch64"), "apt install qemu-user-static"),
    "armv7a": (("qemu-arm-static", "qemu-arm"), "apt install qemu-user-static"),
    "x86_64": (("qemu-x86_64-static", "qemu-x86_64"), "apt install qemu-user-static"),
    "windows": (("wine64", "wine"), "apt install wine64"),
}

_OTHER_DRIVER = "apt install mesa-opencl-icd, and set RUSTICL_ENABLE=llvmpipe"


@dataclass(frozen=True)
class Part:
    """One thing that this machine has or lacks.

    Attributes:
        name: of it.
        there: whether it is there and works.
        text: what was found, or why it does not work.
        install: the line that gets it; empty where it is there, or cannot be had.
    """

    name: str
    there: bool
    text: str
    install: str = ""


@dataclass(frozen=True)
class TargetPart:
    """What can be done for a target on this machine.

    Attributes:
        name: of the target.
        deploys: whether libraries can be made for it here.
        runs: whether what is made runs here: on the processor, or on an OpenCL device.
        text: why not, empty where it deploys and runs.
    """

    name: str
    deploys: bool
    runs: bool
    text: str


@dataclass(frozen=True)
class SelfTest:
    """A small network that was deployed and loaded here.

    Attributes:
        passed: whether its library equals the integer reference.
        text: what came out, or what it failed of.
        install: what to do about that; empty where nothing is to be done.
        seconds: that it took.
    """

    passed: bool
    text: str
    install: str
    seconds: float


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        versions: of this program and what it is built on; None for what is not installed.
        processor: its name.
        cores: that this process may use.
        features: those that some target asks for, of those that the processor has.
        host: the target that "host" means; None where none fits.
        targets: each.
        tools: linkers and C compilers, by what they are for.
        emulators: of other machines.
        opencl: devices.
        extras: of the package.
        cache: the folder of what need not be made twice.
        cache_bytes: its size.
        self_test: None where it was not asked for.
    """

    versions: Mapping[str, str | None]
    processor: str
    cores: int
    features: tuple[str, ...]
    host: str | None
    targets: tuple[TargetPart, ...]
    tools: tuple[Part, ...]
    emulators: tuple[Part, ...]
    opencl: tuple[Part, ...]
    extras: tuple[Part, ...]
    cache: Path
    cache_bytes: int
    self_test: SelfTest | None = None


def diagnose(model: Path | None) -> Diagnosis:
    """Look at this machine.

    Args:
        model: a small float network that is deployed to see whether that works; None: it is not tried.
    """
    cpu, targets = this_cpu(), list_targets()
    wanted = {feature for target in targets for feature in target.requires}
    tools = {triple: _tools(triple) for triple in sorted({target.triple for target in targets}, key=_own_first)}
    opencl = _opencl()
    here = any(device.there for device in opencl)
    return Diagnosis(
        versions=versions(),
        processor=cpu.name,
        cores=cpu.cores,
        features=tuple(sorted(wanted & cpu.features)),
        host=best_target(cpu),
        targets=tuple(_target(target, tools[target.triple], opencl=here) for target in targets),
        tools=tuple(tools.values()),
        emulators=tuple(_emulator(name) for name in _EMULATORS if name != architecture(f"{cpu.machine}-")),
        opencl=opencl,
        extras=tuple(_extra(name) for name in EXTRAS),
        cache=cache_folder(),
        cache_bytes=_size(cache_folder()),
        self_test=None if model is None else _try(model),
    )


def _own_first(triple: str) -> tuple[bool, str]:
    return not is_native(triple), triple


def _tools(triple: str) -> Part:
    """Return what links for ``triple``, and compiles C, which OpenCL's libraries and static ones want."""
    try:
        linker = find_linker(triple)
        text = f"{shlex.join(linker.command)} (from {linker.source})"
    except TargetError as error:
        return Part(triple, there=False, text=error.message, install=_line(error))
    try:
        find_c_compiler(triple)
    except TargetError as error:
        return Part(triple, there=True, text=f"{text}, which compiles no C", install=_line(error))
    return Part(triple, there=True, text=text)


def _line(error: ClipfreeError) -> str:
    """Return the first command that a hint names, else the hint."""
    quoted = error.hint.split("`")
    return quoted[1] if len(quoted) > 2 else error.hint


def _target(target: Target, tools: Part, *, opencl: bool) -> TargetPart:
    native, missing = is_native(target.triple), target.missing_on(this_cpu())
    if target.gpu is not None:
        text = "" if opencl else "no OpenCL device here to check it on"
        return TargetPart(target.name, deploys=True, runs=opencl, text=text)
    reasons = [] if tools.there else [tools.text]
    if not native:
        reasons.append(f"what is made for it runs under {system(target.triple)} on {architecture(target.triple)}")
    elif missing:
        reasons.append(f"this CPU lacks {', '.join(missing)}")
    return TargetPart(target.name, deploys=tools.there, runs=native and not missing, text="; ".join(reasons))


def _emulator(name: str) -> Part:
    programs, install = _EMULATORS[name]
    found = next((path for program in programs if (path := shutil.which(program))), None)
    return Part(name, there=found is not None, text=found or "not found", install="" if found else install)


def _opencl() -> tuple[Part, ...]:
    try:
        devices = list_devices()
    except TargetError as error:
        return (Part("OpenCL", there=False, text=error.message, install=_line(error)),)
    return tuple(
        Part(name, not failure, f"builds no kernels{failure}" if failure else kind, _OTHER_DRIVER if failure else "")
        for name, kind, failure in devices
    )


def _extra(name: str) -> Part:
    modules, purpose = EXTRAS[name]
    there = all(importlib.util.find_spec(module) is not None for module in modules)
    return Part(name, there, purpose, "" if there else f"pip install 'clipfree[{name}]'")


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def _try(model: Path) -> SelfTest:
    """Deploy a network on noise, and see that its library gives the bytes of the integer reference."""
    from toolchain.quantize import Settings
    from toolchain.workflows.deploy import Request, deploy

    begin = time.perf_counter()
    try:
        with scratch_folder() as folder:
            pictures = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
            for index, pixels in enumerate(pictures):
                write_photo(folder / "photographs" / f"{index}.png", Photo(pixels))
            done = deploy(Request(model, folder, folder / "photographs", settings=Settings(budget=0.0)))
            seconds = time.perf_counter() - begin
            if not done.verified:
                return SelfTest(False, f"{model.stem} was deployed, and does not run here", "", seconds)
            text = f"{model.stem} deployed for {done.manifest.target.name}, loaded, equal to the integer reference"
            return SelfTest(True, text, "", seconds)
    except ClipfreeError as error:
        return SelfTest(False, error.message, _line(error), time.perf_counter() - begin)
