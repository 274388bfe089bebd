"""The same network as filters of VapourSynth, on the same clip: clipfree's, and onnxruntime called from Python.

    python benchmarks/vapoursynth_filters.py zoo:xlsr_x3 --calib photos/ --python env/bin/python -o vapoursynth.json

`env` is an environment with VapourSynth, NumPy and onnxruntime; vs-mlrt's filters are not on PyPI. Every filter
runs in a process of its own, in turn; frames are of one photograph.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from made import model_file
from networks import picture, read_networks, with_pixel_ends
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write, scratch_folder

SOURCE = Path(__file__).parents[1] / "examples" / "vapoursynth.c"
SCRIPT = """
import sys, time
import numpy as np
import vapoursynth as vs

kind, path, plugin, pixels, count, scale = sys.argv[1:]
core, small, scale = vs.core, np.load(pixels), int(scale)
height, width, _ = small.shape
blank = core.std.BlankClip(format=vs.RGB24, width=width, height=height, length=int(count), keep=True)

def fill(frame, values):
    for plane in range(3):
        np.asarray(frame[plane])[:] = values[:, :, plane]
    return frame

still = core.std.ModifyFrame(blank, blank, lambda n, f: fill(f.copy(), small))[0] * int(count)
if kind == "clipfree":
    core.std.LoadPlugin(plugin)
    large = core.clipfree.Upscale(still, path)
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = {"width": scale * width, "height": scale * height}
    frame = core.std.BlankClip(format=vs.RGB24, length=int(count), keep=True, **size)

    def run(n, f):
        pixels = np.stack([np.asarray(f[0][plane]) for plane in range(3)], -1)
        return fill(f[1].copy(), session.run(None, {"pixels": pixels[None]})[0][0])

    large = core.std.ModifyFrame(frame, [still, frame], run)
large.get_frame(0)
begin = time.perf_counter()
done = sum(1 for _ in large.frames(close=True))
print(done / (time.perf_counter() - begin))
"""


def commands(options: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """What each filter is started with."""
    source = model_file(options.network, folder)
    network = read_networks(source, options.calib, folder)[True]
    words = ["deploy", str(source), "--calib", str(options.calib), "--target", "host", "-o", str(folder / "made")]
    subprocess.run([sys.executable, "-m", "toolchain.cli", *words], check=True, capture_output=True)
    (bundle,) = (folder / "made").glob("*.clipfree")
    plugin, pixels = folder / "clipfree.so", folder / "pixels.npy"
    code = "import vapoursynth; print(vapoursynth.get_include())"
    include = subprocess.run([options.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    flags = ["-O2", "-shared", "-fPIC", f"-I{bundle}", f"-I{include}", "-o", str(plugin), "-ldl", "-lpthread"]
    subprocess.run(["cc", str(SOURCE), *flags], check=True)
    np.save(pixels, picture(options.calib, 3, *options.size))
    models = {"clipfree": bundle / "model.so"}
    for name, path in (("onnxruntime INT8", network.qdq), ("onnxruntime FP32", network.fp32)):
        models[name] = folder / f"ends_{path.name}"
        models[name].write_bytes(with_pixel_ends(path, (*options.size, 3), network.scale, network.pixel_scale))
    tail = [str(plugin), str(pixels), str(options.frames), str(network.scale)]
    return {name: [options.python, "-c", SCRIPT, name.split()[0], str(path), *tail] for name, path in models.items()}


def frames_per_s(command: list[str]) -> float | str:
    """Frames a second of a filter; or why there are none."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout) if not done.returncode else (done.stderr.strip().splitlines() or ["no message"])[-1]


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="of RGB; see made.py")
    parser.add_argument("--calib", type=Path, required=True, help="photographs")
    parser.add_argument("--python", required=True, help="an interpreter that has VapourSynth, NumPy and onnxruntime")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args(arguments)
    found: dict[str, list[float | str]] = {}
    try:
        with scratch_folder() as folder:
            started = commands(options, folder)
            for _ in range(options.rounds):
                for name, command in started.items():
                    found.setdefault(name, []).append(frames_per_s(command))
    except ClipfreeError as error:
        sys.exit(str(error))
    for name, values in found.items():
        numbers = [value for value in values if isinstance(value, float)]
        print(f"{name:20}" + (f"{max(numbers):8.1f} fps" if numbers else str(values[0])))
    if options.out is not None:
        cpu = this_cpu()
        result: dict[str, Any] = {"network": options.network, "size": list(options.size), "frames": options.frames}
        result |= {"cpu": cpu.name, "cores": cpu.cores, "load": round(os.getloadavg()[0], 2), "frames_per_s": found}
        with atomic_write(options.out) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
