"""This project: the network deployed for the machine's own CPU."""

from __future__ import annotations

import numpy as np

from contestants.base import Contestant, Ready
from networks import Network, Pixels


def int8(network: Network, pixels: Pixels, threads: int) -> Ready:
    """Deploy for "host" with default settings, load, bind the picture."""
    from toolchain.bundle import open_bundle
    from toolchain.deploy import Request, deploy

    folder = network.once("deployed", lambda out: deploy(Request(network.source, out, network.calibration)))
    (path,) = folder.iterdir()
    bundle = open_bundle(path)
    call = bundle.load(threads=threads).bind(pixels)
    return Ready(call, lambda result: np.from_dlpack(result), f"target {bundle.manifest.target.name}")


INT8 = Contestant(
    "clipfree INT8", "clipfree", "deployed for the host with default settings; u8 pixels in, u8 pixels out", int8,
    integer=True, clips=(True,),
)  # fmt: skip
