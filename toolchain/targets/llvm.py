"""What the LLVM inside TVM makes of a target.

TVM takes an unknown CPU for a generic one and leaves unknown features out, with a line on stderr at most: the library
then runs, slowly. `check_target` asks LLVM before.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tvm
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as script
from tvm.target import codegen

from toolchain.support.errors import TargetError
from toolchain.targets import ARCHITECTURES, Target, architecture
from toolchain.targets.features import UNTOLD, WORDS, requirements


def tvm_target(target: Target) -> Any:
    """TVM's form of a target."""
    return tvm.target.Target(
        {
            "kind": "llvm",
            "mtriple": with_vendor(target.triple),
            "mcpu": target.cpu,
            "mattr": list(target.attributes),
            "num-cores": target.cores,
        }
    )


def with_vendor(triple: str) -> str:
    """Return the triple with the word for a vendor, which GNU leaves out: ``armv7a-unknown-linux-gnueabihf``.

    TVM hands a triple to LLVM as it is, and LLVM reads its words by their places: "linux" as a vendor, "gnueabihf" as a
    system, both unknown. It then keeps to no system's conventions. On 32-bit Arm it passes floats in integer registers,
    and where told not to, it does otherwise in calls of what converts 64 bits too (``__floatdisf``), which libgcc takes
    from integer registers: wrong numbers, in silence. On Android it uses register x18, which belongs to the system.
    """
    words = triple.split("-")
    return "-".join([words[0], "unknown", *words[1:]]) if words[1:2] in (["linux"], ["windows"]) else triple


def features(target: Target) -> tuple[str, ...]:
    """Return what LLVM really enables for ``target``, in its own words, sorted."""
    return tuple(sorted(map(str, codegen.llvm_get_cpu_features(tvm_target(target)))))


def cpu_features(cpu: str, triple: str) -> frozenset[str] | None:
    """Return what LLVM says that ``cpu`` has, in its own words; None if it knows no such CPU for ``triple``."""
    bare = {"kind": "llvm", "mtriple": with_vendor(triple)}
    if cpu not in set(map(str, codegen.llvm_get_cpu_archlist(tvm.target.Target(bare)))):
        return None
    return frozenset(map(str, codegen.llvm_get_cpu_features(tvm.target.Target({**bare, "mcpu": cpu}))))


def required(target: Target) -> tuple[str, ...]:
    """``target.requires``, and whatever else a machine must have that runs what LLVM makes for ``target``.

    Raises:
        TargetError: Linux does not tell of some of it, so that no bundle could ask for it.
    """
    enabled = set(features(target))
    untold = sorted(enabled & UNTOLD)
    if untold:
        raise TargetError(
            f"target {target.name}: Linux does not tell whether a machine has {', '.join(untold)}, so no "
            "bundle could be kept from one that has not",
            hint=f"switch it off: attributes = [{', '.join(json.dumps('-' + name) for name in untold)}]",
        )
    return (*target.requires, *sorted(requirements(enabled, target.triple) - set(target.requires)))


def check_target(target: Target) -> None:
    """See that LLVM knows everything ``target`` names.

    Raises:
        TargetError: unknown architecture, CPU or feature.
    """
    if architecture(target.triple) not in ARCHITECTURES:  # LLVM would crash on a word it does not know
        raise TargetError(
            f"target {target.name}: there is nothing to compile with for {target.triple}",
            hint=f"a triple begins with one of {', '.join(ARCHITECTURES)}",
        )
    bare = {"kind": "llvm", "mtriple": with_vendor(target.triple)}
    cpus = sorted(map(str, codegen.llvm_get_cpu_archlist(tvm.target.Target(bare))))
    if target.cpu not in cpus:
        raise TargetError(
            f"target {target.name}: LLVM knows no CPU {target.cpu!r} for {target.triple}", hint=near(target.cpu, cpus)
        )
    known: set[str] = set()
    for cpu in cpus:
        known.update(map(str, codegen.llvm_get_cpu_features(tvm.target.Target({**bare, "mcpu": cpu}))))
    for attribute in target.attributes:
        name = attribute[1:]
        if attribute[0] not in "+-" or name not in known:
            hint = f"write +{attribute} or -{attribute}" if attribute in known else near(name, known)
            raise TargetError(
                f"target {target.name}: LLVM knows no feature {attribute!r} for {target.triple}", hint=hint
            )
    for word in target.requires:
        meant = WORDS.get(word, (word,))
        if word not in meant:
            raise TargetError(
                f"target {target.name}: {word!r} in 'requires' is LLVM's word", hint=f"/proc/cpuinfo says {meant[0]}"
            )


def probe_object(target: Target, path: Path) -> None:
    """Write an object file for ``target`` that multiplies vectors of floats."""
    with IRBuilder() as builder, script.prim_func(s_tir=True):
        script.func_name("probe")
        x, y = (script.arg(name, script.Buffer((64,), "float32")) for name in "xy")
        with script.vectorized(0, 64) as i:
            script.buffer_store(y, x[i] * tvm.tirx.const(2.0, "float32"), [i])
    module = tvm.IRModule({"probe": builder.get().with_attr("global_symbol", "probe")})
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):  # checks would call TVM's runtime
        tvm.tirx.build(module, target=tvm_target(target)).write_to_file(str(path), "o")


def near(word: str, words: Iterable[str]) -> str:
    """Say which of ``words`` are close to ``word``, or all of them."""
    close = difflib.get_close_matches(word, sorted(words), n=3, cutoff=0.5)
    return f"close to it: {', '.join(close)}" if close else f"known: {', '.join(sorted(words))}"
