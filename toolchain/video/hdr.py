"""What HDR films say beside their colours: of the display that they were made on, and of their brightest pixels.

Source: SMPTE ST 2086 and CTA-861.3, as FFmpeg hands them on (AVMasteringDisplayMetadata, AVContentLightMetadata).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_DISPLAY = struct.Struct("=20i2i")  # ten fractions: red, green, blue, white, least, most; whether both are there
_CONTENT = struct.Struct("=2I")
_LOST = {
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DOVI_METADATA": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "A53_CC": "closed captions within frames",
    "STEREO3D": "which eye sees what",
    "SPHERICAL": "how it lies on a sphere",
}


@dataclass(frozen=True)
class Light:
    """What a film says of its light.

    Attributes:
        display: chromaticities of red, green, blue and white, x and y of each, then luminance of black and white in
            candela per square metre; None where nothing is said.
        content: luminance of the brightest pixel, and of the brightest frame in the mean; None where nothing is said.
    """

    display: tuple[Fraction, ...] | None = None
    content: tuple[int, int] | None = None

    def parameters(self, *, whole: bool) -> dict[str, str]:
        """Return what encoders are told, by "display" and "content".

        Args:
            whole: in fifty-thousandths and ten-thousandths, as x265 takes it; else as they are, as SVT-AV1 does.
        """
        found = {}
        if self.display is not None:
            red, green, blue, white = (self.display[at : at + 2] for at in range(0, 8, 2))
            brightest_first = self.display[:7:-1]
            colours = (("G", green, 50000), ("B", blue, 50000), ("R", red, 50000), ("WP", white, 50000))
            found["display"] = "".join(
                f"{name}({','.join(str(round(one * unit)) if whole else f'{float(one):.4f}' for one in pair)})"
                for name, pair, unit in (*colours, ("L", brightest_first, 10000))
            )
        if self.content is not None:
            found["content"] = ",".join(map(str, self.content))
        return found


def light_of(frame: Any) -> Light | None:
    """Return what a frame of PyAV says of the film's light; None where it says nothing."""
    display, content = None, None
    for data in frame.side_data:
        held = bytes(data)
        if data.type.name == "MASTERING_DISPLAY_METADATA" and len(held) >= _DISPLAY.size:
            *numbers, primaries, luminance = _DISPLAY.unpack_from(held)
            if primaries and luminance and all(numbers[1::2]):
                display = tuple(Fraction(over, under) for over, under in zip(numbers[::2], numbers[1::2], strict=True))
        if data.type.name == "CONTENT_LIGHT_LEVEL" and len(held) >= _CONTENT.size:
            content = _CONTENT.unpack_from(held)
    return Light(display, content) if display or content else None


def lost_of(frame: Any) -> list[str]:
    """Return what else a frame carries that its enlargement will not, for people."""
    return sorted({_LOST[data.type.name] for data in frame.side_data if data.type.name in _LOST})
