"""Random networks through the whole line: every library gives the bytes of the reference, in tiles too.

Each is deployed for this machine, and what came out is compared with others: the NumPy reference, onnxruntime and
OpenVINO on the quantized model, another instruction set or device, and, for some, the float model.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from PIL import Image

from benchmarks.runtimes import picture_of
from tests import arm
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.foresight import foreseen, unforeseen
from tests.campaigns.random_graph import RandomGraph, float_output, random_graph
from tests.conftest import photograph
from tests.instruction_sets import TARGETS as X86
from toolchain.backends import backend_for
from toolchain.backends.open import load
from toolchain.bundle import Bundle, open_bundle
from toolchain.bundle.store import QDQ
from toolchain.images.geometry import UNBOUNDED_HALO, Geometry
from toolchain.quantize import IntegerReference, Settings
from toolchain.runtime.tiles import ALIGNED, upscale_tiled
from toolchain.runtime.verify import compare, standard_for
from toolchain.schedules.select import Tuning
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ModelError
from toolchain.targets import Target, find_target
from toolchain.workflows.deploy import Deployment, Request, deploy

_CLOSE = {"onnxruntime": 40.0, "openvino": 30.0, "openvino, exact": 40.0}
"""PSNR in dB that other runtimes on the quantized model must have against the reference: their float sums are rounded
otherwise, which may move a code here and there. By itself OpenVINO rounds to bfloat16 where a processor can."""

_POOR = 35.0
"""PSNR in dB against the float model below which a deployment must have warned."""

_SIDE = 29
"""Of tiles."""


def trial(seed: int, folder: Path) -> Outcome:
    """Deploy the network of ``seed`` and compare everything that can run it."""
    rng = np.random.default_rng([seed, 1])
    graph = random_graph(seed)
    onnx.save(graph.model, folder / "network.onnx")
    wanted = float_output(graph.model, graph.picture(), graph.peak)
    if not np.isfinite(wanted).all():
        return Outcome("skipped", "the network gives no finite numbers")
    said = foreseen(folder / "network.onnx", graph.value_range)
    done = deploy(_request(graph, folder, rng))
    bundle = open_bundle(done.path)
    pixels, model = graph.picture(), bundle.model()
    if surprise := unforeseen(said, model):
        raise Fault(f"inspect does not say what deploy does on {surprise}")
    expected = IntegerReference(model).run(pixels)
    standard = standard_for(done.manifest.precision, done.manifest.coverage.float_operators)
    library = load(bundle).upscale
    found = library(pixels)
    compare("the library on a picture of its own", found, expected, standard)
    if done.manifest.halo < UNBOUNDED_HALO:
        aligned = math.lcm(ALIGNED, done.manifest.unit)
        tiled = upscale_tiled(library, pixels, scale=graph.scale, halo=done.manifest.halo, tile=_SIDE, aligned=aligned)
        compare(f"tiles of {_SIDE} against the whole picture", tiled, found, standard)
    other = _elsewhere(model, bundle, rng, pixels, expected)
    _quality(done, wanted, graph, expected)
    if rng.random() < 0.25:
        _float(graph, folder)
    _runtimes(bundle.path / QDQ, graph, pixels, expected)
    return Outcome("passed", f"{other}; {', '.join(graph.tags)}")


def _request(graph: RandomGraph, folder: Path, rng: np.random.Generator) -> Request:
    photos = folder / "photos"
    photos.mkdir()
    for index, size in enumerate([(70, 80), (80, 75), (64, 96)]):
        Image.fromarray(photograph(*size, index)).save(photos / f"{index}.png")
    quick = Settings(crop=40, crops_per_image=1, reconstruct=False)
    settings = [
        quick,
        quick,
        quick,
        Settings(crop=40, crops_per_image=1, activations="minmax", equalize=False),
        Settings(crop=40, crops_per_image=1, reconstruct=False, budget=20.0),
        Settings(crop=64, crops_per_image=2),
    ][rng.integers(6)]
    return Request(
        folder / "network.onnx",
        folder,
        photos,
        value_range=graph.value_range,
        settings=settings,
        layers=bool(rng.random() < 0.15),
    )


def _elsewhere(
    model: onnx.ModelProto, bundle: Bundle, rng: np.random.Generator, pixels: np.ndarray, expected: np.ndarray
) -> str:
    """The same bytes with the kernels of another instruction set or device that can run them; returns its name."""
    others = [target for target in X86 if _runs_here(target) and target.name != bundle.manifest.target.name]
    opencl = find_target("opencl-cpu")
    others += [opencl] if backend_for(opencl).obstacle(opencl) is None else []
    others += [target for target in (find_target("cortex-a76"), find_target("cortex-a7")) if not arm.missing(target)]
    given = SimpleNamespace(model=model, channels=pixels.shape[2])
    standard = standard_for("int8", bundle.manifest.coverage.float_operators)
    for index in rng.permutation(len(others)):
        target = others[index]
        if target.gpu is not None:
            found = _on_opencl(given, target, bundle.path.parent / "opencl", pixels)
        elif target.triple.startswith("x86_64"):
            found = _on_x86(given, target, pixels)
        else:
            found = _on_arm(given, target, pixels, expected)
        if found is not None:
            compare(f"kernels for {target.name}", found, expected, standard)
            return target.name
    return "nothing else runs here"


def _runs_here(target: Target) -> bool:
    cpu = this_cpu()
    return cpu.machine == "x86_64" and not target.missing_on(cpu)


def _on_x86(model: SimpleNamespace, target: Target, pixels: np.ndarray) -> np.ndarray:
    import tvm
    from tvm import relax

    from toolchain.backends.cpu.build import compile_model

    machine = relax.VirtualMachine(compile_model(model, target).executable, tvm.cpu())  # type: ignore[arg-type]
    return np.asarray(machine["main"](tvm.runtime.tensor(pixels)).numpy())


def _on_opencl(model: SimpleNamespace, target: Target, folder: Path, pixels: np.ndarray) -> np.ndarray | None:
    """None: some of its operators have no kernel in OpenCL."""
    from toolchain.backends.opencl.build import compile_opencl
    from toolchain.runtime.opencl.files import load_runner

    try:
        compiled = compile_opencl(model, target.gpu, Tuning())  # type: ignore[arg-type]
    except ModelError:
        return None
    folder.mkdir()
    compiled.export(folder / "plan.json", None, "net", Geometry(3, 1))
    return np.asarray(load_runner(folder / "plan.json", target.name).upscale(pixels))


def _on_arm(model: SimpleNamespace, target: Target, pixels: np.ndarray, expected: np.ndarray) -> np.ndarray | None:
    from toolchain.backends.cpu.build import compile_model
    from toolchain.kernels.intrinsics import dot_product
    from toolchain.lower import lower_model
    from toolchain.lower.stream import ENTRY

    dot = dot_product(target.instruction_set)
    library, network = compile_model(model, target), lower_model(model.model, dot).network  # type: ignore[arg-type]
    if library.stream is None or network is None:
        return None  # the emulator has no virtual machine of TVM
    constants = [array for launch in network.launches for array in launch.constants]
    height, width = pixels.shape[:2]
    return arm.call(
        library.executable,
        target,
        [pixels, *constants, height, -(-width // dot.columns), width, np.zeros_like(expected)],
        name=ENTRY,
    )


def _runtimes(file: Path, graph: RandomGraph, pixels: np.ndarray, expected: np.ndarray) -> None:
    """The quantized model means the same to others, with their default options."""
    for runtime, close in _CLOSE.items():
        name = runtime.partition(",")[0]
        if importlib.util.find_spec(name) is None or (name == "openvino" and "pad wrap" in graph.tags):
            continue  # OpenVINO reads no such Pad
        psnr = _psnr(picture_of(runtime, file, pixels, graph.peak / 255), expected)
        if psnr < close:
            raise Fault(f"{runtime} on the quantized model: {psnr:.1f} dB against the reference")


def _quality(done: Deployment, wanted: np.ndarray, graph: RandomGraph, expected: np.ndarray) -> None:
    """Sane weights survive 8 bits, or it is said."""
    codes = np.clip(np.rint(wanted * (255 / graph.peak)), 0, 255).transpose(1, 2, 0)
    psnr = _psnr(codes, expected)
    if psnr < _POOR and not done.warnings and graph.mood in ("sane", "dead", "tiny"):
        raise Fault(f"INT8 has {psnr:.1f} dB against the float model, and nothing was said")


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        raise Fault(f"a picture of {one.shape} instead of {other.shape}")
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _float(graph: RandomGraph, folder: Path) -> None:
    """The deployment verifies by itself that every pixel is within one code of onnxruntime."""
    deploy(Request(folder / "network.onnx", folder, value_range=graph.value_range, precision="float32"))


CAMPAIGN = Campaign(
    "graphs",
    "random networks: every library gives the reference's bytes",
    trial,
    limit=400,
    share=10,
    sample=range(2, 4),
)
