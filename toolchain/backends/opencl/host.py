"""The host part of a bundle: a small library in C that runs the launch plan through the device's own OpenCL driver.

Its sources lie in ``native``; plan, kernels and constants become tables beside them (``network.c``), so that one file,
``model.so``, is all that an app or a board needs. Apps use the interface of all libraries, `clipfree.h`, and beside it
``native/clipfree_opencl.h``; ``native/tvm.c`` is for the RPC server of `toolchain.board`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from toolchain.backends.c_sources import EXACT, SHARED, c_text
from toolchain.bundle import LIBRARY
from toolchain.bundle.launch_plan import PICTURE, RESULT, SCALARS, Launch, LaunchPlan, Size
from toolchain.images.geometry import LARGEST
from toolchain.kernels.layout import SIDE
from toolchain.runtime.opencl.device import parse_wish
from toolchain.support.errors import TargetError
from toolchain.support.versions import Versions
from toolchain.targets.linker import Linker
from toolchain.targets.soname import rename, roomy

_NATIVE = Path(__file__).with_name("native")
_TABLES = "network.c"
# Without the C library, whose version would be written into the library: the program that loads it has one. Nobody
# else's functions of the same names take the place of these. Programs look for the name, not where it was linked.
_FLAGS = ("-std=c11", "-O3", "-nostdlib", *EXACT, "-Wl,-Bsymbolic", f"-Wl,-soname,{roomy(LIBRARY)}", "-xc")


@dataclass(frozen=True)
class About:
    """What a library says of itself, and of the pictures that it takes."""

    name: str = ""
    target: str = ""
    smallest: tuple[int, int] = (1, 1)
    reach: int = LARGEST


def write_sources(
    folder: Path, plan: LaunchPlan, kernels: Mapping[str, str], constants: bytes, about: About = About()
) -> None:
    """Write all that the library is made of into ``folder``, which is made.

    Args:
        folder: of the sources.
        plan: what to launch.
        kernels: OpenCL C by its name.
        constants: the bytes of all constants.
        about: what the library says of itself.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True)
    for path in (*sorted(SHARED.glob("*.[ch]")), *sorted(_NATIVE.glob("*.[ch]"))):
        shutil.copyfile(path, folder / path.name)
    (folder / _TABLES).write_text("".join(_tables(plan, kernels, constants, about)), encoding="utf-8")


def compile_sources(folder: Path, output: Path, linker: Linker) -> None:
    """Compile what `write_sources` wrote to a shared library, with a linker that compiles C, see
    `toolchain.targets.linker.find_c_compiler`.

    Raises:
        TargetError: the compiler fails.
    """
    compiler = replace(linker, flags=(*linker.flags, *linker.inline, *_FLAGS))
    compiler(str(output), [str(path) for path in sorted(folder.glob("*.c"))], linker.helpers)
    rename(output, LIBRARY)


def _tables(plan: LaunchPlan, kernels: Mapping[str, str], constants: bytes, about: About) -> Iterator[str]:
    yield "// Written by clipfree: the launch plan, the kernels and the constants of a network.\n"
    yield '#include "network.h"\n\n'
    launched = (size for launch in plan.launches for size in (launch.size, launch.result))
    sizes = list(dict.fromkeys([*(buffer.size for buffer in plan.buffers), *launched]))
    yield from _sizes(sizes)
    yield "static const struct buffer buffers[] = {\n"
    for buffer in plan.buffers:
        element, zero = np.dtype(buffer.dtype).itemsize, buffer.zero_point
        low, size = zero if buffer.low is None else buffer.low, sizes.index(buffer.size)
        yield f"    {{{buffer.blocks}, {element}, {zero}, {low}, {size}}},  // {buffer.name}\n"
    yield "    {0, 0, 0, 0, 0}};\n\nstatic const struct constant constants[] = {\n"
    for constant in plan.constants:
        size = constant.count * np.dtype(constant.dtype).itemsize
        yield f"    {{{constant.offset}, {size}}},  // {constant.name}\n"
    yield "    {0, 0}};\n\n"
    numbers = {
        name: place
        for place, name in enumerate(
            (*SCALARS, PICTURE, RESULT, *(b.name for b in plan.buffers), *(c.name for c in plan.constants))
        )
    }
    for index, launch in enumerate(plan.launches):
        arguments = ", ".join(str(numbers[name]) for name in launch.arguments)
        yield f"static const int16_t arguments{index}[] = {{{arguments}}};\n\n"
        yield f"static const char source{index}[] =\n{_literal(kernels[launch.kernel])};\n\n"
    yield "static const struct launch launches[] = {\n"
    yield from (_launch(index, launch, sizes) for index, launch in enumerate(plan.launches))
    words = np.frombuffer(constants + bytes(-len(constants) % 8), "<u8").tolist()
    yield "};\n\nstatic const uint64_t data[] = {"
    yield from (f"{'' if place % 8 else chr(10)}{word:#x}," for place, word in enumerate(words))
    yield (
        "};\n\nconst struct network clipfree_network = {"
        f"{plan.channels}, {plan.scale}, {plan.over}, {plan.unit}, {plan.margin}, {plan.columns}, {SIDE}, "
        f"sizes, buffers, {len(plan.buffers)}, constants, {len(plan.constants)}, launches, {len(plan.launches)}, "
        f"(const unsigned char *)data, {about.smallest[0]}, {about.smallest[1]}, {about.reach}, "
        f"{c_text(about.name)}, {c_text(about.target)}, {c_text(Versions.installed().clipfree)}}};\n"
    )


def _sizes(sizes: Sequence[Size]) -> Iterator[str]:
    """Yield tables of what becomes of the input's sides."""
    for index, size in enumerate(sizes):
        for axis in ("height", "width"):
            changes = "".join(f"{{{c.times}, {c.plus}, {c.per}}}, " for c in getattr(size, axis))
            yield f"static const struct change {axis}{index}[] = {{{changes}{{1, 0, 1}}}};\n"
    yield "\nstatic const struct size sizes[] = {\n"
    for index, size in enumerate(sizes):
        yield f"    {{height{index}, width{index}, {len(size.height)}, {len(size.width)}}},\n"
    yield "};\n\n"


def _launch(index: int, launch: Launch, sizes: Sequence[Size]) -> str:
    work = ", ".join(
        f"{{{-1 if extent.size == 'one' else SCALARS.index(extent.size)}, {extent.per}, {extent.times}, {extent.plus}}}"
        for extent in launch.work
    )
    group = ", ".join(str(size) for size in launch.group)
    return (
        f'    {{"{launch.kernel}", source{index}, arguments{index}, {len(launch.arguments)}, {{{work}}}, '
        f"{{{group}}}, {sizes.index(launch.size)}, {sizes.index(launch.result)}}},\n"
    )


def _literal(text: str) -> str:
    """Return a text as a C literal, a line each."""
    lines = (line.replace("\\", "\\\\").replace('"', '\\"') for line in text.splitlines())
    return "\n".join(f'    "{line}\\n"' for line in lines)


def kind_of(device: str | None) -> int:
    """``enum clipfree_kind`` of what the user calls a device; None: whatever there is.

    Raises:
        TargetError: devices are not called so, or one is named: the board chooses among those of a kind.
    """
    if device is None:
        return 0
    kind, part = parse_wish(device)
    if part:
        raise TargetError(
            f"which {kind} of a board is used is said where its server starts",
            hint=f"start it with CLIPFREE_OPENCL_DEVICE={part} in its environment",
        )
    return {"GPU": 1, "CPU": 2}[kind]
