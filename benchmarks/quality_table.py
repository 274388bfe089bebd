"""The quality table's document as Markdown.

Its claims stand in the order of CFQP's abstract: the clip removed, quality kept, time saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Document = dict[str, Any]

_SAME = 0.005  # dB that are no difference


def markdown(document: Document) -> str:
    """Everything that the document holds."""
    return "\n".join([*_head(document), *_clip(document), *_quality(document), *_time(document)]) + "\n"


def below(document: Document, row: str, other: str) -> Iterator[tuple[str, str, float]]:
    """The networks and sets on which ``row`` has a lower PSNR of luma than ``other``, and by how many dB."""
    for network in document["networks"]:
        for group in document["sets"]:
            found, better = (_figure(network, name, group["name"], "psnr_y") for name in (row, other))
            if found is not None and better is not None and found < better - _SAME:
                yield network["name"], group["name"], better - found


def _head(document: Document) -> list[str]:
    photographs = ", ".join(str(given["pictures"]) for given in document["photographs"])
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    return [
        "# Quantized, with the clip and without",
        "",
        f"Calibrated with {photographs} photographs, the same crops of them in every row.",
        f"{versions}; {document['cpu']}.",
        "",
        *(f"- **{row['title']}**: {row['meaning']}." for row in document["rows"]),
        "",
    ]


def _clip(document: Document) -> list[str]:
    rows = []
    for network in document["networks"]:
        outputs, written = network["outputs"], network["values_written_per_pixel"]
        clip = network["clip"]
        share = written["clip"] / (written["network"] + written["clip"])
        rows.append(
            [
                network["name"],
                f"{clip['low']:g}..{clip['high']:g}" if clip else "none",
                _span(outputs["before"]),
                _span(outputs["after"]),
                "yes" if outputs["proved"] else "no",
                f"{share:.1%}",
            ]
        )
    titles = ["network", "clip", "FP32 outputs", "CFQP", "proved", "written by the clip"]
    return [
        "## The clip is removed",
        "",
        "What the float network gives on the photographs, and on the representative ones of CFQP: proved means that "
        "nothing leaves the pixel range and both its ends are touched. A clip of its own writes the enlarged picture "
        "once more: that much of all 8-bit values that the kernels write.",
        "",
        *_grid(titles, rows),
        "",
    ]


def _quality(document: Document) -> list[str]:
    lines = ["## Quality is kept", ""]
    titles = [row["title"] for row in document["rows"]]
    for group in document["sets"]:
        rows = [
            [
                network["name"],
                *(_number(_figure(network, row["name"], group["name"], "psnr_y"), 2) for row in document["rows"]),
            ]
            for network in document["networks"]
        ]
        lines += [f"PSNR of luma on {group['name']}, dB:", "", *_grid(["network", *titles], rows), ""]
    for network in document["networks"]:
        for row in document["rows"]:
            if "failed" in network["cells"][row["name"]]:
                lines += [f"{network['name']}, {row['title']}: {network['cells'][row['name']]['failed']}", ""]
    worse = [f"{name} on {group} ({lost:.2f} dB)" for name, group, lost in below(document, "int8_cfqp", "int8_clip")]
    if worse:
        lines += ["CFQP below INT8 with its clip: " + ", ".join(worse) + ".", ""]
    return [*lines, *_everything(document)]


def _everything(document: Document) -> list[str]:
    """Every figure of every cell."""
    figures = (
        ("psnr_rgb", "RGB", 2),
        ("psnr_y", "Y", 2),
        ("ssim", "SSIM", 4),
        ("fp32_rgb", "RGB to FP32", 2),
        ("fp32_y", "Y to FP32", 2),
    )
    titles = ["", *(f"{group['name']}: {title}" for group in document["sets"] for _, title, _ in figures)]
    lines = ["### All figures", ""]
    for network in document["networks"]:
        rows = [
            [
                row["title"],
                *(
                    _number(_figure(network, row["name"], group["name"], key), digits)
                    for group in document["sets"]
                    for key, _, digits in figures
                ),
            ]
            for row in document["rows"]
        ]
        lines += [f"**{network['name']}**", "", *_grid(titles, rows), ""]
    return lines


def _time(document: Document) -> list[str]:
    timed = [network for network in document["networks"] if "time" in network]
    if not timed:
        return []
    titles = sorted({title for network in timed for title in network["time"]["milliseconds"]})
    rows = [
        [network["name"], *(_number(network["time"]["milliseconds"].get(title), 1) for title in titles)]
        for network in timed
    ]
    return [
        "## Time is saved",
        "",
        "Milliseconds for 360x640, one thread, fastest of the rounds:",
        "",
        *_grid(["network", *titles], rows),
        "",
    ]


def _figure(network: Document, row: str, group: str, key: str) -> float | None:
    cell = network["cells"].get(row, {}).get(group)
    return None if cell is None else cell[key]


def _span(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3g}..{ends[1]:.3g}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (titles, ["---"] + ["---:"] * (len(titles) - 1), *rows)]
