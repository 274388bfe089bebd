"""CPU features: LLVM's names for what it may use, in the words of /proc/cpuinfo, which say what a machine has.

Sources: LLVM's X86.td, AArch64Features.td and ARMFeatures.td; Linux's arch/x86/include/asm/cpufeatures.h,
arch/arm64/kernel/cpuinfo.c and arch/arm/kernel/setup.c.
"""

from __future__ import annotations

from collections.abc import Iterable

WORDS: dict[str, tuple[str, ...]] = {
    # x86-64
    "sse3": ("pni",),
    "ssse3": ("ssse3",),
    "sse4.1": ("sse4_1",),
    "sse4.2": ("sse4_2",),
    "sse4a": ("sse4a",),
    "avx": ("avx",),
    "avx2": ("avx2",),
    "fma": ("fma",),
    "fma4": ("fma4",),
    "xop": ("xop",),
    "tbm": ("tbm",),
    "f16c": ("f16c",),
    "avxvnni": ("avx_vnni",),
    "adx": ("adx",),
    "bmi": ("bmi1",),
    "bmi2": ("bmi2",),
    "lzcnt": ("abm",),
    "popcnt": ("popcnt",),
    "movbe": ("movbe",),
    "gfni": ("gfni",),
    "vaes": ("vaes",),
    "vpclmulqdq": ("vpclmulqdq",),
    "avx512f": ("avx512f",),
    "avx512bw": ("avx512bw",),
    "avx512cd": ("avx512cd",),
    "avx512dq": ("avx512dq",),
    "avx512vl": ("avx512vl",),
    "avx512ifma": ("avx512ifma",),
    "avx512vbmi": ("avx512vbmi",),
    "avx512vbmi2": ("avx512_vbmi2",),
    "avx512bitalg": ("avx512_bitalg",),
    "avx512vpopcntdq": ("avx512_vpopcntdq",),
    "avx512vnni": ("avx512_vnni",),
    "avx512bf16": ("avx512_bf16",),
    "avx512fp16": ("avx512_fp16",),
    "avx512vp2intersect": ("avx512_vp2intersect",),
    # Arm, both widths; "neon" stands in `words`
    "dotprod": ("asimddp",),
    "fullfp16": ("asimdhp", "fphp"),
    "fp16fml": ("asimdfhm",),
    "i8mm": ("i8mm",),
    "bf16": ("bf16",),
    "crc": ("crc32",),
    "sb": ("sb",),
    "sha3": ("sha3",),
    # 64-bit Arm
    "rdm": ("asimdrdm",),
    "lse": ("atomics",),
    "rcpc": ("lrcpc",),
    "rcpc-immo": ("ilrcpc",),
    "rcpc3": ("lrcpc3",),
    "complxnum": ("fcma",),
    "jsconv": ("jscvt",),
    "flagm": ("flagm",),
    "altnzcv": ("flagm2",),
    "fptoint": ("frint",),
    "sve": ("sve",),
    "sve2": ("sve2",),
    "sve2p1": ("sve2p1",),
    "sve-b16b16": ("sveb16b16",),
    "f32mm": ("svef32mm",),
    "f64mm": ("svef64mm",),
    "mops": ("mops",),
    "cssc": ("cssc",),
    "hbc": ("hbc",),
    "faminmax": ("faminmax",),
    # 32-bit Arm
    "vfp3": ("vfpv3",),
    "vfp4": ("vfpv4",),
    "hwdiv": ("idivt",),
    "hwdiv-arm": ("idiva",),
}
"""What LLVM may put into arithmetic code by itself. Other features are left out: they are for systems, cryptography or
tuning, and nothing here asks for them."""

UNTOLD = frozenset(
    {
        "avxifma",
        "avxneconvert",
        "avxvnniint8",
        "avxvnniint16",
        "avx10.2",
        "egpr",
        "ndd",
        "nf",
        "ccmp",
        "ppx",
        "push2pop2",
        "zu",
    }
)
"""What LLVM may put into code as well, but Linux does not tell of: no bundle could ask for it before it is loaded."""

_IMPLIED = {
    "ssse3": "pni",
    "sse4_1": "ssse3",
    "sse4_2": "sse4_1",
    "avx": "sse4_2",
    "avx2": "avx",
    "fma": "avx",
    "f16c": "avx",
    "fma4": "avx",
    "xop": "avx",
    "avx_vnni": "avx2",
    "avx512f": "avx2",
    "vfpv4": "vfpv3",
}
"""A machine that has the one has the other."""


def words(features: Iterable[str], triple: str) -> frozenset[str]:
    """Return what /proc/cpuinfo says of a machine with LLVM's ``features``, as far as it matters for arithmetic
    code.
    """
    narrow = triple.startswith("arm")
    found = {word for feature in features for word in WORDS.get(feature, ())}
    if "neon" in features:
        found.add("neon" if narrow else "asimd")
    if narrow and "fp-armv8" in features:  # has no word of its own there; CPUs with the next one have it
        found.add("crc32")
    return frozenset(found)


def requirements(features: Iterable[str], triple: str) -> frozenset[str]:
    """`words` without those that follow from others."""
    found = words(features, triple)
    return found - {_IMPLIED[word] for word in found if word in _IMPLIED}
