"""The same network and photograph through clipfree and the runtimes one would take instead, in turn in one run.

    python benchmarks/compare.py MODEL --calib DIR [--size 360x640] [--threads 1 2] [--rounds 20] -o result.json

Absolute times on a shared machine mean little; what counts is the ratio of runs that follow each other. Every round
runs each contestant once, so that all see the same drift; the ratios are medians over rounds, with their quartiles.
What is measured, and how each runtime is set up: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ceiling
from chart import draw
from contestants import CONTESTANTS, Contestant, UnsupportedError
from made import made_here, model_file
from networks import HURRY, Network, Pixels, picture, read_networks
from result import FAILED, IMPLAUSIBLE, NOT_INSTALLED, TIMED, UNSUPPORTED, ClipCost, Figures, Result, Standing, table
from result_cache import digest, of_source, versions
from timing import PAUSE, GoneError, Worker, measure, spread, summarize
from toolchain.images.bicubic import enlarge
from toolchain.support.cpu import Cpu, this_cpu
from toolchain.support.errors import ClipfreeError
from toolchain.support.files import atomic_write
from toolchain.targets import find_target

PLAUSIBLE, PLAUSIBLE_FOREIGN = 30.0, 25.0
"""dB to the float result that a contestant must reach to be timed; to a bicubic enlargement with other weights."""

_CEILING = "ceiling"
_MAKES_NETWORKS = ("toolchain/frontend", "benchmarks/networks.py", "benchmarks/contestants/ncnn_model.py")
"""Code that decides what contestants start from."""
_ISA = {"avx2": "AVX2", "sse4": "SSE41"}
"""oneDNN's names of instruction sets that a CPU with more of them may be held to."""
_SEEN = {
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx2": "AVX2",
    "i8mm": "i8mm",
    "asimddp": "dot products",
}
"""What Linux calls instructions, the best first, and what people do."""


@dataclass(frozen=True)
class Setting:
    """What is compared.

    Attributes:
        model: see `made.model_file`.
        calibration: a folder of photographs, or picture files.
        size: height and width of the input.
        threads: numbers of them.
        rounds: timed ones.
        target: of clipfree's.
        tflite: an INT8 TensorFlow Lite file of such a network, for LiteRT.
        onnx2tf: the command that makes one of the network.
        keep: a folder in which what is made of the network stays for the next run; None: it goes.
    """

    model: str
    calibration: Path | Sequence[Path]
    size: tuple[int, int] = (360, 640)
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 20
    target: str = "host"
    tflite: Path | None = None
    onnx2tf: str | None = None
    keep: Path | None = None


@dataclass(frozen=True)
class Race:
    """What all contestants are given: the network with its clip and without, a picture, the pictures to hold against.

    Attributes:
        networks: by whether they have the clip.
        pixels: u8 (h, w, C).
        expected: the float network's result, u8.
        enlarged: bicubic, u8.
        folder: for what the contestants print.
    """

    networks: dict[bool, Network]
    pixels: Pixels
    expected: Pixels
    enlarged: Pixels
    folder: Path


