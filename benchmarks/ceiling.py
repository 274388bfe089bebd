"""How many multiply-accumulates a second one core can do at most: dot products on registers, and nothing else.

python benchmarks/ceiling.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

from contestants.base import Ready, UnsupportedError
from networks import Network, Pixels
from toolchain.support.cpu import this_cpu

GMAC = 200_000 * 20 * 16 * 4 / 1e9
"""What one call computes: steps x accumulators x lanes x channels."""


def prepare(network: Network, pixels: Pixels, threads: int) -> Ready:
    """The ceiling in the place of a contestant, to be measured in the same rounds; it gives the picture back.

    Raises:
        UnsupportedError: this CPU has no ``vpdpbusd`` of 512 bits.
    """
    return Ready(dot_products(), lambda _: pixels)


def dot_products() -> Callable[[], object]:
    """A call of ``GMAC`` on one core, about a millisecond long.

    Raises:
        UnsupportedError: this CPU has no ``vpdpbusd`` of 512 bits.
    """
    if "avx512_vnni" not in this_cpu().features:
        raise UnsupportedError("this CPU has no AVX512-VNNI")
    from dots import compiled_dots  # not before it is needed: it loads TVM

    return compiled_dots()


if __name__ == "__main__":
    call, seconds = dot_products(), []
    for _ in range(20):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(f"{GMAC / min(seconds):.0f} GMAC/s")
