"""Which families of networks run where: a small one of each is deployed for each target, and compared to the reference.

    python benchmarks/carried.py --calib photos/ -o benchmarks/results/carried.json
    python benchmarks/carried.py --calib photos/ -o benchmarks/results/carried.json --only esa rcan --target cortex-a76

Of each it is said what `inspect` tells before any work, whether `deploy` then did that, whether every byte is the
integer reference's on pictures of odd sides, whether tiles give the picture's bytes, and what 8 bits lose against the
float network on the photographs. Networks for Arm run under QEMU (by the program of `clipfree board pack`), those for
OpenCL on a processor.

What is in the file already stays: a killed run goes on. Networks have chance weights (made.py).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1]))
import made
from tests import arm
from toolchain.backends.open import load, load_on
from toolchain.board.standalone import PROGRAM, build_standalone
from toolchain.bundle import Bundle, open_bundle
from toolchain.images import read_images
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.quantize import IntegerReference, Settings
from toolchain.runtime.tiles import ALIGNED, upscale_tiled
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write
from toolchain.workflows.deploy import Request, deploy
from toolchain.workflows.report.inspection import inspect_model

Pixels = npt.NDArray[np.uint8]

NETWORKS = (
    "srvgg:8x2x2",
    "span:8x1x2",
    "rlfn:8x1x2",
    "esa:8x1x2",
    "rt4ksr:8x1x2",
    "bicubicpp:8x1x3",
    "upconv:4x4x2",
    "unet:8x2x2",
    "plainusr:8x1x2",
    "srcnn:8x1x2",
    "vdsr:8x2x3",
    "rcan:8x1x2",
    "cbam:8x1x2",
    "convnext:8x1x2",
    "esrgan:8x1x2",
    "dncnn:8x2x1",
)
TARGETS = ("host", "x86-avx2", "cortex-a76", "cortex-a53", "opencl-cpu")
SIZES = ((23, 37), (48, 65))
"""Heights and widths of the pictures that are compared; the second is cut into tiles too."""
TILE = 24
QUICK = Settings(crop=48, crops_per_image=1, reconstruct=False)


def main() -> int:
    """Go through all of them that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calib", type=Path, required=True, help="photographs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON")
    parser.add_argument("--only", nargs="+", default=[], help="families, such as esa")
    parser.add_argument("--target", nargs="+", default=list(TARGETS))
    options = parser.parse_args()
    rows = json.loads(options.output.read_text()) if options.output.exists() else []
    for name in NETWORKS:
        for target in options.target:
            known = any((row["network"], row["target"]) == (name, target) for row in rows)
            if known or (options.only and name.partition(":")[0] not in options.only):
                continue
            with tempfile.TemporaryDirectory() as folder:
                rows.append(carried(name, target, options.calib, Path(folder)))
            print(said(rows[-1]), flush=True)
            with atomic_write(options.output) as file:
                file.write((json.dumps(rows, indent=1) + "\n").encode())
    return 0 if all(right(row) for row in rows) else 1


def carried(name: str, target: str, calib: Path, folder: Path) -> dict[str, Any]:
    """Return what became of a network on a target."""
    path = made.model_file(name, folder)
    (outlook,) = inspect_model(path, value_range="0..1", targets=[target]).outlooks
    row: dict[str, Any] = {"network": name, "target": target, "inspect": str(outlook)}
    try:
        done = deploy(Request(path, folder / "out", calib, target, value_range="0..1", settings=QUICK))
    except ClipfreeError as error:
        return {**row, "deploy": str(error), "as_inspect_says": str(error) == outlook.obstacle}
    bundle = open_bundle(done.path, for_this_machine=False)
    manifest, coverage = bundle.manifest, outlook.coverage
    found = manifest.coverage
    row["deploy"] = f"{found.integer_convolutions} of {found.convolutions} convolutions in integers"
    row["float_operators"] = list(found.float_operators)
    row["as_inspect_says"] = coverage is not None and (
        (coverage.integer_macs, coverage.macs, list(coverage.float_operators))
        == (found.integer_macs, found.macs, row["float_operators"])
        and (outlook.segments > 0) == (manifest.line_buffers > 0)
    )
    try:
        row |= compared(bundle, calib, folder)
    except ClipfreeError as error:
        return {**row, "equal": False, "tiles": str(error)}
    return row if manifest.loss is None else {**row, "psnr_against_float": round(manifest.loss.psnr, 1)}


def compared(bundle: Bundle, calib: Path, folder: Path) -> dict[str, Any]:
    """Return whether pictures have the reference's bytes, and tiles the picture's."""
    run, reference, manifest = runner(bundle, folder), IntegerReference(bundle.model()), bundle.manifest
    photo = next(iter(read_images(calib, channels=3, crop=max(*SIZES[-1]), crops_per_photo=1).images))
    equal = True
    for size in SIZES:
        height, width = map(max, size, manifest.smallest)
        pixels = np.ascontiguousarray(photo[:height, :width])
        whole = run(pixels)
        equal = equal and np.array_equal(whole, reference.run(pixels))
    row: dict[str, Any] = {"equal": bool(equal), "pictures": len(SIZES)}
    if manifest.halo >= UNBOUNDED_HALO:
        return {**row, "tiles": "none, for an output pixel depends on the whole picture"}
    aligned = math.lcm(ALIGNED, manifest.unit)
    tiled = upscale_tiled(run, pixels, scale=manifest.scale, halo=manifest.halo, tile=TILE, aligned=aligned)
    return {**row, "tiles": "equal" if np.array_equal(tiled, whole) else "differ"}


def runner(bundle: Bundle, folder: Path) -> Callable[[Pixels], Pixels]:
    """Return what runs a bundle here, whatever it is for."""
    target = bundle.manifest.target
    if target.gpu is not None:
        return load_on(bundle, "opencl-cpu").upscale
    if target.triple.startswith("x86_64"):
        return load(bundle).upscale
    command = [*arm.emulator(target), str(folder / "program" / PROGRAM)]
    build_standalone(bundle, folder / "program")

    def run(pixels: Pixels) -> Pixels:
        given, result = folder / "given.ppm", folder / "result.ppm"
        Image.fromarray(pixels).save(given)
        subprocess.run([*command, "--upscale", str(given), str(result)], check=True, capture_output=True)
        return np.asarray(Image.open(result))

    return run


def right(row: Mapping[str, Any]) -> bool:
    """Whether a network runs, does as was said, and has the bytes that it should."""
    return bool(row["as_inspect_says"] and row.get("equal") and row["tiles"] != "differ")


def said(row: Mapping[str, Any]) -> str:
    """A row as a line."""
    mark = "right" if right(row) else "WRONG"
    return (
        f"{mark}  {row['network']:16} {row['target']:12} {row['deploy']}; inspect: {row['inspect']}; {row.get('tiles')}"
    )


if __name__ == "__main__":
    sys.exit(main())
