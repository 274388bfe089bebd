"""Makes docs/before-after.webp: a handle over a photograph, bicubic on its left, the INT8 network on its right.

    python docs/picture.py          # extra: demo

The photograph is scikit-image's `astronaut`: Eileen Collins, by NASA, in the public domain. It was reduced three times
and is enlarged again; the model is calibrated with the other photographs there. The handle goes to and fro three times
and rests in the middle, where it is in the first frame too: what shows no animation shows that.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from toolchain.backends.open import load
from toolchain.bundle import open_bundle
from toolchain.images import read_photo
from toolchain.workflows.demo import make_demo
from toolchain.workflows.deploy import Request, deploy
from toolchain.zoo.demo_photos import demo_photographs
from toolchain.zoo.embedded import resolve

Pixels = npt.NDArray[np.uint8]

SHOWN = "astronaut"
BOX = (130, 2, 336, 192)
"""What is shown of the photograph: left, top, right, bottom."""
ZOOM = 2
"""Pixels of the screen for one, without smoothing."""
GAP = 8
FINE = 4
"""What is drawn is drawn so many times as large, and reduced: without it lines have steps."""
FRAMES, FRAME_MS, ROUNDS = 72, 60, 3
REACH = 0.42
"""How far the handle goes from the middle, as a share of the width."""


def main() -> None:
    """Deploy, enlarge, write the picture."""
    photographs = demo_photographs()
    shown = tuple(path for path in photographs if path.stem == SHOWN)
    others = tuple(path for path in photographs if path.stem != SHOWN)
    with tempfile.TemporaryDirectory() as folder:
        bundle = open_bundle(deploy(Request(resolve("zoo:xlsr_x3"), Path(folder), others)).path)
        manifest = bundle.manifest
        out = Path(folder, "demo")
        made = make_demo(shown, load(bundle).upscale, channels=manifest.channels, scale=manifest.scale, out=out)
        before, after = (read_photo(out / f"{name}.png").pixels for name in ("bicubic", "clipfree"))
    original = read_photo(shown[0]).pixels
    frames = list(slide(cut(before), cut(after), cut(original)))
    path = Path(__file__).with_name("before-after.webp")
    frames[0].save(
        path,
        save_all=True,
        append_images=[*frames[1:], frames[0]],  # where it rests
        duration=FRAME_MS,
        loop=ROUNDS,
        quality=80,
        method=6,
    )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    print(f"PSNR of luma: bicubic {made.bicubic.psnr_y:.2f} dB, clipfree {made.network.psnr_y:.2f} dB")


def cut(pixels: Pixels) -> Image.Image:
    """Return what is shown of a picture u8 (h, w, 3), enlarged without smoothing."""
    found = Image.fromarray(pixels).crop(BOX)
    return found.resize((found.width * ZOOM, found.height * ZOOM), Image.Resampling.NEAREST)


def slide(before: Image.Image, after: Image.Image, original: Image.Image) -> Iterator[Image.Image]:
    """Yield the frames: the first two under the handle, and beside them the original, which does not move."""
    width, height = before.size
    captions = (label("bicubic"), label("clipfree, INT8"), label("original"))
    for frame in range(FRAMES):
        at = round(width * (0.5 + REACH * math.sin(2 * math.pi * frame / FRAMES)))
        sheet = Image.new("RGBA", (2 * width + GAP, height))
        sheet.paste(after, (0, 0))
        sheet.paste(before.crop((0, 0, at, height)), (0, 0))
        for caption, left, right in ((captions[0], 0, at), (captions[1], at, width)):
            place = 10 if left == 0 else right - caption.width - 10
            if left + 4 <= place and place + caption.width + 4 <= right:
                sheet.alpha_composite(caption, (place, height - caption.height - 10))
        sheet.alpha_composite(handle(height), (at - _HANDLE // 2, 0))
        sheet.paste(original, (width + GAP, 0))
        sheet.alpha_composite(captions[2], (width + GAP + 10, height - captions[2].height - 10))
        yield sheet


_HANDLE = 40


def handle(height: int) -> Image.Image:
    """Return a line as high as the picture, with a knob that has an arrow to each side."""
    size, middle, centre = _HANDLE * FINE, _HANDLE * FINE // 2, height * FINE // 2
    found = Image.new("RGBA", (size, height * FINE))
    draw = ImageDraw.Draw(found)
    draw.rectangle((middle - FINE * 2, 0, middle + FINE * 2, height * FINE), fill=(0, 0, 0, 90))
    draw.rectangle((middle - FINE, 0, middle + FINE, height * FINE), fill="white")
    radius = 17 * FINE
    draw.circle((middle, centre), radius + FINE, fill=(0, 0, 0, 90))
    draw.circle((middle, centre), radius, fill="white")
    for side in (-1, 1):
        tip, foot = middle + side * 11 * FINE, middle + side * 5 * FINE
        draw.polygon([(tip, centre), (foot, centre - 6 * FINE), (foot, centre + 6 * FINE)], fill=(40, 40, 40))
    return found.resize((_HANDLE, height), Image.Resampling.LANCZOS)


def label(text: str) -> Image.Image:
    """Return white words on a dark plate with round corners."""
    font = ImageFont.load_default(size=15 * FINE)
    width, height = math.ceil(font.getlength(text)) + 20 * FINE, 28 * FINE
    found = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(found)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), 8 * FINE, fill=(0, 0, 0, 170))
    draw.text((width / 2, height / 2), text, font=font, fill="white", anchor="mm")
    return found.resize((width // FINE, height // FINE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
