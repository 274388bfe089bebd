"""The fidelity report as one HTML page that needs nothing else, made from fidelity.json alone."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from toolchain.workflows.report import svg

Document = Mapping[str, Any]

_CSS = """
:root{--ink:#1c2024;--soft:#5b6570;--paper:#fff;--rule:#dde2e7;--a:#2563a8;--b:#d97a1e;--panel:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b0;--paper:#15181b;--rule:#30363c;--a:#6aa9ec;
--b:#f0a04b;--panel:#1d2125}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1280px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--rule)}
p{max-width:75ch}.soft,figcaption{color:var(--soft)}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}.tiles div{background:var(--panel);padding:.6rem 1rem;
border-radius:6px}.tiles b{display:block;font-size:1.25rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}th,td{padding:3px 9px;text-align:right;
border-bottom:1px solid var(--rule);white-space:nowrap}th:nth-child(2),td:nth-child(2){text-align:left}
th{color:var(--soft);font-weight:600}.bad{color:var(--b);font-weight:600}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
.label{text-anchor:end}.tick{text-anchor:middle}svg .value{fill:var(--soft);font-size:11px}
.series0{fill:var(--a)}.series1{fill:var(--b)}.line0,.line1{fill:none;stroke-width:2}.line0{stroke:var(--a)}
.line1{stroke:var(--b)}.grid,.axis{stroke:var(--rule)}.histogram{fill:var(--a);background:var(--panel)}
.pictures{display:grid;grid-template-columns:repeat(4,1fr);gap:.6rem}figure{margin:0}
figure img{width:100%;image-rendering:pixelated;display:block}
"""

_LOW_SQNR, _MUCH_SATURATED, _LITTLE_USED = 25.0, 0.001, 0.5


def render(document: Document) -> str:
    """Return the page of what fidelity.json holds."""
    title = f"Fidelity of {document['model']} in INT8"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _summary(document),
        _blame(document["blame"]),
        _tensors(document["tensors"]),
        _pictures(document["shown"]),
        _quality(document["quality"]),
        _warnings(document["warnings"]),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_CSS}</style></head>\n'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _summary(document: Document) -> str:
    kind = "RGB" if document["channels"] == 3 else "luma"
    settings, quality = document["settings"], document["quality"]
    tiles = [("INT8 against FP32", _decibels(document["psnr"]))]
    if quality is not None:
        mean = quality["mean"]
        for name, key in (("FP32, Y", "compared"), ("INT8, Y", "bundle"), ("bicubic, Y", "bicubic")):
            tiles.append((name, _decibels(mean[key]["psnr_y"])))
    cells = "".join(f"<div>{escape(name)}<b>{value}</b></div>" for name, value in tiles)
    overrides = "".join(f", {name}: {estimator}" for name, estimator in settings["overrides"].items())
    return (
        f'<p class="soft">x{document["scale"]} {kind}; ranges by {escape(settings["activations"] + overrides)}; '
        f"compared on {len(document['pictures'])} pictures of up to {document['side']} input pixels a side</p>"
        f'<div class="tiles">{cells}</div>'
    )


def _blame(blame: Document) -> str:
    blames = sorted(blame["blames"], key=lambda one: -max(one["alone"], one["gain"]))
    rows = [(_part(one["part"]), (one["alone"], one["gain"])) for one in blames]
    chart = svg.bars(rows, ("error if only this is quantized", "error saved if this alone stays float"), "grey levels²")
    return (
        "<h2>What costs quality</h2><p>Mean squared error of the output against the FP32 network, in grey levels of "
        f"0..255 squared. With everything quantized it is <b>{blame['everything']:.3g}</b>. A part saves less than it "
        "costs alone where other errors hide it; it saves a negative amount where corrected biases and rounded weights "
        f"made up for it.</p>{chart}"
    )


def _part(part: Document) -> str:
    more = f" and {len(part['tensors']) - 1} that share its range" if len(part["tensors"]) > 1 else ""
    return f"{part['name']}{' (weights)' if part['kind'] == 'weights' else more}"


def _tensors(tensors: list[Document]) -> str:
    finite = [tensor for tensor in tensors if tensor["sqnr"] is not None and tensor["own_sqnr"] is not None]
    series = (
        ("with all errors before it", [tensor["sqnr"] for tensor in finite]),
        ("its own rounding alone", [tensor["own_sqnr"] for tensor in finite]),
    )
    chart = svg.lines([tensor["name"] for tensor in finite], series, "dB") if finite else ""
    head = (
        "<tr><th></th><th>tensor</th><th>bits</th><th>by</th><th>range of the codes</th><th>seen</th><th>SQNR</th>"
        "<th>own SQNR</th><th>cosine</th><th>saturated</th><th>codes used</th><th>first to last code (√)</th></tr>"
    )
    rows = "".join(_row(index, tensor) for index, tensor in enumerate(tensors))
    return (
        "<h2>Tensors</h2><p>Signal to quantization noise in dB, in the order of the network. A tensor whose own "
        "rounding is far above its line suffers from those before it; one whose own rounding is low needs another "
        "range, or balanced channels. The output saturates where the picture is clipped.</p>"
        f'{chart}<div class="wide"><table>{head}{rows}</table></div>'
    )


def _row(index: int, tensor: Document) -> str:
    output = tensor["estimator"] == "pixels"
    cells = [
        _marked(_decibels(tensor["sqnr"]), bad=tensor["sqnr"] is not None and tensor["sqnr"] < _LOW_SQNR),
        _marked(_decibels(tensor["own_sqnr"]), bad=tensor["own_sqnr"] is not None and tensor["own_sqnr"] < _LOW_SQNR),
        f"<td>{tensor['cosine']:.5f}</td>",
        _marked(f"{tensor['saturated']:.3%}", bad=tensor["saturated"] > _MUCH_SATURATED and not output),
        _marked(f"{tensor['used']:.0%}", bad=tensor["used"] < _LITTLE_USED),
    ]
    return (
        f"<tr><td>{index + 1}</td><td>{escape(tensor['name'])} ({escape(tensor['operator'])})</td>"
        f"<td>{tensor['bits']}</td><td>{escape(tensor['estimator'])}</td><td>{tensor['low']:.4g}..{tensor['high']:.4g}</td>"
        f"<td>{tensor['seen_low']:.4g}..{tensor['seen_high']:.4g}</td>{''.join(cells)}"
        f"<td>{svg.histogram(tensor['histogram'])}</td></tr>"
    )


def _marked(text: str, *, bad: bool) -> str:
    return f'<td class="bad">{text}</td>' if bad else f"<td>{text}</td>"


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
    head = "".join(f"<th>{name}</th>" for name, _ in keys)
    rows = "".join(
        f"<tr><td></td><td>{escape(row['name'])}</td>{''.join(_figures(row[key]) for _, key in keys)}</tr>"
        for row in (*quality["rows"], quality["mean"])
    )
    return (
        "<h2>Quality against the originals</h2>"
        f"<p>PSNR over RGB and Y in dB, SSIM of Y; {quality['shave']} border pixels "
        f'left out.</p><div class="wide"><table><tr><th></th><th>picture</th>{head}</tr>{rows}</table></div>'
    )


def _figures(one: Document) -> str:
    ssim = "-" if one["ssim"] is None else f"{one['ssim']:.4f}"
    return f"<td>{_decibels(one['psnr_rgb'], '')} {_decibels(one['psnr_y'], '')} {ssim}</td>"


def _warnings(warnings: list[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f"<h2>Warnings</h2><ul>{items}</ul>" if items else ""


def _decibels(value: float | None, unit: str = " dB") -> str:
    """JSON has no infinity: null is a signal without noise."""
    return "equal" if value is None else f"{value:.2f}{unit}"
