"""Target files by somebody who guesses: fields of wrong types and sizes, CPUs and features that LLVM does not know."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from tests import sr_models
from tests.campaigns.campaign import Campaign, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import change, spoil
from tests.conftest import photograph
from tests.standin import standing_in
from toolchain.targets import target_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_WORDS: dict[str, tuple[Any, ...]] = {
    "triple": (
        "x86_64-linux-gnu",
        "aarch64-linux-gnu",
        "armv7a-linux-gnueabihf",
        "riscv64-linux-gnu",
        "wasm32",
        "x86_64",
        "-",
        "x86_64-pc-windows-msvc",
    ),
    "cpu": ("x86-64", "x86-64-v4", "znver5", "cortex-a76", "generic", "apple-m1", "nosuchcpu", "help", "pentium"),
    "attributes": ([], ["+avx512f"], ["-sse2"], ["+neon", "-neon"], ["+nosuch"], ["avx2"], ["+"], ["+help"]),
    "instruction_set": (
        "avx2",
        "sse4",
        "avx512vnni",
        "avxvnni",
        "portable",
        "neon",
        "neon-dotprod",
        "armv7-neon",
        "opencl",
        "nosuch",
    ),
    "requires": ([], ["avx2"], ["nosuch"], ["neon"]),
    "cores": (1, 1024, 10**9),
    "cache": (1, 10**12),
}


def trial(seed: int, folder: Path) -> Outcome:
    """Write a target file as ``seed`` says; it is shown, or refused by a sentence; some are deployed for."""
    rng = np.random.default_rng([seed, 5])
    files = sorted(target_folder().glob("*.toml"))
    source = files[int(rng.integers(len(files)))]
    path = folder / "own.toml"
    way, table = rng.random(), tomllib.loads(source.read_text())
    if way < 0.25:
        path.write_bytes(spoil(source.read_bytes(), rng))
        said = "bytes"
    elif way < 0.6:
        changed, said = change(table, rng)
        path.write_text(_toml(changed), errors="surrogatepass")
    else:
        keys = [str(key) for key in rng.choice(list(_WORDS), int(rng.integers(1, 3)), replace=False)]
        for key in keys:
            table[key] = _WORDS[key][rng.integers(len(_WORDS[key]))]
        path.write_text(_toml(table))
        said = ", ".join(f"{key} = {table[key]}" for key in keys)
    outcomes = [judge(clipfree("targets", word, path)) for word in ("show", "doctor")]
    if outcomes[0].verdict == "passed":
        real = rng.random() < 0.2 or "gpu" in table  # no stand-in compiles for OpenCL
        outcomes.append(_deployed(path, folder, real=real))
    worst = next((outcome for outcome in outcomes if outcome.verdict == "refused"), outcomes[0])
    return Outcome(worst.verdict, f"{source.stem}, {said}: {worst.note}", worst.details)


def _deployed(path: Path, folder: Path, *, real: bool) -> Outcome:
    onnx.save(sr_models.espcn(2, width=4), folder / "tiny.onnx")
    Image.fromarray(photograph(48, 48, 0)).save(folder / "photo.png")
    words = ("deploy", folder / "tiny.onnx", "--calib", folder / "photo.png", "-o", folder / "out", "--target", path)
    if real:
        return judge(clipfree(*words))
    with standing_in():
        return judge(clipfree(*words))


def _toml(table: dict[str, Any]) -> str:
    """The table as TOML: of one level, tables in it written inline."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if value is None:
        return "nothing"  # which is no TOML
    return {"NaN": "nan", "Infinity": "inf"}.get(text := json.dumps(value, ensure_ascii=False), text)


CAMPAIGN = Campaign("targets", "target files: a target or a sentence", trial, limit=120, share=2, sample=range(10))
