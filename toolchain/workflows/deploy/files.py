"""The files of a bundle beside its library: manifest, report, golden picture, and the network itself."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain import bundle as store
from toolchain.backends import backend_for
from toolchain.bundle import IntegerCoverage, Manifest
from toolchain.runtime.tiles import REFERENCE
from toolchain.runtime.verify import Verified, make_cases
from toolchain.schedules.coverage import expected
from toolchain.schedules.select import TileChoice
from toolchain.support.versions import Versions
from toolchain.targets.precision import INT8

if TYPE_CHECKING:
    from toolchain.backends.base import Compiled
    from toolchain.reference.network import NetworkFigures
    from toolchain.runtime.runner import Upscale
    from toolchain.targets import Target
    from toolchain.workflows.deploy.prepare import Prepared
    from toolchain.workflows.deploy.request import Request

Pixels = npt.NDArray[np.uint8]


def make_manifest(
    request: Request, prepared: Prepared, target: Target, compiled: Compiled, network: NetworkFigures
) -> Manifest:
    """Return the manifest, before the files are sealed."""
    model = prepared.model
    smallest = prepared.smallest
    tall, wide = (side + -side % prepared.unit for side in (1080, 1920))
    return Manifest(
        name=request.title,
        versions=Versions.installed(),
        target=target,
        library=backend_for(target).file(target),
        entry="main",
        channels=model.channels,
        scale=model.scale,
        value_range=model.value_range,
        # No tile with its halo may be smaller than the network's smallest picture.
        halo=max(model.halo + compiled.further, max(smallest) // 2),
        macs_per_pixel=network.macs_per_pixel,
        # At a large size, where the rounding of widths to column tiles no longer shows; the input comes on top.
        workspace_per_pixel=compiled.workspace(tall, wide) / (tall * wide) + model.channels,
        line_buffers=compiled.line_buffers(REFERENCE),
        precision=request.precision,
        coverage=_coverage(compiled, request.precision),
        tuned=compiled.tuned,
        kernels=tuple(str(getattr(kernel, "name", kernel)) for kernel in compiled.kernels),
        tensors=network.tensors,
        files={},
        loss=prepared.loss,
        unit=prepared.unit,
        smallest=smallest,
        weights=prepared.weights,
    )


def make_report(
    request: Request,
    prepared: Prepared,
    manifest: Manifest,
    compiled: Compiled,
    network: NetworkFigures,
    verified: tuple[Verified, ...],
    warnings: tuple[str, ...],
) -> dict[str, Any]:
    """Return what was done, with nothing in it that differs between two runs on the same files."""
    model, photos = prepared.model, prepared.photos
    return {
        "model": {
            "file": request.model.name,
            "sha256": hashlib.sha256(request.model.read_bytes()).hexdigest(),
            **({"inputs": dict(request.inputs)} if request.inputs else {}),
            "clip": asdict(model.clip) if model.clip else None,
            "changes": list(prepared.changes),
        },
        "network": {
            "parameters": network.parameters,
            "macs_per_pixel": network.macs_per_pixel,
            "layers": [
                {**asdict(layer), "weight_bits": prepared.weight_bits.get(layer.name)} for layer in network.layers
            ],
        },
        "calibration": {
            "photographs": list(photos.names) if photos else [],
            "left_out": [asdict(skipped) for skipped in photos.skipped] if photos else [],
            "representative": prepared.representative,
            "budget": asdict(prepared.budget) if prepared.budget else None,
            "bound": asdict(prepared.bound) if prepared.bound else None,
            "traded": asdict(prepared.traded) if prepared.traded else None,
            "loss": asdict(prepared.loss) if prepared.loss else None,
            "by_hand": list(prepared.by_hand),
            "spent": [str(spent) for spent in (prepared.budget, prepared.bound, prepared.traded) if spent],
        },
        "precision": manifest.precision,
        "coverage": {**asdict(manifest.coverage), "share": manifest.coverage.share},
        "verification": [asdict(case) for case in verified],
        "tuning": _tuning(compiled, request.size, network),
        **({"launches": [asdict(figures) for figures in compiled.figures]} if compiled.figures else {}),
        "warnings": list(warnings),
    }


def write_files(
    folder: Path, prepared: Prepared, reference: Upscale, picture: Pixels | None, report: dict[str, Any]
) -> None:
    """Golden picture with its result, the network's files, the report."""
    cases = make_cases(prepared.model.channels, picture)
    golden = cases[0 if picture is None else -1].pixels
    buffer = io.BytesIO()
    np.savez_compressed(buffer, input=golden, output=reference(golden))
    (folder / store.GOLDEN).write_bytes(buffer.getvalue())
    for name, data in prepared.files.items():
        (folder / name).write_bytes(data)
    (folder / store.REPORT).write_text(
        json.dumps(report, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8"
    )


def _coverage(compiled: Compiled, precision: str) -> IntegerCoverage:
    found, integer = compiled.coverage, precision == INT8
    return IntegerCoverage(
        int(found.convolutions),
        int(found.integer_convolutions) * integer,
        float(found.macs),
        float(found.integer_macs) * integer,
        tuple(found.float_operators),
    )


def _tuning(compiled: Compiled, size: tuple[int, int], network: NetworkFigures) -> dict[str, Any]:
    """How much is tuned for pictures of ``size``, and the tile of every kernel."""
    tiles = {name: str(choice) for name, choice in compiled.choices.items()}
    share = compiled.tuned.share
    chosen = {name: choice for name, choice in compiled.choices.items() if isinstance(choice, TileChoice)}
    kernels = [kernel for kernel in compiled.kernels if getattr(kernel, "name", "") in chosen]
    takes = None
    # Records are of kernels with 8 bits: 16 take longer.
    if kernels and len(kernels) == len(compiled.kernels) and not network.wide:
        takes = expected(kernels, [chosen[kernel.name] for kernel in kernels], *size)
    return {
        **asdict(compiled.tuned),
        "share": share,
        "height": size[0],
        "width": size[1],
        "expected": asdict(takes) if takes else None,
        "tiles": tiles,
    }
