"""What quantization costs, as a table: float and INT8 networks with the clip and without, quantized in several ways.

    python benchmarks/quality.py [zoo | zoo:NAME | MODEL.onnx ...] --calib DIR --hr Set5/ Set14/ -o result.json

Without models, all embedded networks. Every network and every cell is kept on disk by what decided it: a run that was
killed goes on where it was, and only what changed is computed again. What the rows are: benchmarks/table.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from quality_table import markdown
from result_cache import ResultCache, digest, of_files, of_source, versions
from subject import Case, Photographs, Subject
from table import OURS, ROWS, Network, Row
from toolchain.images import ImageSet, read_images
from toolchain.images.metrics import psnr, shaved
from toolchain.reference.network import describe_network
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import ClipfreeError, InputError
from toolchain.support.files import atomic_write
from toolchain.workflows.evaluate import compare
from toolchain.zoo.demo_photos import photographs_for
from toolchain.zoo.embedded import PREFIX, list_models, resolve

MAKING = (
    "toolchain/frontend",
    "toolchain/quantize",
    "toolchain/images",
    "benchmarks/variants.py",
    "benchmarks/subject.py",
    "benchmarks/networks.py",
)
SHOWING = (
    "toolchain/reference/arithmetic.py",
    "toolchain/reference/convolution.py",
    "toolchain/reference/program.py",
    "toolchain/reference/quantization.py",
    "toolchain/reference/steps.py",
    "toolchain/reference/interpreter.py",
    "toolchain/workflows/evaluate.py",
    "toolchain/images/metrics.py",
    "toolchain/runtime/photo.py",
    "toolchain/images",
    "benchmarks/variants.py",
    "benchmarks/runtimes.py",
    "benchmarks/subject.py",
    "benchmarks/quality.py",
)
"""The files that decide what a network becomes, and how a given one is measured."""

FIGURES = ("psnr_rgb", "psnr_y", "ssim", "fp32_rgb", "fp32_y")
"""Of a cell: PSNR over RGB and luma and SSIM of luma against the originals; PSNR against FP32 with its clip."""

SIZE, ROUNDS = (360, 640), 10
"""Of what is timed."""


@dataclass(frozen=True)
class Set:
    """High-resolution pictures to measure on; ``name`` is that of their folder."""

    name: str
    pictures: ImageSet

    @property
    def sha256(self) -> str:
        """Of the pixels."""
        return digest(*(image.tobytes() for image in self.pictures.images))


class Table:
    """Computes cells that are not on disk yet, and tells of each."""

    def __init__(
        self, cells: ResultCache, sets: Sequence[Set], rows: Sequence[Row], tell: Callable[[str], None]
    ) -> None:
        self.cells, self.sets, self.rows, self.tell = cells, sets, rows, tell
        self.versions = versions()
        self.making, self.showing = of_source(*MAKING), of_source(*SHOWING)
        self.digests = {group.name: group.sha256 for group in sets}

    def network(self, subject: Subject) -> dict[str, Any]:
        """Everything about one network: its facts, and a cell for each row and set, or why there is none."""
        cells: dict[str, Any] = {}
        cases: dict[str, list[Case]] = {}
        for row in self.rows:
            self.tell(f"{subject.name}: {row.title}")
            try:
                model = self.made(subject, row.network)
                cells[row.name] = {group.name: self.cell(subject, row, model, group, cases) for group in self.sets}
            except Exception as error:  # another tool may fail as it likes; the other rows go on
                if row.portable:
                    raise
                cells[row.name] = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        return {**self.facts(subject), "cells": cells}

    def made(self, subject: Subject, network: Network) -> bytes:
        """The network as ONNX."""
        key = {"network": network.make.__name__, "settings": network.settings, **self.basis(subject)}
        make = network.make
        return self.cells.data(key, lambda: make(subject, network.settings).SerializeToString(deterministic=True))

    def cell(
        self, subject: Subject, row: Row, model: bytes, group: Set, cases: dict[str, list[Case]]
    ) -> dict[str, Any]:
        """Mean figures of one row on one set."""

        def measure() -> dict[str, Any]:
            if group.name not in cases:
                cases[group.name] = subject.cases(group.pictures)
            return measured(row, onnx.load_from_string(model), subject, cases[group.name])

        real = digest(subject.sr.model.SerializeToString(deterministic=True))
        key = {
            "shown": row.show.__name__,
            "model": digest(model),
            "float": real,
            "set": self.digests[group.name],
            "code": self.showing,
            "versions": self.versions,
        }
        return self.cells.document(key, measure)

    def facts(self, subject: Subject) -> dict[str, Any]:
        """What is known of a network without measuring its pictures."""

        def proof() -> dict[str, Any]:
            made = subject.representative
            coverage = made.coverage
            before = [image.before for image in made.images if image.kind in ("natural", "contracted")]
            return {
                "before": [min(low for low, _ in before), max(high for _, high in before)],
                "after": [coverage.low, coverage.high],
                "proved": coverage.proved,
            }

        sr = subject.sr
        integer = onnx.load_from_string(self.made(subject, OURS))
        written, clip = values_written(integer), sr.channels * sr.scale**2
        return {
            "name": subject.name,
            "sha256": subject.sha256,
            "scale": sr.scale,
            "channels": sr.channels,
            "value_range": sr.value_range,
            "clip": asdict(sr.clip) if sr.clip else None,
            "macs_per_pixel": describe_network(sr.model).macs_per_pixel,
            "outputs": self.cells.document({"proof": 1, **self.basis(subject)}, proof),
            "values_written_per_pixel": {"network": written, "clip": clip},
        }

    def basis(self, subject: Subject) -> dict[str, Any]:
        """What decides everything that is made of a subject."""
        return {
            "model": subject.sha256,
            "range": subject.sr.value_range,
            "photographs": subject.photographs.sha256,
            "code": self.making,
            "versions": self.versions,
        }


def measured(row: Row, model: onnx.ModelProto, subject: Subject, cases: Sequence[Case]) -> dict[str, Any]:
    """Means over the pictures: against the originals, and against FP32 with its clip; None where nothing differs."""
    show, found = row.show(model, subject), []
    for case in cases:
        picture, border = show(case.low), subject.sr.scale
        own = compare(picture, case.high, border)
        same = [psnr(shaved(a, border), shaved(b, border)) for a, b in zip(picture, case.fp32, strict=True)]
        found.append((own.psnr_rgb, own.psnr_y, own.ssim, *same))
    means = dict(zip(FIGURES, np.mean(found, axis=0).tolist(), strict=True))
    return {name: value if np.isfinite(value) else None for name, value in means.items()}


def values_written(quantized: onnx.ModelProto) -> float:
    """8-bit values that the kernels of a QDQ network write per input pixel, the enlarged picture included."""
    side = 96
    fixed = onnx.ModelProto()
    fixed.CopyFrom(quantized)
    for dim in fixed.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.Clear()
        dim.dim_value = side
    fixed.graph.output[0].type.tensor_type.ClearField("shape")
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(fixed).graph.value_info
    }
    codes = [node.output[0] for node in quantized.graph.node if node.op_type == "QuantizeLinear"][1:]
    return sum(float(np.prod(shapes[name])) for name in codes) / side**2


def timings(model: Path, calib: Path | Sequence[Path]) -> dict[str, Any]:
    """Milliseconds of clipfree and onnxruntime, with the clip and without, in turn on one thread (compare.py).

    Raises:
        ClipfreeError: clipfree could not be timed.
    """
    from compare import Setting  # loads what it times
    from compare import compare as race
    from contestants import CONTESTANTS
    from timing import GoneError

    setting = Setting(str(model), calib, SIZE, (1,), ROUNDS)
    try:
        result = race(setting, [one for one in CONTESTANTS if one.name.startswith(("clipfree", "onnxruntime"))])
    except GoneError as error:
        raise ClipfreeError(str(error)) from error
    return {
        "milliseconds": {figures.name: figures.fastest for figures in result.figures},
        "clip_costs": {cost.name: [cost.ratio, *cost.ratio_quartiles] for cost in result.clip_costs},
        "load": result.load,
        "not_timed": [standing.sentence() for standing in result.not_timed],
    }


def read_models(words: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Each model as the user named it and its file; ``zoo`` stands for all embedded networks."""
    for word in words or ["zoo"]:
        if word == PREFIX.rstrip(":"):
            yield from ((f"{PREFIX}{model.name}", model.path) for model in list_models())
        else:
            yield word, resolve(word)


