"""The contact sheet of a representative set: a network's outputs before and after, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolchain.pages import Cell, Column, Table, bar, charts, figure, render, word
from toolchain.pages.pictures import embedded
from toolchain.quantize.floats import to_pixels

if TYPE_CHECKING:
    from toolchain.pages.charts import Canvas, Paint
    from toolchain.workflows.report.proof import ImageProof, Proof

Pixels = npt.NDArray[np.uint8]

_SIDE = 260  # of a thumbnail, in pixels
ABOVE, BELOW = (230, 0, 40), (0, 60, 255)
"""Colours of values above white and below black."""

_KINDS = {
    "natural": "unchanged",
    "contracted": "contrast lowered",
    "flat": "flat frame, added",
    "end": "touches an end, added",
}
_THICK = 9.0  # a line of the chart, in points, where there is room
_MANY = 10.0  # values between black and white, from which on they are told to a tenth
_LISTED = 40  # photographs that were left out, at most


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A network's output, small.

    Attributes:
        pixels: u8 (h, w, 3).
        marks: u8 (h, w, 4): `ABOVE` and `BELOW` where a value is beyond the range, else transparent; None where no
            value is.
    """

    pixels: Pixels
    marks: Pixels | None


@dataclass(frozen=True, eq=False)
class Pair:
    """The outputs of one image: its place in the set; ``before`` is missing where there was no photograph."""

    image: int
    before: Thumbnail | None
    after: Thumbnail


