"""A bundle beside onnxruntime, which runs the same INT8 network from the bundle's QDQ file: time and picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.backends.base import Runner
from toolchain.backends.open import load
from toolchain.bundle import Bundle
from toolchain.frontend.session import FloatSession
from toolchain.images.metrics import psnr
from toolchain.images.units import extended
from toolchain.runtime.measure import TimingPlan, in_turn
from toolchain.support.cpu import usable_cores
from toolchain.workflows.evaluate import float_upscale

Pixels = npt.NDArray[np.uint8]

_PLAN = TimingPlan(warm_up=2, repeats=20, seconds=5.0)


@dataclass(frozen=True)
class Beside:
    """Two that run one network.

    Attributes:
        height: of the input picture, in pixels.
        width: the same.
        threads: that both used.
        seconds: of clipfree for the picture, the median.
        other_seconds: of onnxruntime's session alone, pixels as floats before and after.
        ratio: how many times as long as clipfree onnxruntime took: the median of turns.
        bytes: of the output.
        different: how many of them are not equal.
        psnr: of one output against the other in dB, infinite where all bytes are equal.
    """

    height: int
    width: int
    threads: int
    seconds: float
    other_seconds: float
    ratio: float
    bytes: int
    different: int
    psnr: float

    @property
    def time(self) -> str:
        """For people."""
        return (
            f"{self.width} x {self.height} on {self.threads} thread{'s' * (self.threads > 1)}, in turn: clipfree "
            f"{1e3 * self.seconds:.1f} ms, onnxruntime INT8 {1e3 * self.other_seconds:.1f} ms, "
            f"{self.ratio:.1f} times as long"
        )

    @property
    def picture(self) -> str:
        """For people."""
        if not self.different:
            return "the picture is that of onnxruntime's INT8, byte for byte"
        return (
            f"the picture is that of onnxruntime's INT8 but for {self.different} of {self.bytes} bytes, "
            f"{self.psnr:.1f} dB between them"
        )


def beside_onnxruntime(bundle: Bundle, pixels: Pixels, *, threads: int | None = None) -> Beside:
    """Run an INT8 bundle and onnxruntime in turn.

    Args:
        bundle: of a processor's kernels, whose network has one size of picture or any.
        pixels: u8 (h, w, C), from the bundle's smallest picture on, in its units.
        threads: of both; None: every core.

    Raises:
        BundleError: this machine cannot run the bundle.
        ModelError: onnxruntime cannot run its network.
    """
    count, model, manifest = threads or usable_cores(), bundle.model(), bundle.manifest
    runner = load(bundle, threads=count)
    ours, others = times_in_turn(bundle, runner, pixels, _PLAN, threads=count)
    found = runner.upscale(pixels)
    other = float_upscale(model, manifest.value_range, threads=count)(pixels)
    return Beside(
        pixels.shape[0],
        pixels.shape[1],
        count,
        float(np.median(ours)),
        float(np.median(others)),
        float(np.median(np.divide(others, ours))),
        found.size,
        int(np.count_nonzero(found != other)),
        psnr(found, other),
    )


def times_in_turn(
    bundle: Bundle, runner: Runner, pixels: Pixels, plan: TimingPlan, *, threads: int
) -> tuple[list[float], ...]:
    """Return seconds of each repeat of a library, and of onnxruntime's session of the same network, in turn.

    What onnxruntime reads are floats, ready made; the library reads pixels.

    Args:
        bundle: of the library.
        runner: of the bundle.
        pixels: u8 (h, w, C).
        plan: how often.
        threads: of onnxruntime.

    Raises:
        ModelError: onnxruntime cannot run the network.
    """
    low, high = bundle.manifest.value_range
    given = extended(pixels, bundle.manifest.unit).transpose(2, 0, 1)[None].astype(np.float32)
    planes = np.ascontiguousarray(given * np.float32((high - low) / 255) + np.float32(low))
    session = FloatSession(bundle.model(), threads=threads)
    return in_turn((runner.bind(pixels), lambda: session.run(None, planes)), plan)