def compare(setting: Setting, contestants: Sequence[Contestant] = CONTESTANTS) -> Result:
    """All contestants at all numbers of threads.

    Raises:
        ClipfreeError: the model or the photographs cannot be used.
        GoneError: the first contestant, to which all are compared, could not be timed.
    """
    height, width = setting.size
    load = os.getloadavg()[0]
    standings: dict[str, Standing] = {}
    figures: list[Figures] = []
    costs: list[ClipCost] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = model_file(setting.model, folder)
        read = read_networks(model, setting.calibration, _place(setting, model, folder))
        hurry = HURRY if made_here(setting.model) else None
        given = {"tflite": setting.tflite, "onnx2tf": setting.onnx2tf, "target": setting.target, "settings": hurry}
        networks = {clip: replace(network, **given) for clip, network in read.items()}
        network = networks[True]
        pixels = picture(setting.calibration, network.channels, height, width)
        race = Race(networks, pixels, network.upscale(pixels), enlarge(pixels, network.scale), folder)
        for threads in setting.threads:
            with contextlib.ExitStack() as stack:
                workers = enter(contestants, race, threads, standings, stack)
                if contestants[0].name not in workers:
                    raise GoneError(standings[contestants[0].name].sentence())
                everybody = workers | start_ceiling(race, stack)
                series, gone = measure({title: worker.time for title, worker in everybody.items()}, setting.rounds)
            peaks += [ceiling.GMAC / (time / 1e3) for time in series.pop(_CEILING, [])]
            for title in gone.keys() & workers.keys():
                standings[title] = replace(standings[title], status=FAILED, reason=gone[title])
            if contestants[0].name in gone:
                raise GoneError(standings[contestants[0].name].sentence())
            figures += summarize(series, threads)
            costs += clip_costs(series, threads)
    cpu = this_cpu()
    return Result(
        model.name,
        (height, width),
        network.macs_per_pixel * height * width / 1e9,
        machine(cpu, setting.target),
        cpu.cores,
        (load, os.getloadavg()[0]),
        setting.rounds,
        PAUSE,
        contestants[0].name,
        tuple(standings.values()),
        tuple(figures),
        tuple(costs),
        max(peaks, default=None),
    )


def _place(setting: Setting, model: Path, folder: Path) -> Path:
    """Where what is made of the network lies: kept folders are named by what decides it."""
    if setting.keep is None:
        return folder
    given = setting.calibration
    photos = sorted(given.iterdir()) if isinstance(given, Path) else list(given)
    made = [str((path.name, path.stat().st_size)).encode() for path in photos]
    decides = digest(model.read_bytes(), *made, json.dumps(versions()).encode(), of_source(*_MAKES_NETWORKS).encode())
    return setting.keep / f"{model.stem}-{decides[:16]}"


def enter(
    contestants: Sequence[Contestant],
    race: Race,
    threads: int,
    standings: dict[str, Standing],
    stack: contextlib.ExitStack,
) -> dict[str, Worker]:
    """Start everybody, one after the other; returns those that can be timed, and writes down how each fared."""
    workers = {}
    for contestant in contestants:
        for clip in contestant.clips:
            title = contestant.title(clip)
            print(f"{title}, threads: {threads}", file=sys.stderr, flush=True)
            before = standings.get(title)
            standings[title], worker = admit(contestant, clip, race, threads)
            if before is not None and before.effort is not None:  # what was made then was there this time
                standings[title] = replace(standings[title], effort=before.effort)
            if worker is not None:
                stack.callback(worker.close)
                workers[title] = worker
    return workers


def admit(contestant: Contestant, clip: bool, race: Race, threads: int) -> tuple[Standing, Worker | None]:
    """Start one contestant; no worker if it is not installed, cannot take part, or its picture is too far off."""
    expected, against, least = (
        (race.enlarged, "a bicubic enlargement", PLAUSIBLE_FOREIGN)
        if contestant.foreign
        else (race.expected, "the float network's result", PLAUSIBLE)
    )
    title = contestant.title(clip)
    standing = Standing(
        title,
        contestant.package,
        contestant.version(),
        contestant.setting,
        NOT_INSTALLED,
        integer=contestant.integer and not contestant.foreign,
        against=against,
    )
    if standing.version is None:
        return standing, None
    if limits(race.networks[clip].target) and not contestant.held:
        return replace(standing, status=UNSUPPORTED, reason="it cannot be held to the target's instructions"), None
    log = race.folder / f"{title}, {threads}.log"
    try:
        worker = Worker(contestant.prepare, race.networks[clip], race.pixels, threads, expected, log)
    except UnsupportedError as error:
        return replace(standing, status=UNSUPPORTED, reason=str(error)), None
    except GoneError as error:
        return replace(standing, status=FAILED, reason=str(error)), None
    standing = replace(standing, status=TIMED, psnr=worker.psnr, note=worker.note, effort=worker.effort)
    if worker.psnr < least:
        worker.close()
        reason = f"{worker.psnr:.1f} dB to {against}, less than {least:.0f}"
        return replace(standing, status=IMPLAUSIBLE, reason=reason), None
    return standing, worker