def thumbnail(values: npt.NDArray[np.float32], value_range: tuple[float, float], *, side: int = _SIDE) -> Thumbnail:
    """Return a network's output made small; every value beyond the range is marked, however small its area.

    Args:
        values: float32 (1, C, h, w) in the network's units.
        value_range: black and white.
        side: the longest side in pixels.
    """
    low, high = value_range
    planes, picture = values[0].transpose(1, 2, 0), to_pixels(values, value_range)
    picture = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    step = max(1, -(-max(picture.shape[:2]) // side))
    small = np.asarray(Image.fromarray(picture).reduce(step))
    marks = np.zeros((*small.shape[:2], 4), np.uint8)
    for beyond, colour in ((planes > high, ABOVE), (planes < low, BELOW)):
        marks[_any(beyond.any(axis=2), step)] = (*colour, 255)
    return Thumbnail(small, marks if marks.any() else None)


def _any(mask: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.bool_]:
    """Whether any place of each step x step square is set; squares at the edge may be smaller."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % step), (0, -width % step)))
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(blocks.any(axis=(1, 3)))


def contact_sheet(proof: Proof, pairs: Sequence[Pair], command: str = "") -> str:
    """Return the page of a representative set, HTML that needs nothing beside it.

    Args:
        proof: of the set.
        pairs: outputs that are shown.
        command: that made the set; may be empty.
    """
    low, high = proof.value_range
    shown = "" if len(pairs) == len(proof.images) else f" {len(pairs)} of {len(proof.images)} images are shown."
    return render(
        "contact_sheet.html",
        title=f"Representative set for {proof.model}",
        lead=_lead(proof),
        tiles=_tiles(proof),
        warnings=proof.warnings,
        spans=charts.chart(
            _spans(proof.images, proof.value_range), "Smallest and largest output of every image", height=300
        ),
        spans_text="For each image a line from the smallest to the largest output of the float network, in its units: "
        "of the photograph as it is, and of the image in the set.",
        pairs=[_pair(pair, proof.images[pair.image], proof.value_range) for pair in pairs],
        pairs_text=f"Outputs of the float network. Red is above {high:g}, blue below {low:g}, however small the place."
        f"{shown}",
        images=_images(proof),
        left_out=_left_out(proof),
        made=_made(proof, command),
    )


def _lead(proof: Proof) -> str:
    kind = "RGB" if proof.channels == 3 else "luma"
    if proof.proved:
        return (
            f"x{proof.scale} {kind}. Outputs of the set reach both ends of the pixel range and pass neither, so the "
            "range that a calibrator records is that of the pixels, and no clip is needed."
        )
    return f"x{proof.scale} {kind}. Outputs of the set do not span just the pixel range: see below."


def _tiles(proof: Proof) -> list[tuple[str, str, str]]:
    covered = proof.coverage
    changed = sum(image.kind == "contracted" for image in proof.images)
    added = sum(image.kind in ("flat", "end") for image in proof.images)
    ends = " and ".join(
        f"{end:g} {'touched' if touched else 'not touched'}"
        for end, touched in zip(proof.value_range, (covered.touches_low, covered.touches_high), strict=True)
    )
    return [
        ("Images", str(len(proof.images)), f"{changed} with less contrast, {added} added"),
        ("Outputs before", _span(proof.before, proof.value_range), "of the photographs as they are"),
        (
            "Outputs of the set",
            _span((covered.low, covered.high), proof.value_range),
            ends + ("" if covered.inside else ", some beyond"),
        ),
        (
            "A calibrator finds",
            f"{proof.output_scale:.4g}, {proof.output_zero_point}",
            "scale and zero point of the output",
        ),
        ("Codes of the images", f"{proof.codes[0]} to {proof.codes[1]}", "pin the input to 0..255 where you can"),
    ]


def _spans(images: Sequence[ImageProof], value_range: tuple[float, float]) -> Paint:
    """Return what paints the outputs of every image, before and after, beside black and white."""

    def paint(canvas: Canvas) -> None:
        axes, count, wide = canvas.axes, len(images), 260 if canvas.narrow else 980
        thick = min(_THICK, 0.3 * wide / max(count, 1))
        apart = 0.6 * thick * count / wide
        for called, place, colour, ends in (
            ("photograph", -apart, charts.SERIES[1], [image.before if image.photograph else None for image in images]),
            ("image of the set", apart, charts.SERIES[0], [image.after for image in images]),
        ):
            drawn = [(number + place, *span) for number, span in enumerate(ends, 1) if span is not None]
            xs, lows, highs = ([one[column] for one in drawn] for column in range(3))
            axes.vlines(xs, lows, highs, colors=colour, linewidth=thick, label=called)
        for end in value_range:
            axes.axhline(end, color=charts.INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlabel("image, in the order of the set")
        low, high = value_range
        axes.set_ylabel(f"output (black {low:g}, white {high:g})")
        axes.locator_params(axis="x", integer=True)
        axes.set_xlim(0.4, count + 0.6)
        axes.grid(axis="x", visible=False)
        axes.legend(ncols=2)

    return paint


def _pair(pair: Pair, image: ImageProof, value_range: tuple[float, float]) -> dict[str, object]:
    """Return what the page shows of a pair: its caption, and (what it is, picture, marks, size) of both."""
    sides = (("before", pair.before, image.before), ("after", pair.after, image.after))
    shots = [
        (
            when,
            f"output {when}, {_span(span, value_range)}, of {image.name}",
            embedded(shown.pixels, exact=False),
            "" if shown.marks is None else embedded(shown.marks),
            shown.pixels.shape[1],
            shown.pixels.shape[0],
        )
        for when, shown, span in sides
        if shown is not None
    ]
    became = _span(image.after, value_range)
    if image.photograph and image.before != image.after:
        became = f"{_span(image.before, value_range)} became {became}"
    return {"name": image.name, "said": f"{became}; {_what(image)}", "shots": shots}


def _what(image: ImageProof) -> str:
    return f"contrast x{image.factor:.3f}" if image.kind == "contracted" else _KINDS[image.kind]


def _value(value: float, value_range: tuple[float, float]) -> str:
    """Return an output to about a thousandth of the range."""
    return f"{round(value, 3) + 0.0:.3f}" if value_range[1] - value_range[0] < _MANY else f"{round(value, 1) + 0.0:.1f}"


def _span(ends: tuple[float, float], value_range: tuple[float, float]) -> str:
    return f"{_value(ends[0], value_range)} to {_value(ends[1], value_range)}"


def _images(proof: Proof) -> Table:
    columns = (
        Column("number"),
        Column("image", text=True, name=True),
        Column("what became of it", text=True),
        Column("contrast kept"),
        Column("width (pixels)"),
        Column("height (pixels)"),
        Column("smallest output before"),
        Column("largest output before"),
        Column("smallest output after"),
        Column("largest output after"),
    )
    low, high = proof.value_range

    def output(value: float | None) -> Cell:
        if value is None:
            return Cell("", "NaN")
        return figure(value, _value(value, (low, high)), bad=not low <= value <= high)

    rows = [
        (
            figure(number, str(number)),
            word(image.name, _origin(image)),
            word(_KINDS[image.kind]),
            bar(image.factor, 1.0, f"{image.factor:.3f}"),
            figure(image.width, str(image.width)),
            figure(image.height, str(image.height)),
            *(output(value) for value in (image.before if image.photograph else (None, None))),
            *(output(value) for value in image.after),
        )
        for number, image in enumerate(proof.images, 1)
    ]
    return Table(columns, rows)


def _origin(image: ImageProof) -> str:
    return f"{image.photograph}, from {image.place[1]},{image.place[0]}" if any(image.place) else image.photograph


def _left_out(proof: Proof) -> list[str]:
    said = [
        f"{left.photograph} from {left.place[1]},{left.place[0]}: outputs {_span(left.before, proof.value_range)}"
        for left in proof.left_out[:_LISTED]
    ]
    said += [f"{one.name} {one.reason}" for one in proof.skipped[:_LISTED]]
    more = max(len(proof.left_out) - _LISTED, 0) + max(len(proof.skipped) - _LISTED, 0)
    return said + [f"{more} more, see proof.json"] * bool(more)


def _made(proof: Proof, command: str) -> list[tuple[str, str]]:
    reading = proof.reading
    return [
        ("command", command),
        ("model", proof.model),
        ("values of a pixel", f"{proof.value_range[0]:g} to {proof.value_range[1]:g}"),
        (
            "images that overshoot",
            "their contrast is lowered about mid-grey, no more than each needs"
            if reading.overshoot == "contract"
            else "are left out",
        ),
        ("frames", ", ".join(reading.frames) or "none are added"),
        ("patches", f"of {reading.patch} pixels, each for itself" if reading.patch else ""),
        ("method", "clip-free quantization pipeline (Kalay, Bilecen, Ayazoglu, arXiv:2308.11365)"),
        ("figures for programs", "proof.json, beside this page"),
    ]
