"""The loss curve as a picture, drawn with Pillow."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

WIDTH, HEIGHT, EDGE = 640, 360, 48


def draw_curve(losses: list[list[float]], what: str = "Charbonnier loss", unit: str = "steps") -> Image.Image:
    """Plot ``[[step, loss], ...]``, or ``what`` over ``unit``, with a logarithmic axis upwards; returns an RGB picture
    of 640 x 360 pixels.
    """
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((EDGE, EDGE // 2, WIDTH - EDGE // 2, HEIGHT - EDGE), outline="black")
    logs = [math.log10(max(loss, 1e-12)) for _, loss in losses]
    low, high = min(logs), max(logs)
    span = max(high - low, 1e-6)
    last = max(step for step, _ in losses)
    points = [
        (EDGE + step / last * (WIDTH - 1.5 * EDGE), EDGE // 2 + (high - log) / span * (HEIGHT - 1.5 * EDGE))
        for (step, _), log in zip(losses, logs, strict=True)
    ]
    if len(points) > 1:
        draw.line(points, fill=(200, 60, 20), width=2)
    draw.text((4, EDGE // 2), f"{10**high:.4f}", fill="black")
    draw.text((4, HEIGHT - EDGE - 10), f"{10**low:.4f}", fill="black")
    draw.text((WIDTH - 2 * EDGE, HEIGHT - EDGE + 8), f"{last:g} {unit}", fill="black")
    draw.text((EDGE, HEIGHT - EDGE + 8), what, fill="black")
    return picture