def start_ceiling(race: Race, stack: contextlib.ExitStack) -> dict[str, Worker]:
    """The ceiling of one core as one more worker; nothing where this CPU has none that is known."""
    try:
        worker = Worker(ceiling.prepare, race.networks[True], race.pixels, 1, race.pixels, race.folder / "ceiling.log")
    except UnsupportedError:
        return {}
    stack.callback(worker.close)
    return {_CEILING: worker}


def clip_costs(series: dict[str, list[float]], threads: int) -> Iterator[ClipCost]:
    """What the clip costs those that ran with and without it."""
    for title, values in series.items():
        free = series.get(f"{title}, no clip")
        if free is not None:
            lower, middle, upper = spread(values, free)
            yield ClipCost(title, threads, middle, (lower, upper))


def limits(target: str) -> dict[str, str]:
    """What in the environment holds OpenVINO to the instructions of ``target``: kernels without VNNI meet their like.

    The other runtimes take no such word and use what the CPU has.
    """
    isa = _ISA.get(find_target(target).instruction_set)
    return {} if isa is None else {"ONEDNN_MAX_CPU_ISA": isa}


def machine(cpu: Cpu, target: str) -> str:
    """The processor, the widest instructions it has for networks, and what of them was used, if not all."""
    seen = next((name for feature, name in _SEEN.items() if feature in cpu.features), "neither AVX2 nor dot products")
    held = [f"OpenVINO held to {isa}" for isa in limits(target).values()]
    used = "" if target == "host" else "; " + ", ".join([f"clipfree for {target}", *held])
    return f"{cpu.name} with {seen}{used}"


def read_size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH."""
    height, _, width = text.partition("x")
    return int(height), int(width)


def wanted(contestant: Contestant, only: Sequence[str] | None) -> bool:
    """Whether one of the words stands in its name."""
    return only is None or any(word.lower() in contestant.name.lower() for word in only)


def chosen(only: Sequence[str] | None, *, clip_only: bool, file: bool) -> list[Contestant]:
    """clipfree INT8 and the wanted ones; without their runs without the clip if so asked, foreign ones if given."""
    others = (one for one in CONTESTANTS[1:] if file or not one.foreign)
    found = [CONTESTANTS[0], *(contestant for contestant in others if wanted(contestant, only))]
    return [replace(contestant, clips=(True,)) for contestant in found] if clip_only else found


def main() -> int:
    """Parse, run, print a table, write JSON and the chart beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an ONNX file, zoo:NAME, or a network that made.py makes")
    parser.add_argument("--calib", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--size", type=read_size, default=(360, 640), help="of the input, HEIGHTxWIDTH")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tflite", type=Path, help="an INT8 TensorFlow Lite file of such a network, for LiteRT")
    parser.add_argument("--onnx2tf", metavar="COMMAND", help="for LiteRT: of an environment that has it")
    parser.add_argument("--target", default="host", help="of clipfree's; OpenVINO is held to its instructions too")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="clipfree and those with such a word in their name")
    parser.add_argument("--clip-only", action="store_true", help="nobody runs without the final clip besides")
    parser.add_argument("--keep", type=Path, help="a folder for what is made of a network: later runs start sooner")
    parser.add_argument("-o", "--output", type=Path, help="JSON; an SVG chart is written beside it")
    options = parser.parse_args()
    if options.rounds < 1 or min(options.threads) < 1 or min(options.size) < 1:
        parser.error("rounds, threads and size are at least 1")
    try:
        os.environ.update(limits(options.target))
        setting = Setting(
            options.model,
            options.calib,
            options.size,
            tuple(options.threads),
            options.rounds,
            options.target,
            options.tflite,
            options.onnx2tf,
            options.keep,
        )
        result = compare(setting, chosen(options.only, clip_only=options.clip_only, file=options.tflite is not None))
    except (ClipfreeError, GoneError) as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    print(table(result))
    if options.output:
        with atomic_write(options.output) as file:
            file.write((json.dumps(result.to_json(), indent=1) + "\n").encode())
        draw(options.output.with_suffix(".svg"), result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
