"""This project: the network deployed for the machine's own CPU or another target, in integers and in float."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from contestants.base import Contestant, Ready
from networks import Network, Pixels
from result_cache import ROOT, digest, of_files, of_source

_QUANTIZER = ("toolchain/frontend", "toolchain/images", "toolchain/quantize", "toolchain/reference")


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """Deploy with default settings, load, bind the picture."""
    name = f"clipfree-{digest(of_source(*_QUANTIZER).encode())[:16]}.onnx"  # which serves several targets
    return _ready(network, network.once(name, lambda path: _quantize(network, path)), pixels, threads, "int8")


def fp32(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The same in float32: what integers are to be compared with."""
    return _ready(network, network.source, pixels, threads, "float32")


def _quantize(network: Network, path: Path) -> None:
    """As `deploy` does it."""
    from toolchain.frontend import load_model, normalize
    from toolchain.images import read_calibration
    from toolchain.quantize import quantize
    from toolchain.quantize.spelling import for_runtimes

    model = normalize(load_model(network.source))
    photos = read_calibration(network.calibration, model.channels)
    quantized = quantize(model, photos.images, network.settings)
    path.write_bytes(for_runtimes(quantized.model).SerializeToString())


def _ready(network: Network, source: Path, pixels: Pixels, threads: int, precision: str) -> Ready:
    from toolchain.backends.open import load
    from toolchain.bundle import open_bundle
    from toolchain.workflows.deploy import Request, deploy

    values = "0..1" if network.pixel_scale < 1 else "0..255"
    folder = network.once(
        f"deployed-{precision}-{network.target}-{_code()}",
        lambda out: deploy(Request(source, out, target=network.target, value_range=values, precision=precision)),
    )
    (path,) = folder.iterdir()
    bundle = open_bundle(path)
    call = load(bundle, threads=threads).bind(pixels)
    return Ready(call, lambda result: np.from_dlpack(result), f"target {bundle.manifest.target.name}")


def _code() -> str:
    """Changes with whatever a deployment depends on: a folder of networks may be older than the code."""
    logs = of_files(sorted((ROOT / "tuning_logs").rglob("*.jsonl")))
    return digest(of_source("toolchain").encode(), logs.encode())[:16]


_ENDS = "deployed with default settings; u8 pixels in, u8 pixels out"
INT8 = Contestant("clipfree INT8", "clipfree", _ENDS, int8, integer=True, clips=(True,), held=True)
FP32 = Contestant("clipfree FP32", "clipfree", f"float32; {_ENDS}", fp32, clips=(True,), held=True)
