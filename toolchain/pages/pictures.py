"""Pictures within pages."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def embedded(pixels: Pixels) -> str:
    """Return a picture u8 (h, w, 1 or 3) as a data: address: WebP without loss, the smallest that browsers take, or PNG
    where Pillow was built without it.
    """
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    for kind, options in (("webp", {"lossless": True, "quality": 60, "method": 4}), ("png", {"optimize": True})):
        buffer = io.BytesIO()
        try:
            picture.save(buffer, kind, **options)
        except (KeyError, OSError):
            continue
        return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    raise ValueError("Pillow writes neither WebP nor PNG")
