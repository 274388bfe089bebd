"""One table of a machine: several networks through all runtimes, with its best instructions and with fewer.

    python benchmarks/machine.py --calib DIR -o benchmarks/results/NAME [--networks zoo:abpn_x3 ...] [--rounds 10]

Each network at each target is a run of compare.py, whose JSON stays in the folder: a run that was killed goes on with
the next network, and one that is to be measured again is deleted. With --only, contestants that a JSON lacks are added
to it: their ratios are to clipfree in their own rounds. NAME/README.md is the table of all that is there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from made import made_here
from result import TIMED
from toolchain.support.files import atomic_write

NETWORKS = (
    "zoo:abpn_x3",
    "zoo:xlsr_x3",
    "srvgg:64x16x2",
    "zoo:sesr_m5_x2",
    "zoo:ecbsr_m4c16_x2",
    "zoo:quicksrnet_small_x2",
    "pointwise:48x8x2",
    "span:48x6x2",
    "rlfn:46x4x2",
    "rt4ksr:24x4x2",
    "bicubicpp:32x2x3",
    "upconv:16x7x2",
)
TARGETS = ("host", "x86-avx2")
_LARGE = "180x320"
"""The picture of networks that are made here, which are larger than those of the zoo."""

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What compare.py found, by target and network."""


def run(options: argparse.Namespace, target: str, network: str) -> bool:
    """Compare one network at one target, if that was not done before; returns whether it went well."""
    path = place(options.output, target, network)
    if path.exists() and not options.only:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    size = _LARGE if made_here(network) else "360x640"
    command = [sys.executable, str(Path(__file__).with_name("compare.py")), network, "--calib", str(options.calib)]
    command += ["--size", size, "--target", target, "--rounds", str(options.rounds), "--keep", str(options.keep)]
    for name, value in (("--onnx2tf", options.onnx2tf), ("--tflite", options.tflite)):
        command += [] if value is None else [name, str(value)]
    command += ["--threads", *map(str, options.threads), "--clip-only"]
    command += ["--only", *options.only] if options.only else []
    if not path.exists():
        return subprocess.run([*command, "-o", str(path)], check=False).returncode == 0
    with tempfile.TemporaryDirectory() as name:
        new = Path(name) / "added.json"
        if subprocess.run([*command, "-o", str(new)], check=False).returncode != 0:
            return False
        whole = added(json.loads(path.read_bytes()), json.loads(new.read_bytes()))
    with atomic_write(path) as file:
        file.write((json.dumps(whole, indent=1) + "\n").encode())
    return True


def added(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with those contestants of ``new`` that it did not time, each in its place."""
    timed = {figures["name"] for figures in old["figures"]}
    fresh = [one for one in new["standings"] if one["name"] not in timed]
    names = {one["name"] for one in fresh}
    return {
        **old,
        "standings": [*(one for one in old["standings"] if one["name"] not in names), *fresh],
        "figures": [*old["figures"], *(figures for figures in new["figures"] if figures["name"] in names)],
    }


def place(folder: Path, target: str, network: str) -> Path:
    """Where the figures of a network at a target lie."""
    return folder / target / f"{network.rpartition('zoo:')[2].replace(':', '_')}.json"


def read(folder: Path, targets: Sequence[str], networks: Sequence[str]) -> Results:
    """All figures that are there."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for target in targets:
        for network in networks:
            path = place(folder, target, network)
            if path.exists():
                found.setdefault(target, {})[network.removeprefix("zoo:")] = json.loads(path.read_bytes())
    return found


def document(results: Results) -> str:
    """The tables of a machine, in Markdown."""
    parts = [
        "Fastest milliseconds of the rounds, on each number of threads, and how many times as long as clipfree INT8 in "
        "the same round (median). Made by `python benchmarks/machine.py`; quartiles are in the JSON files."
    ]
    for target, networks in results.items():
        first = next(iter(networks.values()))
        parts.append(f"## {first['cpu']}, target {target}")
        parts.append(_table(("", *(_heading(name, data) for name, data in networks.items())), _times(networks)))
        parts += _left_out(networks)
        parts.append(
            "Until the first picture: seconds to make what is kept of a network (of clipfree: quantization and "
            "compilation) + seconds to load it, megabytes by which the process grows meanwhile:"
        )
        parts.append(_table(("", *networks), _efforts(networks)))
    return "\n\n".join(parts) + "\n"


def _heading(name: str, data: Mapping[str, Any]) -> str:
    threads = dict.fromkeys(str(figures["threads"]) for figures in data["figures"])
    height, width = data["size"]
    return f"{name}, {height}x{width}, {' / '.join(threads)} threads"


def _times(networks: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    for name in _names(networks.values()):
        row = [name]
        for data in networks.values():
            own = [figures for figures in data["figures"] if figures["name"] == name]
            first = name == data["reference"]
            row.append(" / ".join(f"{f['fastest']:.1f}" + ("" if first else f" ({_digits(f['ratio'])}x)") for f in own))
        yield row


def _efforts(networks: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    for name in _names(networks.values()):
        row = [name]
        for data in networks.values():
            efforts = [one["effort"] for one in data["standings"] if one["name"] == name and one["effort"]]
            row.append("".join(_effort(effort) for effort in efforts))
        yield row


def _effort(effort: Mapping[str, float | None]) -> str:
    made = "" if effort["made"] is None else f"{effort['made']:.0f} + "
    grown = "" if effort["grown"] is None else f", {effort['grown']:.0f} MB"
    return f"{made}{effort['loaded']:.1f} s{grown}"


def _left_out(networks: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Who was not timed, and why, once for all networks where that is the same."""
    reasons: dict[str, list[str]] = {}
    for name, data in networks.items():
        for one in data["standings"]:
            if one["status"] != TIMED:
                why = f"{one['name']}: {one['status']}" + (f" ({one['reason']})" if one["reason"] else "")
                reasons.setdefault(why, []).append(name)
    if reasons:
        lines = [why + ("" if len(of) == len(networks) else f" in {', '.join(of)}") for why, of in reasons.items()]
        yield "Not timed: " + "; ".join(lines) + "."


def _names(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Everybody who was timed, in the order of their running."""
    return iter(dict.fromkeys(figures["name"] for data in found for figures in data["figures"]))


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    """Parse, compare what was not compared yet, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calib", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="as compare.py takes them")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), help="of clipfree's; default: %(default)s")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--keep", type=Path, default=Path("out/compare"), help="see compare.py; default: %(default)s")
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="those with such a word in their name; added to JSON that is there"
    )
    parser.add_argument("--onnx2tf", metavar="COMMAND", help="see compare.py")
    parser.add_argument("--tflite", type=Path, help="see compare.py; for one network")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    done = [run(options, target, network) for network in options.networks for target in options.targets]
    everything = [*dict.fromkeys([*NETWORKS, *options.networks])]
    results = read(options.output, [*dict.fromkeys([*TARGETS, *options.targets])], everything)
    with atomic_write(options.output / "README.md") as file:
        file.write(document(results).encode())
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
