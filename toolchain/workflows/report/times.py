"""How long the kernels of a network take, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolchain.reference.network import Layer
from toolchain.runtime.measure import KernelTimes


@dataclass(frozen=True, eq=False)
class TimedKernels:
    """Seconds of kernels, and what they are.

    Attributes:
        times: as they were measured.
        convolutions: the convolution kernels, in order of execution: names, and true multiply-accumulates.
        machine: the processor that ran them.
    """

    times: KernelTimes
    convolutions: tuple[Any, ...]
    machine: str

    @property
    def together(self) -> float:
        """Seconds of all kernels."""
        return sum(self.times.kernels.values())

    def share(self, seconds: float) -> float:
        """Return a part of the seconds of all kernels, 0..1."""
        return seconds / (self.together or 1.0)

    def of_layers(self, layers: Sequence[Layer]) -> Mapping[str, float]:
        """Return seconds by the layer's name; empty where kernels and layers are not seen to be the same.

        A layer is one kernel or, of channels of 16 bits and of 8, several, in the network's order.
        """
        found: dict[str, float] = {}
        rest = list(self.convolutions)
        for layer in layers:
            left, seconds = layer.macs_per_pixel, 0.0
            while rest and left >= rest[0].macs - 1 and left > 1:
                kernel = rest.pop(0)
                if kernel.name not in self.times.kernels:
                    return {}
                left, seconds = left - kernel.macs, seconds + self.times.kernels[kernel.name]
            if left > 1:
                return {}
            found[layer.name] = seconds
        return {} if rest else found

    def describe(self) -> str:
        """Return what was measured and how, for people."""
        height, width = self.times.size
        return (
            f"Time is the processor's for a picture of {width} x {height} pixels, on one thread of the machine that "
            f"deployed ({self.machine}), measured while this page was made: each kernel of the library by itself, on "
            f"as many rows as it is given when rows stream. Together the kernels take {1e3 * self.together:.3g} ms, "
            f"the whole network {1e3 * self.times.whole:.3g} ms. Other programs may have made it longer; "
            "`clipfree bench` measures with care, on any device."
        )
