"""What the compiler must not do to the kernels, seen in the assembly it writes."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
import tvm

from tests.instruction_sets import ARM, AVX2, AVX512VNNI, CASCADELAKE, SSE4, TARGETS
from tests.kernels.harness import Case, compiled, geometry, spec, tile_of
from tests.lower.compiled import compiled as compiled_network
from tests.lower.nets import Net
from toolchain.backends.cpu import build
from toolchain.kernels import conv, elementwise, epilogue, lookup
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import Addend, Elementwise, Operand, Requantize, View
from toolchain.kernels.tile import WINOGRAD, Tile, default_tile
from toolchain.targets import Target, find_target
from toolchain.targets.llvm import tvm_target
from toolchain.tune.kernel import standalone

VNNI = TARGETS[0]
FUSED = re.compile(r"\bvfn?m(?:add|sub)\w*")


def assembly(function: tvm.tirx.PrimFunc, target: Target) -> str:
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    return str(tvm.compile(module, target=tvm_target(target)).mod.inspect_source("asm"))


def kernels(target: Target) -> dict[str, tvm.tirx.PrimFunc]:
    """Everything that adds a product to something: convolutions with a residual, and sums."""
    case = Case(4, 4, 1, residual=(4, 1, 4), slopes=True)
    view, dot = View(1, 0, 1), dot_product(target.instruction_set)
    terms = (Operand(view, 1, 4, 3, 0.3), Operand(view, 1, 4, 5, 0.7))
    return {
        "conv": conv.build(spec(case), geometry(case, target), dot),
        "add": elementwise.build(Elementwise(terms, Requantize(0, 255, 0), view), Geometry(1, 16), dot),
    }


@pytest.mark.parametrize("target", [VNNI, AVX2], ids=lambda target: target.instruction_set)
@pytest.mark.parametrize("name", ["conv", "add"])
def test_no_product_is_contracted_into_a_sum(name: str, target: Target, monkeypatch: pytest.MonkeyPatch):
    text = assembly(kernels(target)[name], target)
    assert "mulps" in text or "mulss" in text
    assert not FUSED.search(text)
    for module in (epilogue, elementwise):
        monkeypatch.setattr(module, "fence", lambda value: value)
    assert FUSED.search(assembly(kernels(target)[name], target)), "without a fence nothing is contracted: test is blind"


@ARM
def test_the_compiler_fuses_nothing(target: Target):
    text = "".join(assembly(kernel, target) for kernel in kernels(target).values())
    assert "fmul" in text or "vmul.f32" in text
    assert not any(name in text for name in ("fmla", "fmls", "fmadd", "fmsub", "vfma", "vfms", "vmla.f", "vmls.f"))


def test_avx_vnni_is_encoded_for_processors_without_avx512():
    target = find_target("x86-avxvnni")
    case = Case(4, 4, 1)
    dot, shape = dot_product(target.instruction_set), geometry(case, target)
    module = standalone(spec(case), shape, dot, default_tile(spec(case), shape.columns, dot))
    text = str(tvm.compile(module, target=tvm_target(target)).mod.inspect_source("asm"))
    assert re.search(r"vpdpbusd\s.*%ymm", text)
    assert "zmm" not in text
    assert not re.search(r"%ymm(1[6-9]|2\d|3[01])", text), "registers that only AVX-512 can name"


@pytest.mark.parametrize(("target", "looking"), [(AVX512VNNI, "vpermt2b"), (CASCADELAKE, "vpshufb")])
def test_bytes_are_looked_up_by_what_the_processor_has(target: Target, looking: str):
    view, table = View(1, 0, 1), np.arange(256, dtype=np.uint8)[None, ::-1]
    operation, _ = lookup.lookup(table, Addend(view, 1, 4), 0, view)
    text = assembly(lookup.build(operation, Geometry(1, 64), dot_product(target.instruction_set)), target)
    assert set(re.findall(r"\b(vpermi2b|vpermt2b|vpermb|vpshufb)\s.*%zmm", text)) == {looking}
    assert re.search(r"vpdpbusd\s.*%zmm", compiled(Case(16, 16), target).mod.inspect_source("asm"))


def stored_at_once(text: str) -> float:
    """Share of the dot products whose result is written to memory within the next three instructions."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("\t") and not line.startswith("\t.")]
    found = stored = 0
    for index, line in enumerate(lines):
        if line.startswith("vpdpbusd"):
            register = line.rsplit(",", 1)[1].strip()
            store = re.compile(rf"vmov\w+\s+{re.escape(register)}, [^%]*\(")
            found += 1
            stored += any(store.match(after) for after in lines[index + 1 : index + 4])
    assert found > 50
    return stored / found