def run(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """The whole table as a document.

    Raises:
        ClipfreeError: a model, a set or the photographs cannot be used.
    """
    models = list(read_models(options.models))
    unknown = set(options.rows or ()) - {row.name for row in ROWS}
    if unknown:
        raise InputError(f"there is no row '{min(unknown)}'", hint=f"there are {', '.join(row.name for row in ROWS)}")
    rows = [row for row in ROWS if options.rows is None or row.name in options.rows]
    sets = [Set(folder.resolve().name, read_images(folder)) for folder in options.hr]
    cells = ResultCache(options.cache)
    table = Table(cells, sets, rows, lambda text: None)
    photographs: dict[str, Photographs] = {}
    networks = []
    for number, (word, path) in enumerate(models):
        table.tell = lambda text, number=number: tell(f"[{number + 1}/{len(models)}] {text}")
        source = photographs_for(word, options.calib)
        given = photographs.setdefault(str(source), Photographs(source))
        networks.append(table.network(Subject(path, given, options.range)))
        if options.time:
            tell(f"{path.stem}: time")
            key = {
                "time": [*SIZE, ROUNDS],
                "cpu": this_cpu().name,
                "model": of_files([path]),
                "code": of_source("toolchain"),
                "versions": table.versions,
            }
            networks[-1]["time"] = cells.document(key, lambda path=path, source=source: timings(path, source))
    tell(f"{cells.made} results computed, {cells.kept} were there")
    return {
        "versions": table.versions,
        "cpu": this_cpu().name,
        "photographs": [{"pictures": len(one.read(3).images), "sha256": one.sha256} for one in photographs.values()],
        "sets": [{"name": one.name, "pictures": list(one.pictures.names), "sha256": one.sha256} for one in sets],
        "rows": [{"name": row.name, "title": row.title, "meaning": row.meaning} for row in rows],
        "networks": networks,
    }


def main() -> int:
    """Parse, compute what is missing, print the table, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="zoo (all embedded networks, the default), zoo:NAME, or .onnx files")
    parser.add_argument("--calib", type=Path, help="a folder of photographs; default, for zoo:NAME: scikit-image's")
    parser.add_argument("--hr", type=Path, nargs="+", required=True, help="folders of high-resolution pictures")
    parser.add_argument("--range", help='what the models\' numbers mean, "0..1" or "0..255", where it cannot be told')
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"some of {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--cache", type=Path, default=Path("out/quality"), help="where results are kept")
    parser.add_argument("--time", action="store_true", help="time clipfree and onnxruntime too; for an idle machine")
    parser.add_argument("-o", "--output", type=Path, help="JSON; the table as Markdown is written beside it")
    options = parser.parse_args()
    try:
        document = run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except ClipfreeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    text = markdown(document)
    print(text)
    if options.output:
        for path, content in (
            (options.output, json.dumps(document, indent=1) + "\n"),
            (options.output.with_suffix(".md"), text),
        ):
            with atomic_write(path) as file:
                file.write(content.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
