"""What a comparison comes to: frozen values, which are kept as JSON row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from toolchain.images.metrics import Loss
from toolchain.support.serialization import Count, Finite
from toolchain.targets.precision import FLOAT16, FLOAT32, INT8, TITLES

MIX = "mix"
NAMES = {**TITLES, MIX: "INT8, mixed"}
"""What precisions are called in tables."""

Kind: TypeAlias = Literal["int8", "mix", "float32", "float16"]
KINDS: tuple[Kind, ...] = (INT8, MIX, FLOAT32, FLOAT16)  # type: ignore[assignment]


@dataclass(frozen=True)
class Beside:
    """Another runtime, timed call by call in turn with the library.

    Attributes:
        runtime: its name and version.
        median_s: of its calls, in seconds.
        ratio: how many times as long as the library's calls beside them that is.
    """

    runtime: str
    median_s: Finite
    ratio: Finite


@dataclass(frozen=True)
class Time:
    """Seconds of a picture on a number of threads.

    Attributes:
        threads: how many.
        median_s: of all repeats, in seconds.
        p90_s: the time 9 of 10 repeats stayed within, in seconds; of an estimate, the same as the median.
        repeats: calls timed; 0 of an estimate.
        spread: (p90 - fastest) / median; above about 0.2 something else was running.
        beside: other runtimes, if they were asked for.
    """

    threads: Count
    median_s: Finite
    p90_s: Finite
    repeats: Count = 0
    spread: Finite = 0.0
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True)
class Latency:
    """How long a picture takes, and how that is known.

    Attributes:
        source: "measured", "estimated", or "not measured".
        device: the processor that was measured, or that an estimate is of; empty where there is neither.
        note: how an estimate was made, or why there is nothing.
        times: by number of threads, rising.
    """

    source: Literal["measured", "estimated", "not measured"]
    device: str = ""
    note: str = ""
    times: tuple[Time, ...] = ()

    @property
    def best(self) -> Time | None:
        """The shortest; None where nothing is known."""
        return min(self.times, key=lambda time: time.median_s, default=None)


@dataclass(frozen=True)
class Quality:
    """What becomes of pictures whose high-resolution originals are known; means over them.

    Attributes:
        psnr_y: PSNR of luma in dB.
        psnr_rgb: PSNR over RGB in dB.
        ssim: of luma.
        float_psnr_y: PSNR of luma in dB that the FP32 model reaches on the same pictures.
        pictures: how many.
        made_by: what made the pictures: "library", "integer reference" or "FP32 model".
    """

    psnr_y: float
    psnr_rgb: float
    ssim: float
    float_psnr_y: float
    pictures: Count
    made_by: str = "library"

    @property
    def loss(self) -> float:
        """PSNR of luma in dB that is lost against the FP32 model; negative where it is gained."""
        return 0.0 if self.psnr_y == self.float_psnr_y else self.float_psnr_y - self.psnr_y


@dataclass(frozen=True)
class Failure:
    """Why a row is not whole: a sentence, what to do about it, and the exit code."""

    message: str
    hint: str
    exit_code: Count

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class Row:
    """One model for one target in one precision.

    Attributes:
        key: digest of all that the row depends on.
        model: its name.
        target: the target's.
        precision: "int8", "mix" (8 bits, 16 where the default spends them), "float32" or "float16".
        place: the board that it was to be timed on, as the user named it; empty for this machine.
        bundle: its folder within that of the comparison; empty where none was made.
        network: digest of the quantized network; empty of a float one.
        library_bytes: size of what is loaded.
        gmac: multiply-accumulates of a picture, in thousand millions.
        arithmetic: which kernels compute how much.
        spent: what tensors of 16 bits cost and bring, in words; empty where nothing was spent.
        latency: of a picture; None where the row failed before.
        fidelity: of the integer network against the float one, without labels; None where it is not known.
        quality: on pictures with originals; None where there are none.
        same_as: the precision whose row has the very same network, so that nothing was measured again; empty: none.
        failure: why the row is not whole; None if it is.
    """

    key: str
    model: str
    target: str
    precision: Kind
    place: str = ""
    bundle: str = ""
    network: str = ""
    library_bytes: Count = 0
    gmac: Finite = 0.0
    arithmetic: str = ""
    spent: str = ""
    latency: Latency | None = None
    fidelity: Loss | None = None
    quality: Quality | None = None
    same_as: str = ""
    failure: Failure | None = None

    @property
    def title(self) -> str:
        """Of the row, for people."""
        return f"{self.model}, {self.target}, {NAMES[self.precision]}" + (f", {self.place}" if self.place else "")


@dataclass(frozen=True)
class Comparison:
    """All rows, and what they were made for.

    Attributes:
        rows: in the order in which models, targets and precisions were named.
        height: of the input picture that is timed, in pixels.
        width: the same.
        cpu: the name of this machine's processor.
        pictures: where the pictures with originals are from, in words; empty without any.
        clipfree: the version that made it.
        date: of the day, as 2026-11-30.
        kept: how many rows are from an earlier run.
    """

    rows: tuple[Row, ...]
    height: Count
    width: Count
    cpu: str
    pictures: str
    clipfree: str
    date: str
    kept: Count = 0

    @property
    def failures(self) -> tuple[Row, ...]:
        """Rows that are not whole."""
        return tuple(row for row in self.rows if row.failure is not None)

    def __str__(self) -> str:
        """Return the table, as Markdown."""
        from toolchain.workflows.compare.text import markdown_table

        return markdown_table(self)

    def _repr_html_(self) -> str:
        """Return the table, for notebooks."""
        from toolchain.workflows.compare.text import html_table

        return html_table(self)
