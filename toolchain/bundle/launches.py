"""What a bundle's report expects of its launches on an OpenCL device, and that as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.support.serialization import from_plain


@dataclass(frozen=True)
class Figures:
    """What is expected of a launch, for a picture of the size that kernels are chosen for.

    Attributes:
        kernel: its name.
        cut: how its work is cut, in words.
        macs: multiply-accumulates.
        read, written: bytes from and to memory beyond the cores' caches.
        registers, occupancy, groups, lines: see `toolchain.backends.opencl.estimate.Estimate`; None of kernels without
            sums.
    """

    kernel: str
    cut: str
    macs: int
    read: int
    written: int
    registers: int | None = None
    occupancy: float | None = None
    groups: int | None = None
    lines: float | None = None

    def __str__(self) -> str:
        held = "" if self.registers is None else f"{self.registers:10}{self.occupancy or 0:10.0%}{self.groups or 0:7}"
        return f"{self.kernel[:23]:24}{held:27}{self.read / 1e6:9.2f}{self.written / 1e6:9.2f}  {self.cut}"


@dataclass(frozen=True)
class Launches:
    """What is expected of a network's launches for a picture of height x width pixels."""

    height: int
    width: int
    figures: tuple[Figures, ...]

    @staticmethod
    def of(report: Mapping[str, Any]) -> Launches:
        """Return those of a bundle's report; none where it has none.

        Raises:
            TypeError, ValueError: they are not what `Figures` says.
        """
        if "launches" not in report:
            return Launches(0, 0, ())
        size = {key: report["tuning"][key] for key in ("height", "width") if key in report.get("tuning", {})}
        return from_plain(Launches, {**size, "figures": report["launches"]})

    def lines(self) -> Iterator[str]:
        """Yield a line for all of them, and one for each."""
        if not self.figures:
            return
        read, written, macs = (sum(getattr(one, key) for one in self.figures) for key in ("read", "written", "macs"))
        yield (
            f"{len(self.figures)} launches; expected at {self.height}x{self.width}: {read / 1e6:.1f} MB read, "
            f"{written / 1e6:.1f} MB written, {(read + written) / max(macs, 1):.3f} bytes a MAC"
        )
        yield f"{'kernel':24}{'registers':>10}{'occupancy':>10}{'groups':>7}{'MB read':>9}{'written':>9}  cut"
        yield from map(str, self.figures)
