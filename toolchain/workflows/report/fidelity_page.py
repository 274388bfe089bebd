"""The fidelity report as one HTML page that needs nothing else, made from fidelity.json alone."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolchain.pages import Cell, Column, Table, bar, charts, distribution, figure, word
from toolchain.pages import render as render_page
from toolchain.quantize.bits import write_bits

if TYPE_CHECKING:
    from markupsafe import Markup

Document = Mapping[str, Any]

_LOW_SQNR, _MUCH_SATURATED, _LITTLE_USED = 25.0, 0.001, 0.5
_SMALL = 0.01
"""PSNR in dB that may be lost without anything to be mended."""
_LEAST = 2  # tensors of which a chart is drawn


def render(document: Document) -> str:
    """Return the page of what fidelity.json holds."""
    kind = "RGB" if document["channels"] == 3 else "luma"
    return render_page(
        "fidelity.html",
        title=f"Fidelity of {document['model']} in INT8",
        lead=f"x{document['scale']} {kind}, as it is deployed; compared on {len(document['pictures'])} pictures of up "
        f"to {document['side']} input pixels a side. What INT8 loses is measured on photographs that are shrunk and "
        "enlarged again, on crops that chose nothing.",
        tiles=_tiles(document),
        spent=[line for line in (document["weights"], *document["spent"]) if line],
        fixes=[_fix(fix, document["drop"]) for fix in document["fixes"]],
        unmended="Nothing that was tried is worth its work." if document["drop"] > _SMALL else "Nothing needs to.",
        everything=f"{document['blame']['everything']:.3g}",
        blame=_blame(document["blame"]),
        chart=_chart(document["tensors"]),
        tensors=Table(_TENSORS, [_row(index, tensor) for index, tensor in enumerate(document["tensors"])]),
        pictures=[_picture(one) for one in document["shown"]],
        quality=_quality(document["quality"]),
        shave=document["quality"]["shave"] if document["quality"] else 0,
        warnings=document["warnings"],
        made=_made(document),
    )


def _tiles(document: Document) -> list[tuple[str, str]]:
    quality = document["quality"]
    tiles = [
        ("PSNR that INT8 loses", f"{document['drop']:.3f} dB"),
        ("INT8 against FP32", _decibels(document["psnr"])),
    ]
    if quality is not None:
        mean = quality["mean"]
        keys = (("FP32, Y", "compared"), ("INT8, Y", "bundle"), ("bicubic, Y", "bicubic"))
        tiles += [(name, _decibels(mean[key]["psnr_y"])) for name, key in keys if mean[key] is not None]
    return tiles


def _fix(fix: Document, drop: float) -> dict[str, str]:
    names = ", ".join(fix["tensors"])
    return {
        "before": f"{drop:.3f}",
        "after": f"{fix['after']:.3f}",
        "work": f"{fix['work']:.1f} %",
        "what": f"{'8 bits for weights of' if '--weight-bits' in fix['options'] else '16 bits for'} {names}",
        "command": fix["command"],
    }


_BLAMED = (
    Column("part of the network", text=True, name=True),
    Column("what is rounded", text=True),
    Column("error if only this is rounded (grey levels²)"),
    Column("error saved if this alone is not rounded (grey levels²)"),
)


def _blame(blame: Document) -> Table:
    blames = sorted(blame["blames"], key=lambda one: -max(one["alone"], one["gain"]))
    most = max([max(one["alone"], abs(one["gain"])) for one in blames], default=0.0)
    rows = [
        (
            word(_part(one["part"])),
            word("weights" if one["part"]["kind"] == "weights" else "values"),
            bar(one["alone"], most, f"{one['alone']:.3g}"),
            bar(one["gain"], most, f"{one['gain']:.3g}"),
        )
        for one in blames
    ]
    return Table(_BLAMED, rows)


def _part(part: Document) -> str:
    more = f" and {len(part['tensors']) - 1} that share its range" if len(part["tensors"]) > 1 else ""
    return f"{part['name']}{more}"


_TENSORS = (
    Column("number"),
    Column("tensor (made by)", text=True, name=True),
    Column("bits"),
    Column("range chosen by", text=True),
    Column("lowest code's value"),
    Column("highest code's value"),
    Column("lowest value seen"),
    Column("highest value seen"),
    Column("signal to noise, errors before it included (dB)"),
    Column("signal to noise, its own rounding alone (dB)"),
    Column("values out of range"),
    Column("codes in use"),
    Column("values from first to last code (square roots)", text=True),
)


def _chart(tensors: list[Document]) -> Markup | None:
    finite = [
        (number, tensor)
        for number, tensor in enumerate(tensors, 1)
        if tensor["sqnr"] is not None and tensor["own_sqnr"] is not None
    ]
    if len(finite) < _LEAST:
        return None
    series = {
        title: [(float(number), float(tensor[key])) for number, tensor in finite]
        for title, key in (("its own rounding alone", "own_sqnr"), ("errors before it included", "sqnr"))
    }
    titles = "number of the tensor", "signal to noise (dB)"
    return charts.chart(
        charts.lines(series, titles, names=[tensor["name"] for _, tensor in finite]),
        "Signal to noise of every tensor",
        height=320,
    )


def _row(index: int, tensor: Document) -> tuple[Cell, ...]:
    output = tensor["estimator"] == "pixels"

    def noise(value: float | None) -> Cell:
        return figure(value, _decibels(value, ""), bad=value is not None and value < _LOW_SQNR)

    ends = (tensor["low"], tensor["high"], tensor["seen_low"], tensor["seen_high"])
    return (
        figure(index + 1, str(index + 1)),
        word(f"{tensor['name']} ({tensor['operator']})"),
        figure(tensor["bits"], str(tensor["bits"])),
        word(tensor["estimator"]),
        *(figure(end, f"{end:.4g}") for end in ends),
        noise(tensor["sqnr"]),
        noise(tensor["own_sqnr"]),
        figure(
            tensor["saturated"],
            f"{tensor['saturated']:.3%}",
            bad=tensor["saturated"] > _MUCH_SATURATED and not output,
        ),
        figure(tensor["used"], f"{tensor['used']:.0%}", bad=tensor["used"] < _LITTLE_USED),
        Cell("", index, drawing=distribution(tensor["histogram"])),
    )


def _picture(one: Document) -> dict[str, Any]:
    width, height = _size(one["int8"])
    said = f"INT8 is at the right, {_decibels(one['psnr'])} against FP32."
    left = (
        ("FP32", "fp32", said),
        ("difference", "difference", f"INT8 less FP32, {one['amplified']} times as strong, about grey. {said}"),
        ("input", "input", f"What both networks are given. {said}"),
    )
    pictures = [(name, _address(one[key]), text) for name, key, text in (*left, ("INT8", "int8", ""))]
    return {"name": one["name"], "pictures": pictures, "width": width, "height": height}


def _address(png: str) -> str:
    return f"data:image/png;base64,{png}"


def _size(png: str) -> tuple[int, int]:
    """Return width and height of a PNG in base64, which its header says."""
    width, height = struct.unpack(">II", base64.b64decode(png[:32])[16:24])
    return width, height


def _quality(quality: Document | None) -> Table | None:
    if quality is None:
        return None
    keys = (("bicubic", "bicubic"), ("FP32", "compared"), ("INT8", "bundle"), ("INT8 against FP32", "against_compared"))
    figures = (("PSNR of RGB (dB)", "psnr_rgb"), ("PSNR of Y (dB)", "psnr_y"))
    columns = [Column(f"{name}: {title}") for name, _ in keys for title, _ in figures]
    rows = [
        (word(row["name"]), *(_decibel_cell(row[key], wanted) for _, key in keys for _, wanted in figures))
        for row in (*quality["rows"], quality["mean"])
    ]
    return Table((Column("picture", text=True, name=True), *columns), rows)


def _decibel_cell(one: Document | None, wanted: str) -> Cell:
    return Cell("-", "NaN") if one is None else figure(one[wanted], _decibels(one[wanted], ""))


def _made(document: Document) -> list[tuple[str, str]]:
    versions, settings = document["versions"], document["settings"]
    return [
        ("command", document["command"]),
        ("date", document["date"]),
        ("made with", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("settings", "; ".join(f"{name}: {_setting(value)}" for name, value in settings.items())),
        ("pictures compared", ", ".join(document["pictures"])),
    ]


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        words = (
            write_bits(name, tuple(one)) if isinstance(one, list) else f"{name}={one}" for name, one in value.items()
        )
        return ", ".join(words) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _decibels(value: float | None, unit: str = " dB") -> str:
    """JSON has no infinity: null is a signal without noise."""
    return "equal" if value is None else f"{value:.2f}{unit}"
