"""``clipfree bench``: how long a bundle takes on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain.cli.console import Console, Json
from toolchain.cli.run import Bundle
from toolchain.errors import InputError


def bench(
    bundle: Bundle,
    size: Annotated[str, typer.Option("--size", help="HEIGHTxWIDTH of the input.")] = "360x640",
    threads: Annotated[
        list[int] | None, typer.Option("--threads", min=1, help="May be given several times; default: 1 and all.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Calls timed at most.")] = 30,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Calls before.")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="No further repeat after so long.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Time a bundle: median, 90th percentile, fastest, and the work done per second."""
    import numpy as np

    from toolchain.bundle import open_bundle
    from toolchain.cpu import this_cpu
    from toolchain.runtime.measure import measure, peak_memory
    from toolchain.verify import compare

    console = Console(as_json=as_json)
    height, width = parse_size(size)
    opened = open_bundle(bundle)
    manifest = opened.manifest
    cpu = this_cpu()
    picture, expected = opened.golden()
    # A wrong result needs no timing.
    compare("golden picture", opened.load().upscale(picture), expected)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, manifest.channels), dtype=np.uint8)
    work = manifest.macs_per_pixel * height * width
    console.say(f"{bundle}: {width} x {height} to {width * manifest.scale} x {height * manifest.scale} on {cpu.name}")
    console.say(f"{'threads':>8}{'median':>12}{'p90':>12}{'fastest':>12}{'spread':>9}{'repeats':>9}{'rate':>14}")
    rows = []
    for count in sorted(set(threads or [1, cpu.cores])):
        call = opened.load(threads=count).bind(pixels)
        timing = measure(call, warm_up=warm_up, repeats=repeats, seconds=seconds)
        figures = "".join(f"{1e3 * value:9.2f} ms" for value in (timing.median, timing.p90, timing.minimum))
        rate = timing.rate(work) / 1e9
        console.say(f"{count:8}{figures}{timing.spread:8.0%} {timing.repeats:8}{rate:7.1f} GMAC/s")
        if timing.spread > 0.2:
            console.note("warning: timings vary by more than 20 %, other programs were running")
        rows.append({"threads": count, "median_s": timing.median, "p90_s": timing.p90, "minimum_s": timing.minimum,
                     "spread": timing.spread, "repeats": timing.repeats, "warm_up": timing.warm_up,
                     "gmac_per_s": rate, "frames_per_s": 1 / timing.median})  # fmt: skip
    megabytes = peak_memory() / 1e6
    console.say(f"{work / 1e9:.2f} GMAC a picture; peak memory of the whole process {megabytes:.0f} MB, TVM included")
    console.result(command="bench", bundle=bundle, height=height, width=width, cpu=cpu.name, cores=cpu.cores,
                   gmac=work / 1e9, peak_memory_mb=megabytes, rows=rows)  # fmt: skip


def parse_size(size: str, option: str = "--size") -> tuple[int, int]:
    """Height and width of "360x640", the value of ``option``.

    Raises:
        InputError: it is not two positive numbers.
    """
    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"{option} {size} is not understood", hint="give HEIGHTxWIDTH, such as 360x640")
    return int(parts[0]), int(parts[1])
