"""Networks that are made here, with random weights: larger ones, and one of each family that people deploy.

    python benchmarks/made.py srvgg:64x16x2 -o srvgg.onnx

Their names say what they are: KIND:FEATURESxLAYERSxSCALE. Time does not depend on weights, so they need no training;
the last convolution's are so small that the result is an enlarged photograph with a little noise, and can be judged.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import onnx

import families
import more_families
from toolchain.support.errors import ClipfreeError, InputError
from toolchain.support.files import atomic_write
from toolchain.zoo import embedded

_NAME = re.compile(r"(?P<kind>[a-z0-9]+):(?P<features>\d+)x(?P<layers>\d+)x(?P<scale>\d+)")
KINDS: Mapping[str, Callable[[int, int, int], onnx.ModelProto]] = {
    "srvgg": families.srvgg,
    "pointwise": families.pointwise,
    "span": families.span,
    "rlfn": families.rlfn,
    "rt4ksr": families.rt4ksr,
    "bicubicpp": families.bicubicpp,
    "upconv": families.upconv,
    "esa": more_families.esa,
    "rcan": more_families.rcan,
    "cbam": more_families.cbam,
    "convnext": more_families.convnext,
    "unet": more_families.unet,
    "plainusr": more_families.plainusr,
    "srcnn": more_families.srcnn,
    "vdsr": more_families.vdsr,
    "esrgan": more_families.esrgan,
    "dncnn": more_families.dncnn,
}


def made_here(name: str) -> bool:
    """Whether ``name`` is that of a network that is made here."""
    found = _NAME.fullmatch(name)
    return found is not None and found["kind"] in KINDS


def make(name: str) -> onnx.ModelProto | None:
    """The network of that name; None if it is not a name of one that is made here."""
    found = _NAME.fullmatch(name)
    if found is None or not made_here(name):
        return None
    features, layers, scale = (int(found[part]) for part in ("features", "layers", "scale"))
    return KINDS[found["kind"]](features, layers, scale)


def model_file(name: str, folder: Path) -> Path:
    """The file of a network: ``zoo:NAME``, a name of one that is made here, written into ``folder``, or a path.

    Raises:
        InputError: there is none.
    """
    model = make(name)
    if model is None:
        return embedded.resolve(name)
    path = folder / f"{name.replace(':', '_')}.onnx"
    write(model, path)
    return path


def write(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, whole or not at all."""
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def main() -> int:
    """Parse, make, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help=f"KIND:FEATURESxLAYERSxSCALE, KIND one of {', '.join(KINDS)}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="an ONNX file")
    options = parser.parse_args()
    try:
        model = make(options.name)
        if model is None:
            raise InputError(f"no network is called {options.name}", hint="see --help")
        write(model, options.output)
    except ClipfreeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
