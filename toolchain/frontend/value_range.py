"""What black and white are for a network: 0..1 or 0..255."""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.errors import ModelError
from toolchain.frontend.graph import Array
from toolchain.frontend.model import Clip
from toolchain.frontend.probe import session

RANGES = {"0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}

_FAITHFUL = 0.06
"""Largest deviation (RMS, of the range) of the output's local mean from the input that still counts as upscaling."""

_SIZE = 40
_BORDER = 8


def choose(given: str | None, clip: Clip | None, scaled: str | None, errors: dict[str, float]) -> tuple[float, float]:
    """The value range: as the final clip says, or the scalings, or the user, or the model's behaviour.

    Args:
        given: "0..1" or "0..255" as the user said it, or None.
        clip: the final clip, if the model has one.
        scaled: "0..1" or "0..255" if scalings in the graph say so.
        errors: from ``follow``; only looked at where none of the above says it.

    Raises:
        ModelError: an unknown range is given, it contradicts the graph, or nothing tells.
    """
    if given is not None and given not in RANGES:
        raise ModelError(f"'{given}' is not a value range", hint="say --range 0..1 or --range 0..255")
    if clip is not None:
        found = (0.0, clip.high)
        if given is not None and RANGES[given] != found:
            limits = f"{clip.low:g}..{clip.high:g}"
            raise ModelError(f"the value range {given} contradicts the model's final clip to {limits}",
                             hint="leave --range away")
        return found
    if scaled is not None:
        if given not in (None, scaled):
            raise ModelError(f"the value range {given} contradicts the scalings in the model, which end in {scaled}",
                             hint="leave --range away")
        return RANGES[scaled]
    if given is not None:
        return RANGES[given]
    small, large = errors["0..1"], errors["0..255"]
    # Networks without large offsets treat both alike, and then the common convention is right. One made for 0..255 has
    # offsets that drown a picture of 0..1.
    if small <= _FAITHFUL and (small <= _FAITHFUL / 4 or small <= 10 * large):
        return RANGES["0..1"]
    if large <= _FAITHFUL < small:
        return RANGES["0..255"]
    raise ModelError(f"cannot tell whether the model works on 0..1 or 0..255 (the output deviates from the input by "
                     f"{small:.0%} and {large:.0%})", hint="say --range 0..1 or --range 0..255")


def follow(model: onnx.ModelProto, channels: int, scale: int) -> dict[str, float]:
    """For each range, how far the output is from the input: RMS of local means, as a part of the range.

    The pictures are mid-grey and a gradient through all levels; the border is left out.
    """
    ready = session(model)
    ramp = np.linspace(0.0, 1.0, _SIZE)
    gradient = 0.5 * (ramp[:, None] + ramp[None, ::-1])
    errors = {}
    for name, (_, peak) in RANGES.items():
        squares: list[Array] = []
        for picture in (np.full((_SIZE, _SIZE), 0.5), gradient):
            x = np.broadcast_to(picture, (1, channels, _SIZE, _SIZE)).astype(np.float32)
            y = ready.run(None, x * np.float32(peak))[0].astype(np.float64) / peak
            inner = slice(_BORDER, -_BORDER)
            with np.errstate(all="ignore"):  # a broken network may well give infinities
                local = y.reshape(1, channels, _SIZE, scale, _SIZE, scale).mean((3, 5))
                squares.append((local - x)[..., inner, inner] ** 2)
        with np.errstate(all="ignore"):
            errors[name] = float(np.sqrt(np.mean(squares)))
    return errors
