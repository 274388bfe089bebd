"""Contestants that need nothing installed. They are sent to other processes, so each is a function of this module."""

from __future__ import annotations

import os
import signal

import numpy as np

from contestants import Contestant, Ready, UnsupportedError
from networks import Network, Pixels


def right(network: Network, pixels: Pixels, threads: int) -> Ready:
    result = network.upscale(pixels)
    return Ready(lambda: result, lambda found: found, f"clip {network.clip}")


def wrong(network: Network, pixels: Pixels, threads: int) -> Ready:
    result = 255 - network.upscale(pixels)
    return Ready(lambda: result, lambda found: found)


def too_small(network: Network, pixels: Pixels, threads: int) -> Ready:
    return Ready(lambda: pixels, lambda found: found)


def failing(network: Network, pixels: Pixels, threads: int) -> Ready:
    raise ValueError("no kernel for Conv\nand a long story")


def unsupported(network: Network, pixels: Pixels, threads: int) -> Ready:
    raise UnsupportedError("not on this CPU")


def leaving(network: Network, pixels: Pixels, threads: int) -> Ready:
    print("cannot allocate", flush=True)
    os._exit(3)


def crashing(network: Network, pixels: Pixels, threads: int) -> Ready:
    """Makes ready and dies when it is timed."""
    result = network.upscale(pixels)
    calls: list[int] = []

    def call() -> Pixels:
        calls.append(1)
        if len(calls) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return Ready(call, np.asarray)


CONTESTANTS = (
    Contestant("own INT8", "numpy", "as it is", right, integer=True, clips=(True,)),
    Contestant("rival FP32", "numpy", "as it is", right),
    Contestant("absent", "no-such-distribution", "", right, clips=(True,)),
    Contestant("wrong", "numpy", "", wrong, clips=(True,)),
    Contestant("small", "numpy", "", too_small, clips=(True,)),
    Contestant("failing", "numpy", "", failing, clips=(True,)),
    Contestant("unsupported", "numpy", "", unsupported, clips=(True,)),
    Contestant("leaving", "numpy", "", leaving, clips=(True,)),
    Contestant("crashing", "numpy", "", crashing, clips=(True,)),
)
