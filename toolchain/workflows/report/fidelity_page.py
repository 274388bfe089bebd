"""The fidelity report as one HTML page that needs nothing else, made from fidelity.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from toolchain.quantize.bits import write_bits
from toolchain.workflows.report import svg, table
from toolchain.workflows.report.table import Cell, Column, bar, figure, word

Document = Mapping[str, Any]

_CSS = """
:root{--ink:#1c2024;--soft:#5b6570;--paper:#fff;--rule:#dde2e7;--a:#2563a8;--b:#b4540a;--panel:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b0;--paper:#15181b;--rule:#30363c;--a:#6aa9ec;
--b:#f0a04b;--panel:#1d2125}}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1280px;margin:1.5rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--rule)}
p,li{max-width:75ch}.soft,figcaption{color:var(--soft)}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}.tiles div{background:var(--panel);padding:.6rem 1rem;
border-radius:6px}.tiles b{display:block;font-size:1.25rem}
pre{background:var(--panel);padding:.6rem 1rem;border-radius:6px;white-space:pre-wrap;margin:.3rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:var(--soft)}dd{margin:0}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
.label{text-anchor:end}.tick,.title{text-anchor:middle}
.series0{fill:var(--a)}.series1{fill:var(--b)}.line0,.line1{fill:none;stroke-width:2}.line0{stroke:var(--a)}
.line1{stroke:var(--b)}.grid,.axis{stroke:var(--rule)}.histogram{fill:var(--a);background:var(--panel)}
.pictures{display:grid;grid-template-columns:repeat(4,1fr);gap:.6rem}figure{margin:0}
figure img{width:100%;image-rendering:pixelated;display:block}
@media (max-width:760px){.pictures{grid-template-columns:repeat(2,1fr)}svg.chart text{font-size:24px}.rare{display:none}
dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
"""

_LOW_SQNR, _MUCH_SATURATED, _LITTLE_USED = 25.0, 0.001, 0.5


def render(document: Document) -> str:
    """Return the page of what fidelity.json holds."""
    title = f"Fidelity of {document['model']} in INT8"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _summary(document),
        _fixes(document),
        _blame(document["blame"]),
        _tensors(document["tensors"]),
        _pictures(document["shown"]),
        _quality(document["quality"]),
        _warnings(document["warnings"]),
        _made(document),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_CSS}{table.CSS}</style></head>\n'
        f"<body>{''.join(parts)}<script>{table.SCRIPT}</script></body></html>\n"
    )


def _summary(document: Document) -> str:
    kind, quality = "RGB" if document["channels"] == 3 else "luma", document["quality"]
    tiles = [
        ("PSNR that INT8 loses", f"{document['drop']:.3f} dB"),
        ("INT8 against FP32", _decibels(document["psnr"])),
    ]
    if quality is not None:
        mean = quality["mean"]
        keys = (("FP32, Y", "compared"), ("INT8, Y", "bundle"), ("bicubic, Y", "bicubic"))
        tiles += [(name, _decibels(mean[key]["psnr_y"])) for name, key in keys if mean[key] is not None]
    cells = "".join(f"<div>{escape(name)}<b>{value}</b></div>" for name, value in tiles)
    spent = "".join(f"<p>{escape(line)}</p>" for line in (document["weights"], *document["spent"]) if line)
    return (
        f'<p class="soft">x{document["scale"]} {kind}, as it is deployed; compared on {len(document["pictures"])} '
        f"pictures of up to {document['side']} input pixels a side. What INT8 loses is measured on photographs that "
        f'are shrunk and enlarged again, on crops that chose nothing.</p><div class="tiles">{cells}</div>{spent}'
    )


def _fixes(document: Document) -> str:
    said = "".join(
        f"<p>{document['drop']:.3f} → <b>{fix['after']:.3f} dB</b> lost, for {fix['work']:.1f} % more work than 8 bits "
        f"everywhere; 16 bits for {escape(', '.join(fix['tensors']))}</p><pre>{escape(fix['command'])}</pre>"
        for fix in document["fixes"]
    )
    none = (
        "<p>Nothing that was tried is worth its work.</p>" if document["drop"] > _SMALL else "<p>Nothing needs to.</p>"
    )
    return f"<h2>What would mend it</h2>{said or none}"


_SMALL = 0.01
"""PSNR in dB that may be lost without anything to be mended."""

_BLAMED = (
    Column("part of the network", text=True, name=True),
    Column("what is rounded", text=True),
    Column("error if only this is rounded (grey levels²)"),
    Column("error saved if this alone is not rounded (grey levels²)"),
)


def _blame(blame: Document) -> str:
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
    return (
        "<h2>What costs quality</h2><p>Mean squared error of the output against the FP32 network, in grey levels of "
        f"0..255 squared. With everything rounded it is <b>{blame['everything']:.3g}</b>. Weights are rounded together "
        "for what they read; alone, for values that are not. A part saves less than it costs alone where other "
        "errors hide it; it saves a negative amount where others made up for it, as weights do for values before them."
        f"</p>{table.table(_BLAMED, rows)}"
    )


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


def _tensors(tensors: list[Document]) -> str:
    finite = [tensor for tensor in tensors if tensor["sqnr"] is not None and tensor["own_sqnr"] is not None]
    series = (
        ("errors before it included", [tensor["sqnr"] for tensor in finite]),
        ("its own rounding alone", [tensor["own_sqnr"] for tensor in finite]),
    )
    places = [(str(tensors.index(tensor) + 1), tensor["name"]) for tensor in finite]
    chart = svg.lines(places, series, "dB", ("number of the tensor", "signal to noise (dB)")) if finite else ""
    rows = [_row(index, tensor) for index, tensor in enumerate(tensors)]
    return (
        "<h2>Tensors</h2><p>Signal to quantization noise in dB, in the order of the network. A tensor whose own "
        "rounding is far above its line suffers from those before it; one whose own rounding is low needs another "
        "range, or balanced channels. The output is out of range where the picture is clipped.</p>"
        f"{chart}{table.table(_TENSORS, rows)}"
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
        Cell(svg.histogram(tensor["histogram"]), index),
    )


def _pictures(shown: list[Document]) -> str:
    figures = []
    for one in shown:
        name = escape(one["name"])
        captions = (
            ("input", f"{name}: input"),
            ("fp32", "FP32"),
            ("int8", f"INT8, {_decibels(one['psnr'])} against FP32"),
            ("difference", f"difference x{one['amplified']}, about grey"),
        )
        figures += [
            f'<figure><img src="data:image/png;base64,{escape(one[key])}" alt="{text}"><figcaption>{text}</figcaption>'
            "</figure>"
            for key, text in captions
        ]
    return f'<h2>Pictures that differ most</h2><div class="pictures">{"".join(figures)}</div>'


def _quality(quality: Document | None) -> str:
    if quality is None:
        return ""
    keys = (("bicubic", "bicubic"), ("FP32", "compared"), ("INT8", "bundle"), ("INT8 against FP32", "against_compared"))
    figures = (("PSNR of RGB (dB)", "psnr_rgb"), ("PSNR of Y (dB)", "psnr_y"))
    columns = [Column(f"{name}: {title}") for name, _ in keys for title, _ in figures]
    rows = [
        (word(row["name"]), *(_decibel_cell(row[key], wanted) for _, key in keys for _, wanted in figures))
        for row in (*quality["rows"], quality["mean"])
    ]
    return (
        f"<h2>Quality against the originals</h2><p>{quality['shave']} border pixels left out.</p>"
        f"{table.table((Column('picture', text=True, name=True), *columns), rows)}"
    )


def _decibel_cell(one: Document | None, wanted: str) -> Cell:
    return Cell("-", "NaN") if one is None else figure(one[wanted], _decibels(one[wanted], ""))


def _warnings(warnings: list[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f"<h2>Warnings</h2><ul>{items}</ul>" if items else ""


def _made(document: Document) -> str:
    versions, settings = document["versions"], document["settings"]
    lines = (
        ("command", document["command"]),
        ("date", document["date"]),
        ("made with", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("settings", "; ".join(f"{name}: {_setting(value)}" for name, value in settings.items())),
        ("pictures compared", ", ".join(document["pictures"])),
    )
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in lines if text)
    return f"<h2>How this was made</h2><dl>{items}</dl>"


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
