"""How many cycles a compiled kernel's loops take, by llvm-mca: cost models of processors that are not at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from toolchain.targets import architecture, find_target

_LABEL = re.compile(r"^(\.LBB\w+):")
_BRANCH = re.compile(r"^\s+(?:b\.\w+|b|b[a-z]{2}|cbn?z|tbn?z)\s.*?(\.LBB\w+)$")
_LEAVE = re.compile(r"^\s+(?:ret|bl|blr|blx|bx)\b")
_COMMENT = re.compile(r"//|@")
_PAIR = re.compile(r"^(\s+)v(ld|st)mia\s+(\w+), \{([d\d, ]+)\}$")
"""Cortex-A9's model has no cost for these; they take as long as ``vld1`` and ``vst1`` of as much."""
_ROUNDS = 100

PRODUCTS = {
    "sdot": 16,
    "usdot": 16,
    "usmmla": 32,
    "smull": 8,
    "smull2": 8,
    "smlal": 8,
    "smlal2": 8,
    "vmull.s8": 8,
    "vmlal.s8": 8,
}
"""Products that an instruction makes in a register of 128 bits."""
_EPILOGUE = ("scvtf", "vcvt.f32.s32")
_OPTIONS = {
    "aarch64": ("-mattr=+dotprod,+i8mm,+fullfp16",),
    "armv7a": ("-mattr=+neon", "-skip-unsupported-instructions=lack-sched"),
}
"""Cortex-A9's model does not know what ``ldm`` and ``stm`` cost: addresses that are kept on the stack."""


@dataclass(frozen=True)
class Core:
    """A processor as llvm-mca knows it.

    Attributes:
        name: of the processor.
        target: clipfree's target whose code is looked at.
        model: LLVM's scheduling model, of a core that is built alike where this one has none: Neoverse N1 is a
            Cortex-A76, Neoverse V1 is a Cortex-X1 with i8mm.
        peak: products a cycle, by the maker's optimization guide; of Cortex-A9, one instruction a cycle.
        alike: other targets with the same kernels and, as far as LLVM knows, as good as the same core: Cortex-A78 is
            the A76's successor, Neoverse N2 a Cortex-A710; Cortex-A7's vector unit works in order and on 64 bits at a
            time, as Cortex-A9's does.
        instruction_set: of the kernels; None for the target's.
    """

    name: str
    target: str
    model: str
    peak: int
    alike: tuple[str, ...] = ()
    instruction_set: str | None = None


CORES = (
    Core("Cortex-A76", "cortex-a76", "neoverse-n1", 32, ("android-arm64", "cortex-a78", "neoverse-n1")),
    Core("Cortex-A55", "cortex-a55", "cortex-a55", 16),
    Core("Cortex-A72", "cortex-a72", "cortex-a72", 8),
    Core("Cortex-A53", "cortex-a53", "cortex-a53", 8, ("android-arm64-v8a",)),
    Core("Cortex-X1", "cortex-x1", "neoverse-v1", 64),
    Core("Neoverse V1", "neoverse-v1", "neoverse-v1", 128),
    Core("Neoverse N2", "neoverse-n2", "neoverse-n2", 64, ("android-arm64-i8mm",)),
    Core("Neoverse V1 without usmmla", "neoverse-v1", "neoverse-v1", 64, instruction_set="neon-dotprod"),
    Core("Neoverse N2 without usmmla", "neoverse-n2", "neoverse-n2", 32, instruction_set="neon-dotprod"),
    Core("Cortex-A9", "cortex-a9", "cortex-a9", 8, ("cortex-a7",)),
)


@dataclass(frozen=True)
class Cost:
    """Cycles of a kernel.

    Attributes:
        loop: products per cycle of the innermost loop.
        whole: products per cycle, the start of the sums and their requantization included.
    """

    loop: float
    whole: float


def find_mca() -> str | None:
    """The newest llvm-mca here that has the models; None if there is none."""
    for version in range(30, 15, -1):
        found = shutil.which(f"llvm-mca-{version}")
        if found:
            return found
    return None


def cost(assembly: str, core: Core, products: int, wanted: int, mca: str) -> Cost:
    """Cycles of a kernel of one convolution.

    Args:
        assembly: of the kernel's module.
        core: whose cycles.
        products: that one register tile makes, over all taps and input channels.
        wanted: those of them that are not with weights added to fill an instruction.
        mca: the program.
    """
    blocks = _blocks(assembly)
    made = [sum(PRODUCTS.get(line.split()[0], 0) for line in lines) for _, lines in blocks]
    own = [index for index, (label, lines) in enumerate(blocks) if made[index] and _target(lines) == label]
    hot = max(own, key=lambda index: made[index]) if own else max(range(len(blocks)), key=lambda index: made[index])
    inner = cycles(blocks[hot][1], core, mca)
    around = [line for index in _around(blocks, hot) if index != hot for line in blocks[index][1]]
    outer = cycles(around, core, mca) if around else 0.0
    rest = sum(made[index] for index in _around(blocks, hot) if index != hot)
    rounds = (products - rest) / made[hot]
    share = wanted / products
    return Cost(share * made[hot] / inner, wanted / (rounds * inner + outer))


def cycles(lines: list[str], core: Core, mca: str) -> float:
    """Cycles that a piece of code takes when it is run again and again."""
    text = "\n".join(
        _PAIR.sub(r"\1v\g<2>1.32 {\4}, [\3]", line)
        for line in lines
        if not _BRANCH.match(line) and not _LEAVE.match(line)
    )
    kind = architecture(find_target(core.target).triple)
    done = subprocess.run(
        [
            mca,
            f"-mtriple={kind}",
            f"-mcpu={core.model}",
            *_OPTIONS[kind],
            f"-iterations={_ROUNDS}",
            "-instruction-info=0",
            "-resource-pressure=0",
        ],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert total is not None
    return int(total[1]) / _ROUNDS


def _blocks(assembly: str) -> list[tuple[str, list[str]]]:
    """The basic blocks, each with its label or nothing, and its instructions."""
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for line in assembly.splitlines():
        label = _LABEL.match(line)
        if label:
            blocks.append((label[1], []))
        elif re.match(r"^\w", line):  # another function
            blocks.append(("", []))
        elif re.match(r"^\s+[a-z]", line):
            blocks[-1][1].append(_COMMENT.split(line)[0].rstrip())
            if _BRANCH.match(blocks[-1][1][-1]):
                blocks.append(("", []))
    return blocks


def _target(lines: list[str]) -> str | None:
    found = _BRANCH.match(lines[-1]) if lines else None
    return found[1] if found else None


def _around(blocks: list[tuple[str, list[str]]], hot: int) -> list[int]:
    """The blocks of the smallest loop that holds both the hot block and a requantization."""
    labels = {label: index for index, (label, _) in enumerate(blocks) if label}
    loops = []
    for last, (_, lines) in enumerate(blocks):
        for line in lines:
            found = _BRANCH.match(line)
            first = labels.get(found[1], len(blocks)) if found else len(blocks)
            inside = [line.split()[0] for block in blocks[first : last + 1] for line in block[1]]
            if first <= hot <= last and any(name in _EPILOGUE for name in inside):
                loops.append((last - first, first, last))
    if not loops:
        return []
    _, first, last = min(loops)
    return list(range(first, last + 1))
