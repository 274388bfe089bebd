"""Instructions that a 64-bit Arm core executes to upscale one picture: clipfree's library, and onnxruntime.

    clipfree deploy zoo:xlsr_x3 --target cortex-a76 -o out
    python benchmarks/arm_instructions.py out/xlsr_x3.clipfree [--size 48x64] [--python ROOT] -o result.json

Both run the bundle's QDQ network on one thread under QEMU, whose plugin `count_instructions.c` counts; what loading
costs is taken off by counting several pictures as well as one. Instructions are not time: a core that executes several
at once, or waits for memory, is not seen. Needs ``qemu-user`` (the static one has no plugins), gcc for this machine and
for aarch64, and for onnxruntime a folder ROOT with an aarch64 Python 3.11 under ``usr``, its libraries, and the wheels
of onnxruntime and numpy unpacked in ``site``; see README.md.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.append(str(Path(__file__).parents[1]))  # the tests' way to run a library without TVM

from tests import arm
from toolchain.bundle import Bundle, open_bundle
from toolchain.bundle.store import QDQ
from toolchain.kernels.intrinsics import dot_product
from toolchain.lower import lower_model
from toolchain.lower.stream import ENTRY
from toolchain.support.files import atomic_write

Pixels = npt.NDArray[np.uint8]
MORE = 3
"""Pictures of the longer run."""

_SESSION = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
picture = numpy.load(sys.argv[2])
for _ in range(int(sys.argv[3])):
    session.run(None, {session.get_inputs()[0].name: picture})
"""


@dataclass(frozen=True)
class Count:
    """Instructions of one picture; ``per_mac`` is their number for each multiply-accumulate of the network."""

    network: str
    runtime: str
    cpu: str
    height: int
    width: int
    instructions: int
    per_mac: float


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--size", default="48x64", help="HEIGHTxWIDTH")
    parser.add_argument("--python", type=Path, help="ROOT for onnxruntime")
    parser.add_argument("-o", "--out", type=Path, help="JSON file")
    options = parser.parse_args(words)
    height, width = map(int, options.size.split("x"))
    qemu = shutil.which("qemu-aarch64")
    if qemu is None:
        print("qemu-aarch64 is needed: apt install qemu-user", file=sys.stderr)
        return 1
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder, "count.so")
        source = Path(__file__).with_name("count_instructions.c")
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", str(plugin), str(source)], check=True)
        for path in options.bundles:
            bundle = open_bundle(path, for_this_machine=False)
            channels = bundle.manifest.channels
            pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
            cpu = arm.emulator(bundle.manifest.target)[-1]
            command = [qemu, "-plugin", str(plugin), "-cpu", cpu]
            runs: dict[str, Callable[[int], str]] = {
                "clipfree": partial(clipfree, bundle, pixels, [*command, "-L", "/usr/aarch64-linux-gnu"])
            }
            if options.python:
                runs["onnxruntime"] = partial(onnxruntime, bundle, pixels, command, options.python)
            for runtime, run in runs.items():
                one, more = (_counted(run(times)) for times in (1, 1 + MORE))
                instructions, macs = (more - one) // MORE, bundle.manifest.macs_per_pixel * height * width
                found = Count(bundle.manifest.name, runtime, cpu, height, width, instructions, instructions / macs)
                counts.append(found)
                print(
                    f"{found.network} {runtime}: {instructions / 1e6:.1f} million instructions, "
                    f"{found.per_mac:.3f} for a multiply-accumulate",
                    flush=True,
                )
    if options.out:
        with atomic_write(options.out) as file:
            file.write((json.dumps([asdict(count) for count in counts], indent=1) + "\n").encode())
    return 0


def clipfree(bundle: Bundle, pixels: Pixels, command: Sequence[str], times: int) -> str:
    """Run the bundle's library; returns what the emulator said. Its picture must be the reference's."""
    from toolchain.quantize import IntegerReference

    manifest, model = bundle.manifest, bundle.model()
    dot = dot_product(manifest.target.instruction_set)
    network = lower_model(model, dot).network
    assert network is not None
    constants = [array for launch in network.launches for array in launch.constants]
    height, width, channels = pixels.shape
    sizes = [height, -(-width // dot.columns), width]
    result = np.zeros((height * manifest.scale, width * manifest.scale, channels), np.uint8)
    picture, said = arm.call_library(
        bundle.path / manifest.library,
        command,
        manifest.target,
        [pixels, *constants, *sizes, result],
        name=ENTRY,
        threads=1,
        times=times,
    )
    np.testing.assert_array_equal(picture, IntegerReference(model).run(pixels))
    return said


def onnxruntime(bundle: Bundle, pixels: Pixels, command: Sequence[str], root: Path, times: int) -> str:
    """Run the bundle's QDQ network in onnxruntime; returns what the emulator said."""
    with tempfile.TemporaryDirectory() as folder:
        planes, script = Path(folder, "picture.npy"), Path(folder, "session.py")
        low, high = bundle.manifest.value_range
        values = pixels.transpose(2, 0, 1)[None].astype(np.float32) * ((high - low) / 255)
        np.save(planes, values.astype(np.float32))
        script.write_text(_SESSION)
        surroundings = (f"PYTHONPATH={root / 'site'}", "PYTHONHASHSEED=0", "HOME=/")
        words = [
            *command,
            "-L",
            str(root),
            *(word for value in surroundings for word in ("-E", value)),
            str(root / "usr/bin/python3.11"),
            str(script),
            str(bundle.path / QDQ),
            str(planes),
            str(times),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"onnxruntime failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stderr


def _counted(said: str) -> int:
    found = re.search(r"^instructions (\d+)$", said, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the emulator counted nothing: {said}")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
