"""The same network as filters of VapourSynth, on one clip: clipfree's, vs-mlrt's, and onnxruntime called from Python.

    python3.12 -m venv env
    env/bin/pip install numpy onnxruntime vapoursynth vapoursynth-mlrt-ort vapoursynth-mlrt-ov vapoursynth-mlrt-ncnn
    python benchmarks/vapoursynth_filters.py zoo:xlsr_x3 --calib photos/ --python env/bin/python -o vapoursynth.json

Every filter runs in a process of its own, in turn, with as many streams as there are cores; frames are one photograph.
vs-mlrt's take floats: VapourSynth makes them of the pixels and pixels of them, which counts. ncnn's runs on Vulkan only
(without a GPU: `apt install mesa-vulkan-drivers`, whose llvmpipe it takes).
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
from toolchain.support.cpu import this_cpu, usable_cores
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write, scratch_folder

SOURCE = Path(__file__).parents[1] / "examples" / "vapoursynth.c"
VS_MLRT = {"ort": "onnxruntime", "ov": "OpenVINO", "ncnn": "ncnn"}
"""Namespaces of its plugins, and what they run; ncnn knows no quantized ONNX."""

SCRIPT = """
import os, sys, time
import numpy as np
import vapoursynth as vs

kind, path, plugin, pixels, count, seconds, scale, step, streams = sys.argv[1:]
core, small, scale, streams = vs.core, np.load(pixels), int(scale), int(streams)
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
elif kind == "onnxruntime":
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = {"width": scale * width, "height": scale * height}
    frame = core.std.BlankClip(format=vs.RGB24, length=int(count), keep=True, **size)

    def run(n, f):
        pixels = np.stack([np.asarray(f[0][plane]) for plane in range(3)], -1)
        return fill(f[1].copy(), session.run(None, {"pixels": pixels[None]})[0][0])

    large = core.std.ModifyFrame(frame, [still, frame], run)
else:  # the namespace of a plugin of vs-mlrt
    factor = 255 * float(step)  # VapourSynth's floats are 0..1
    floats = core.resize.Point(still, format=vs.RGBS)
    given = floats if factor == 1 else core.std.Expr(floats, f"x {factor} *")
    words = {"ort": {"provider": ""}, "ov": {"device": "CPU"}, "ncnn": {"fp16": False}}[kind]
    made = getattr(core, kind).Model(given, path, num_streams=streams, **words)
    large = core.resize.Point(made if factor == 1 else core.std.Expr(made, f"x {factor} /"), format=vs.RGB24)
assert (large.width, large.height) == (scale * width, scale * height)
large.get_frame(0)
begin = time.perf_counter()
for done, _ in enumerate(large.frames(close=True), start=1):
    if time.perf_counter() - begin > float(seconds):
        break
print(done / (time.perf_counter() - begin))
os._exit(0 if sys.stdout.flush() is None else 1)  # frames that nobody waits for any more are not made
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
    for name, path in (("INT8", network.qdq), ("FP32", network.fp32)):
        models |= {f"{kind} {name}": path for kind in VS_MLRT if (kind, name) != ("ncnn", "INT8")}
        models[f"onnxruntime {name}"] = folder / f"ends_{path.name}"
        ends = with_pixel_ends(path, (*options.size, 3), network.scale, network.pixel_scale)
        models[f"onnxruntime {name}"].write_bytes(ends)
    numbers = (options.frames, options.seconds, network.scale, network.pixel_scale, usable_cores())
    tail = [str(plugin), str(pixels), *map(str, numbers)]
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
    parser.add_argument("--frames", type=int, default=100, help="at most")
    parser.add_argument("--seconds", type=float, default=20.0, help="after which no further frame is asked for")
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
