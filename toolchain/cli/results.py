"""The documents that commands print with ``--json``; docs/schemas publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from toolchain.images.scale import Scale
from toolchain.images.sets import Skipped
from toolchain.reference.bounds import Proof
from toolchain.runtime.verify import Verified
from toolchain.workflows.compare.result import Comparison, Row
from toolchain.workflows.evaluate import QualityRow


@dataclass(frozen=True)
class VerifyResult:
    """What ``clipfree verify`` prints.

    Attributes:
        bundle: its folder.
        equal: whether no value differed.
        against: what the library was compared with.
        tolerance: codes by which values might differ.
        cases: the pictures compared on, without the golden one.
        proof: what holds for any picture; null of a float network.
        device: the OpenCL device it ran on; null on a processor.
    """

    bundle: str
    equal: bool
    against: str
    tolerance: int
    cases: tuple[Verified, ...]
    proof: Proof | None
    device: str | None
    command: Literal["verify"] = "verify"


@dataclass(frozen=True)
class BenchFigures:
    """Figures for a number of threads.

    Attributes:
        threads: how many.
        cores: numbers of those that they ran on; empty: wherever the system put them.
        median_s: of all repeats (p50), in seconds.
        p90_s: the time 9 of 10 repeats stayed within, in seconds.
        p99_s: the same of 99 of 100, in seconds; of fewer than 100 repeats, that of the slowest.
        minimum_s: of the fastest repeat, in seconds.
        spread: (p90 - minimum) / median.
        drift: median of the last third of the repeats over that of the first.
        repeats: calls timed.
        warm_up: calls before, not timed.
        gmac_per_s: multiply-accumulates per second at the median, in thousand millions.
        frames_per_s: pictures per second at the median.
        functions_s: seconds of each function of the network, if asked for.
        first_s: seconds from opening the library to its first picture; null where it is not this machine's processor.
        streams_frames_per_s: pictures a second of several streams at once, by their number, if asked for.
        joules: that the processors use for a picture; null where the system does not tell.
        samples_s: seconds of all repeats, in order.
    """

    threads: int
    cores: tuple[int, ...]
    median_s: float
    p90_s: float
    p99_s: float
    minimum_s: float
    spread: float
    drift: float
    repeats: int
    warm_up: int
    gmac_per_s: float
    frames_per_s: float
    functions_s: Mapping[str, float]
    first_s: float | None
    streams_frames_per_s: Mapping[str, float]
    joules: float | None
    samples_s: tuple[float, ...]


@dataclass(frozen=True)
class BenchResult:
    """What ``clipfree bench`` prints.

    Attributes:
        bundle: its folder.
        precision: of the network, "int8", "float32" or "float16".
        height: of the input picture, in pixels.
        width: the same.
        cpu: name of the processor or OpenCL device.
        cores: that it has.
        board: where it ran; null on this machine.
        gmac: multiply-accumulates of a picture, in thousand millions.
        peak_memory_mb: of the whole process in megabytes, clipfree's own included; null of a board.
        rows: figures for each number of threads.
    """

    bundle: str
    precision: str
    height: int
    width: int
    cpu: str
    cores: int
    board: str | None
    gmac: float
    peak_memory_mb: float | None
    rows: tuple[BenchFigures, ...]
    command: Literal["bench"] = "bench"


@dataclass(frozen=True)
class Gate:
    """What ``--max-drop`` asked for.

    Attributes:
        allowed: PSNR of luma in dB that may be lost to what is compared with, in the mean.
        lost: what is lost.
        kept: whether that is no more.
    """

    allowed: float
    lost: float
    kept: bool


@dataclass(frozen=True)
class EvaluateResult:
    """What ``clipfree evaluate`` prints.

    Attributes:
        bundle: its folder.
        shave: border pixels left out on each side.
        scale: of the network.
        degradation: what made the low-resolution pictures, as ``--degradation`` names it; "pairs" where given.
        compared: name of what the bundle is compared with; null without such.
        rows: each picture.
        mean: of the rows, without sizes.
        skipped: pictures that were left out.
        gate: what ``--max-drop`` asked for; null without it.
    """

    bundle: str
    shave: int
    scale: Scale
    degradation: str
    compared: str | None
    rows: tuple[QualityRow, ...]
    mean: QualityRow
    skipped: tuple[Skipped, ...]
    gate: Gate | None = None
    command: Literal["evaluate"] = "evaluate"


@dataclass(frozen=True)
class CompareResult:
    """What ``clipfree compare`` prints.

    Attributes:
        rows: a model, target and precision each.
        height: of the input picture that is timed, in pixels.
        width: the same.
        cpu: the name of this machine's processor.
        pictures: where the pictures with originals are from, in words; empty without any.
        clipfree: the version that made it.
        date: of the day, as 2026-11-30.
        kept: how many rows are from an earlier run.
    """

    rows: tuple[Row, ...]
    height: int
    width: int
    cpu: str
    pictures: str
    clipfree: str
    date: str
    kept: int
    command: Literal["compare"] = "compare"

    @staticmethod
    def of(found: Comparison) -> CompareResult:
        """Return the document of a comparison."""
        return CompareResult(**vars(found))
