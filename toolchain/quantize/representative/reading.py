"""How the published abstract is read: it says what a representative set must do, not how images get there."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.quantize.representative.frames import FRAMES
from toolchain.quantize.representative.treatments import TREATMENTS
from toolchain.support.errors import CalibrationError


@dataclass(frozen=True)
class Reading:
    """One reading of the abstract.

    Attributes:
        overshoot: what becomes of an image whose output leaves the range. "contract": its contrast is lowered about
            mid-grey, no more than needed ("augments the images" read as changing them). "select": it is left out
            ("augments the set" read as choosing for it).
        frames: what is added so that outputs touch both ends, in this order. "flat": the darkest and the brightest flat
            frame that stay in range (flat frames cannot overshoot). "edge": for an end that is still not touched,
            natural detail on one side of grey. Empty: nothing, as far as the natural images get.
        patch: None tames images as wholes, as a calibrator sees them. A number cuts them into patches of at most so
            many pixels a side first: one sharp edge then lowers the contrast of its patch only, and "select" keeps the
            parts of an image that are in range.
    """

    overshoot: str = "contract"
    frames: tuple[str, ...] = ("flat", "edge")
    patch: int | None = None

    def __post_init__(self) -> None:
        """Raise CalibrationError where a name or number cannot be used."""
        if self.overshoot not in TREATMENTS:
            raise CalibrationError(
                f"there is no treatment '{self.overshoot}' of images that overshoot",
                hint=f"choose one of {', '.join(TREATMENTS)}",
            )
        for name in self.frames:
            if name not in FRAMES:
                raise CalibrationError(f"there are no frames '{name}'", hint=f"choose among {', '.join(FRAMES)}")
        if self.patch is not None and self.patch < 1:
            raise CalibrationError("a patch has at least 1 pixel a side")
