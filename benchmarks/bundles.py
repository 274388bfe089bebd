"""Show that a change of the code changes no bundle: make the same ones with two checkouts, and compare every file.

    python benchmarks/bundles.py OLD_CHECKOUT NEW_CHECKOUT -o out/bundles

Each network is quantized once, for the first target, and deployed for the others from the QDQ file that came out; with
a float ``--precision`` nothing is quantized. Files are compared byte by byte, but for the versions that a manifest
names and its checksum. Exits with 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NETWORKS = ("xlsr_x3", "abpn_x3", "ecbsr_m4c16_x2")
TARGETS = ("x86-avx512vnni", "x86-avx2", "x86-sse4", "cortex-a76", "cortex-a7", "mali-g78")
INT8 = "int8"
MANIFEST, QDQ = "manifest.json", "model.qdq.onnx"


@dataclass(frozen=True)
class Row:
    """One bundle made twice.

    Attributes:
        network: its name in the zoo.
        target: what it was made for.
        files: how many there are in either bundle.
        different: those that differ, or are in one bundle only.
    """

    network: str
    target: str
    files: int
    different: tuple[str, ...]


def make(checkout: Path, out: Path, networks: Sequence[str], targets: Sequence[str], precision: str = INT8) -> None:
    """Deploy every network for every target with the code of ``checkout``; what is there already stays.

    Raises:
        subprocess.CalledProcessError: a deployment fails.
    """
    for network in networks:
        source = f"zoo:{network}"
        for target in targets:
            bundle = out / target / f"{network}.clipfree"
            if not (bundle / MANIFEST).is_file():
                command = [sys.executable, "-m", "toolchain.cli", "deploy", source]
                environment = {**os.environ, "PYTHONPATH": str(checkout)}
                subprocess.run(
                    [*command, "--target", target, "--precision", precision, "-o", str(bundle)],
                    check=True,
                    cwd=checkout,
                    stdout=subprocess.DEVNULL,
                    env=environment,
                )
            if precision == INT8:
                source = str(out / targets[0] / f"{network}.clipfree" / QDQ)


def compare(old: Path, new: Path, networks: Sequence[str], targets: Sequence[str]) -> list[Row]:
    """Compare the bundles in two folders that `make` has filled."""
    rows = []
    for network in networks:
        for target in targets:
            one, other = (folder / target / f"{network}.clipfree" for folder in (old, new))
            names = sorted(
                {
                    path.relative_to(bundle).as_posix()
                    for bundle in (one, other)
                    for path in bundle.rglob("*")
                    if path.is_file()
                }
            )
            different = tuple(name for name in names if _content(one / name) != _content(other / name))
            rows.append(Row(network, target, len(names), different))
    return rows


def _content(path: Path) -> bytes | None:
    """The bytes of a file, where it is a manifest without the versions and the checksum over them; None where there is
    no such file.
    """
    if not path.is_file():
        return None
    if path.name != MANIFEST:
        return path.read_bytes()
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for name in ("versions", "checksum"):
        manifest.pop(name, None)
    return json.dumps(manifest, sort_keys=True).encode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, compare, print a table; 1 where a file differs."""
    parser = argparse.ArgumentParser(description="Compare the bundles that two checkouts make.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/bundles"))
    parser.add_argument("--network", action="append", help="of the zoo; several times for several")
    parser.add_argument("--target", action="append", help="several times for several")
    parser.add_argument("--precision", default=INT8, help="as of `clipfree deploy`; a folder of bundles has one")
    chosen = parser.parse_args(arguments)
    networks, targets = chosen.network or NETWORKS, chosen.target or TARGETS
    folders = [chosen.out.resolve() / name for name in ("old", "new")]
    for checkout, folder in zip((chosen.old, chosen.new), folders, strict=True):
        make(checkout.resolve(), folder, networks, targets, chosen.precision)
    rows = compare(*folders, networks, targets)
    for row in rows:
        said = "equal" if not row.different else f"different: {', '.join(row.different)}"
        print(f"{row.network:16} {row.target:16} {row.files:3} files, {said}")
    return 1 if any(row.different for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
