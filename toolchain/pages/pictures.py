"""Pictures within pages."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def embedded(pixels: Pixels, *, exact: bool = True) -> str:
    """Return a picture u8 (h, w, 1, 3, or 4 with opacity) as a data: address: WebP, the smallest that browsers take, or
    PNG where Pillow was built without it; without loss where it is to be ``exact``, else with one that is not seen.
    """
    options = {"lossless": True, "quality": 60, "method": 4} if exact else {"quality": 92, "method": 4}
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    for kind, chosen in (("webp", options), ("png", {"optimize": True})):
        buffer = io.BytesIO()
        try:
            picture.save(buffer, kind, **chosen)
        except (KeyError, OSError):
            continue
        return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    raise ValueError("Pillow writes neither WebP nor PNG")