@pytest.mark.parametrize(
    ("target", "instruction"),
    [(VNNI, "vpdpwssd"), (find_target("x86-avxvnni"), "vpdpwssd"), (AVX2, "vpmaddwd"), (SSE4, "pmaddwd")],
)
@pytest.mark.parametrize("channels", [28, 64])
def test_the_products_of_winograd_are_one_loop_that_touches_no_other_memory(
    channels: int, target: Target, instruction: str
):
    case = Case(channels, 28, tile=Tile(2, 4, algorithm=WINOGRAD))
    dot, shape = dot_product(target.instruction_set), geometry(case, target)
    module = standalone(spec(case), shape, dot, tile_of(case, target))
    text = str(tvm.compile(module, target=tvm_target(target)).mod.inspect_source("asm"))
    code = [line for line in text.splitlines() if line.startswith("\t") and not line.startswith("\t.")]
    lines = [line.replace("{vex}", "").strip() for line in code]
    found = [index for index, line in enumerate(lines) if line.split()[0] == instruction]
    loop = lines[found[0] : found[-1] + 1]
    assert not [line for line in loop if re.search(r"%[xyz]mm\d+, \S*\(", line)], "sums are kept in memory"
    assert len(found) == 8
    assert len(loop) < 8 + 8 + 2 * 4 + 8  # products, sums, factors, and moves where operands are overwritten


@pytest.mark.parametrize(
    ("name", "by_element"),
    [
        ("cortex-a72", r"smlal2?\s+v\d+\.4s, v\d+\.[48]h, v\d+\.h\[\d\]"),
        ("cortex-a9", r"vmlal\.s16\s+q\d+, d\d+, d\d+\[\d\]"),
    ],
)
def test_on_arm_winograd_takes_weights_out_of_a_register_and_keeps_its_sums(name: str, by_element: str):
    target, case = find_target(name), Case(28, 28, tile=Tile(1, 4, algorithm=WINOGRAD))
    dot, shape = dot_product(target.instruction_set), geometry(case, target)
    module = standalone(spec(case), shape, dot, tile_of(case, target))
    text = str(tvm.compile(module, target=tvm_target(target)).mod.inspect_source("asm"))
    (loop,) = [block for block in text.split(".LBB") if re.search(by_element, block)]
    inside = loop[: list(re.finditer(by_element, loop))[-1].end()]
    assert len(re.findall(by_element, inside)) % 16 == 0
    assert not re.search(r"\bv?(mull|smull|str|stp|vst1)", inside), "sums or products go through other instructions"


WANTED = {"neon": "sadalp", "neon-dotprod": "sdot", "neon-i8mm": "usmmla", "armv7-neon": "vpadal.s16"}


@ARM
def test_sums_are_made_by_the_instructions_meant_for_it(target: Target):
    text = compiled(Case(16, 16), target).mod.inspect_source("asm")
    lines = [line.split() for line in text.splitlines() if line.split()[:1] == [WANTED[target.instruction_set]]]
    assert len(lines) >= 8
    if target.instruction_set == "neon-dotprod":
        assert all(words[-1].endswith("]") for words in lines), "weights are spread over registers of their own"


def test_only_taps_in_different_rows_are_interleaved():
    """Of five pairs of taps one crosses a row: two instructions for each vector, and one for each register of sums."""
    case = Case(16, 16, tile=Tile(4, 4, reduce="blocks"))
    count = Counter(
        line.split()[0]
        for line in compiled(case, find_target("neoverse-n2")).mod.inspect_source("asm").splitlines()
        if line.strip()
    )
    assert count["usmmla"] == 5 * 4 * 4
    assert count["trn1"] + count["trn2"] == 2 * 4 + 4 * 4


@pytest.mark.parametrize("kernel", [1, 3])
def test_accumulators_stay_in_registers_between_high_and_low_bytes(kernel: int):
    case = Case(28, 28, kernel, wide=("in",))
    dot, shape = dot_product(VNNI.instruction_set), geometry(case, VNNI)
    module = standalone(spec(case), shape, dot, default_tile(spec(case), shape.columns, dot))
    text = str(tvm.compile(module, target=tvm_target(VNNI)).mod.inspect_source("asm"))
    assert stored_at_once(text) < 0.1


def test_accumulators_stay_in_registers_of_a_whole_network(monkeypatch: pytest.MonkeyPatch):
    net = Net()
    model = net.model(net.conv(net.conv(net.input, 16), 3))
    # Which functions lose their marks depends on their order in the module; here, it is the kernels.
    monkeypatch.setattr(build, "stream", lambda lowered, cache: lowered)

    def written() -> float:
        (library,) = compiled_network(model, VNNI).executable.mod.imports
        return stored_at_once(library.inspect_source("asm"))

    assert written() < 0.1
    without = tvm.transform.Sequential([step for step in build.FINISH.passes if step.info.name != "PromiseNoAlias"])
    monkeypatch.setattr(build, "FINISH", without)
    assert written() > 0.5, "the accumulators stay in registers by themselves now: promise_no_alias is not needed"
