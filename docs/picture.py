"""Makes docs/before-after.png: a drawn street scene, reduced three times, upscaled by the embedded model in INT8.

    python docs/picture.py [BUNDLE]          # without a bundle, zoo:xlsr_x3 is deployed first (extra: demo)

The scene is drawn here, so that the picture in the README owes nothing to anybody.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toolchain.backends.open import load
from toolchain.bundle import open_bundle
from toolchain.images import Photo, write_photo
from toolchain.images.bicubic import enlarge, shrink
from toolchain.workflows.demo import side_by_side
from toolchain.workflows.deploy import Request, deploy
from toolchain.workflows.evaluate import quality
from toolchain.zoo.demo_photos import demo_photographs
from toolchain.zoo.embedded import resolve

SIDE, FINE = 384, 4  # the scene's side, and how much finer it is drawn before it is reduced


def scene(seed: int = 7) -> np.ndarray:
    """u8 (SIDE, SIDE, 3): sky, houses with windows, wires, a tree of many leaves, a signboard."""
    rng = np.random.default_rng(seed)
    side = SIDE * FINE
    ramp = np.linspace(0, 1, side)[:, None, None]
    sky = np.array([96, 150, 205]) * (1 - ramp) + np.array([232, 214, 190]) * ramp
    picture = Image.fromarray(np.broadcast_to(sky, (side, side, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    left = 0
    for width, top, wall in ((420, 520, (168, 92, 70)), (360, 300, (206, 184, 150)), (330, 640, (120, 130, 140))):
        draw.rectangle((left, top, left + width, side), fill=wall)
        for y in range(top + 6, side, 22):  # courses of bricks
            draw.line((left, y, left + width, y), fill=tuple(int(c * 0.86) for c in wall), width=3)
        for y in range(top + 60, side - 140, 150):
            for x in range(left + 40, left + width - 70, 110):
                draw.rectangle((x, y, x + 66, y + 96), fill=(244, 240, 230))
                draw.rectangle((x + 6, y + 6, x + 60, y + 90), fill=(52, 66, 84))
                draw.line((x + 33, y, x + 33, y + 96), fill=(244, 240, 230), width=6)
                draw.line((x, y + 40, x + 66, y + 40), fill=(244, 240, 230), width=6)
        left += width + 10
    for index in range(5):  # wires
        points = [(x, 150 + index * 42 + 120 * ((x / side) - 0.5) ** 2 + index * x * 0.03) for x in range(0, side, 12)]
        draw.line(points, fill=(30, 30, 34), width=5)
    for _ in range(2600):  # leaves
        angle, reach = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 120))
        x, y = 1330 + reach * np.cos(angle), 820 + 1.2 * reach * np.sin(angle)
        shade = rng.integers(-40, 40)
        draw.ellipse((x - 13, y - 7, x + 13, y + 7), fill=(70 + shade // 2, 122 + shade, 54 + shade // 2))
    draw.rectangle((1300, 1000, 1350, side), fill=(84, 60, 44))
    draw.rectangle((250, 1180, 900, 1420), fill=(28, 70, 60), outline=(238, 220, 160), width=12)
    font = ImageFont.load_default(size=116)
    draw.text((575, 1250), "clip-free", fill=(238, 220, 160), font=font, anchor="mm")
    draw.text((575, 1355), "super-resolution", fill=(238, 220, 160), font=ImageFont.load_default(size=68), anchor="mm")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def main() -> None:
    """Deploy if need be, upscale, write the sheet."""
    with tempfile.TemporaryDirectory() as folder:
        path = (
            Path(sys.argv[1])
            if len(sys.argv) > 1
            else deploy(Request(resolve("zoo:xlsr_x3"), Path(folder), demo_photographs())).path
        )
        original = scene()
        small = shrink(original, 3)
        found = load(open_bundle(path)).upscale(small)
    pictures = [enlarge(small, 3), found, original]
    scores = [quality(picture, original, 3).psnr_y for picture in pictures[:2]]
    captions = [f"bicubic, {scores[0]:.2f} dB (Y)", f"clipfree INT8, {scores[1]:.2f} dB (Y)", "original"]
    sheet = side_by_side(pictures, captions, box=(40, 216, 232, 376))
    write_photo(Path(__file__).with_name("before-after.png"), Photo(sheet))
    print(*captions, sep="\n")


if __name__ == "__main__":
    main()
