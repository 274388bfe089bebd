"""Damaged bundles: spoilt files, and hostile content whose checksums were made right again."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from tests import sr_models
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import change, spoil
from tests.conftest import photograph
from tests.standin import QUICK
from toolchain.bundle import GOLDEN, LIBRARY
from toolchain.bundle.store import MANIFEST

_TEXTS = ("recipe.json", "report.json", "model.qdq.onnx", GOLDEN)
_OPENCL = "opencl/plan.json"


def trial(seed: int, folder: Path) -> Outcome:
    """Damage a sound bundle as ``seed`` says; commands that read it must notice, or do without what was damaged."""
    rng = np.random.default_rng([seed, 3])
    bundle = folder / "damaged.clipfree"
    opencl = rng.random() < 0.2
    source = _sound("opencl-cpu" if opencl else "host")
    if source is None:
        return Outcome("skipped", "there is no OpenCL here")
    shutil.copytree(source, bundle)
    photo = folder / "photo.png"
    Image.fromarray(photograph(19, 23, 1)).save(photo)
    noticed = rng.random() < 0.3
    said = _spoil_file(bundle, rng) if noticed else _hostile(bundle, rng, opencl=opencl)
    device = ["--device", "opencl-cpu"] if opencl else []
    commands: list[list[str | Path]] = [
        ["inspect", bundle],
        ["run", bundle, photo, "-o", folder / "out.png", *device],
        ["verify", bundle, "--photo", photo, *device],
        ["evaluate", bundle, "--hr", photo, *device],
    ]
    chosen = (commands[0], commands[int(rng.integers(1, len(commands)))])
    outcomes = [judge(clipfree(*words), may_disagree=True) for words in chosen]
    if noticed and any(outcome.verdict == "passed" for outcome in outcomes):
        raise Fault(f"damage was not noticed: {said}")
    worst = next((outcome for outcome in outcomes if outcome.verdict == "refused"), outcomes[-1])
    return Outcome(worst.verdict, f"{said}: {worst.note}", worst.details)


@functools.cache
def _sound(target: str) -> Path | None:
    """A bundle for ``target``, made once in a process; None where it cannot run here."""
    from toolchain.backends import backend_for
    from toolchain.targets import find_target
    from toolchain.workflows.deploy import Request, deploy

    if backend_for(find_target(target)).obstacle(find_target(target)) is not None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="clipfree-bundles-"))
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), folder / "tiny.onnx")
    Image.fromarray(photograph(60, 70, 0)).save(folder / "photo.png")
    return deploy(Request(folder / "tiny.onnx", folder, folder / "photo.png", target, settings=QUICK)).path


def _spoil_file(bundle: Path, rng: np.random.Generator) -> str:
    """Damage that the checksums show."""
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    name, way = path.relative_to(bundle).as_posix(), rng.integers(6)
    before = path.read_bytes()
    if way == 0:
        path.unlink()
        return f"without {name}"
    if way == 1:
        (bundle / "more").write_bytes(b"x")
        return "a file more"
    if way == 2:
        path.unlink()
        path.symlink_to("/etc/hostname")
        return f"a link for {name}"
    if way == 3:
        path.unlink()
        os.mkfifo(path)
        return f"a pipe for {name}"
    if way == 4:
        path.unlink()
        path.mkdir()
        return f"a folder for {name}"
    after = spoil(before, rng)
    while after == before or (name == MANIFEST and _same_json(before, after)):
        after = spoil(before, rng)
    path.write_bytes(after)
    return f"bytes of {name}"


def _same_json(one: bytes, other: bytes) -> bool:
    """Whether two manifests differ in white space at most, which means nothing."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def _hostile(bundle: Path, rng: np.random.Generator, *, opencl: bool) -> str:
    """Content by somebody who knows the format."""
    table = json.loads((bundle / MANIFEST).read_text())
    if rng.random() < 0.5:
        table, said = change({key: value for key, value in table.items() if key != "checksum"}, rng)
        return f"manifest, {said}" if _seal(bundle, table) else "nothing: no JSON can say it"
    names = [*_TEXTS, *([_OPENCL, "opencl/constants.bin"] if opencl else [LIBRARY])]
    name = names[int(rng.integers(len(names)))]
    path = bundle / name
    data, said = _content(name, path.read_bytes(), rng)
    path.write_bytes(data)
    table["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _seal(bundle, table)
    return f"{name}, {said}"


def _content(name: str, data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    if name == LIBRARY:  # code does what it does: only what is no library any more can be told
        return data[: int(rng.integers(len(data)))], "truncated"
    if name == GOLDEN and rng.random() < 0.7:
        return _golden(rng)
    if name.endswith(".json") and rng.random() < 0.8:
        table, said = change(json.loads(data), rng)
        try:
            return json.dumps(table).encode(), said
        except (ValueError, TypeError):
            return b"", "empty"
    return spoil(data, rng), "bytes"


def _golden(rng: np.random.Generator) -> tuple[bytes, str]:
    shapes = ((4, 5, 3), (8, 10, 3), (0, 0, 3), (4, 5), (4, 5, 1), (1, 2, 3, 4), (), (4, 0, 3))
    kinds = (np.uint8, np.uint8, np.float64, np.int64, np.bool_, np.dtype("U4"), np.complex128)
    arrays = {
        name: np.zeros(shapes[rng.integers(len(shapes))], kinds[rng.integers(len(kinds))])
        for name in ("input", "output", "other")
        if rng.random() < 0.9
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue(), ", ".join(f"{name} {array.dtype}{array.shape}" for name, array in arrays.items())


def _seal(bundle: Path, table: dict[str, Any]) -> bool:
    """Write the manifest with the checksum that belongs to it; False if it is left as it was."""
    table.pop("checksum", None)
    try:
        body = (json.dumps(table, indent=1, sort_keys=True) + "\n").encode()
    except (ValueError, TypeError):
        return False
    table["checksum"] = hashlib.sha256(body).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps(table, indent=1, sort_keys=True))
    return True


CAMPAIGN = Campaign("bundles", "damaged bundles: noticed, or a sentence", trial, limit=120, share=3, sample=range(8))
