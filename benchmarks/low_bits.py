"""What outliers of re-parameterized networks cost with weights of few bits, and what training does about it.

    python benchmarks/low_bits.py repvgg_x3.onnx repvgg_oabn_x3.onnx --calib photos/ --photos more/ --hr Set5/ Set14/ \\
        -o benchmarks/results/low_bits.json

Networks that the trainer made are quantized in three ways: uniform codes, codebooks, and codebooks that are learnt
(ClusterQAT); the integer reference's pictures are measured, which are a library's. Beside the JSON file comes a table
in Markdown. What is there already is kept in a folder, by what decided it: a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from result_cache import ResultCache, of_files, of_source, versions
from toolchain.frontend import SRModel, load_model, normalize
from toolchain.frontend.graph import attributes
from toolchain.images import read_calibration, read_images
from toolchain.images.degradation import find_degradation
from toolchain.images.pairs import degraded
from toolchain.quantize import IntegerReference, Settings, quantize
from toolchain.support.files import atomic_write
from toolchain.workflows.evaluate import Upscale, evaluate, float_upscale
from toolchain.workflows.finetune import train_quantized
from toolchain.zoo.embedded import PREFIX, resolve

CODE = (
    "toolchain/frontend",
    "toolchain/quantize",
    "toolchain/reference",
    "toolchain/images",
)
TRAINING = ("toolchain/training", "toolchain/workflows/finetune.py")
WAYS = (
    *(("uniform", bits) for bits in (8, 6, 4, 3, 2)),
    *(("codebook", bits) for bits in (6, 4, 3, 2)),
    *(("ClusterQAT", bits) for bits in (4, 3, 2)),
)
"""A codebook of more than 6 bits holds nearly all numbers: there is none."""


def outliers(sr: SRModel) -> dict[str, float]:
    """Return max |w| over median |w|: the median and the worst of the channels of the convolutions between the first
    and the last, and the worst of these two.
    """
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in sr.model.graph.initializer}
    ratios = []
    for node in sr.model.graph.node:
        if node.op_type == "Conv" and attributes(node).get("group", 1) == 1:
            channels = np.abs(constants[node.input[1]]).reshape(len(constants[node.input[1]]), -1)
            ratios.append(channels.max(1) / np.maximum(np.median(channels, axis=1), 1e-12))
    inner = np.concatenate(ratios[1:-1])
    ends = np.concatenate([ratios[0], ratios[-1]])
    return {"median": float(np.median(inner)), "worst": float(inner.max()), "ends": float(ends.max())}


def psnr(upscale: Upscale, sr: SRModel, sets: Sequence[Path]) -> dict[str, float]:
    """Return the mean PSNR of Y in dB on each set."""
    found = {}
    for folder in sets:
        pictures = degraded(read_images(folder), find_degradation(None, sr.scale), sr.scale)
        found[folder.name] = evaluate(upscale, pictures, channels=sr.channels, scale=sr.scale).mean.bundle.psnr_y
    return found


def measured(sr: SRModel, way: str, bits: int, given: argparse.Namespace) -> dict[str, Any]:
    """Quantize in one way and measure."""
    photographs = read_calibration(given.calib, sr.channels).images
    settings = Settings(weight_bits={"*": bits}, codebook=way != "uniform")
    model = quantize(sr, photographs, settings)
    said: dict[str, Any] = {}
    result = model.model
    if way == "ClusterQAT":
        from toolchain.training.finetune import Plan  # PyTorch

        images = read_calibration(given.photos, sr.channels).images
        learned = train_quantized(model, sr, images, Plan(given.steps, books=True))
        result, said = learned.model, {"before": learned.before, "after": learned.after, "cycles": learned.cycles}
    return {"psnr_y": psnr(IntegerReference(result).run, sr, given.hr), **said}


def table(document: Mapping[str, Any]) -> str:
    """Return the results in Markdown."""
    sets = list(document["pictures"])
    lines = ["| | outliers: median, worst | first and last | way | bits | " + " | ".join(sets) + " | lost |"]
    lines.append("|---" * (6 + len(sets)) + "|")
    for name, network in document["networks"].items():
        float_y = network["float"]
        ratios = network["outliers"]
        shown = [name, f"{ratios['median']:.1f}, {ratios['worst']:.0f}", f"{ratios['ends']:.0f}"]
        rows = [(["float", ""], float_y)]
        rows += [([row["way"], str(row["bits"])], row["psnr_y"]) for row in network["rows"]]
        for words, found in rows:
            lost = " / ".join(f"{float_y[one] - found[one]:.3f}" for one in sets) if words[1] else ""
            lines.append(f"| {' | '.join([*shown, *words, *(f'{found[one]:.3f}' for one in sets), lost])} |")
            shown = ["", "", ""]
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None, tell: Callable[[str], None] = print) -> None:
    """Measure, write the JSON file and the table beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--calib", type=Path, required=True, help="photographs to quantize with")
    parser.add_argument("--photos", type=Path, required=True, help="photographs to learn codebooks from")
    parser.add_argument("--hr", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=400, help="of learning a network's codebooks")
    parser.add_argument("--ways", nargs="+", help="of uniform4, codebook4, ClusterQAT4 and the like; default: all")
    parser.add_argument("--kept", type=Path, default=Path("out/low_bits"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args(words)
    ways = [way for way in WAYS if not given.ways or f"{way[0]}{way[1]}" in given.ways]
    kept = ResultCache(given.kept)
    about = {
        "code": of_source(*CODE),
        "versions": versions(),
        "calib": _files(given.calib),
        "sets": {group.name: _files(group) for group in given.hr},
    }
    learning = {"training": of_source(*TRAINING), "photos": _files(given.photos), "steps": given.steps}
    document: dict[str, Any] = {
        "pictures": {group.name: len(read_images(group).images) for group in given.hr},
        "steps": given.steps,
        "networks": {},
    }
    for model in given.models:
        path = resolve(model)
        sr = normalize(load_model(path))
        key = {**about, "model": of_files([path])}
        exact = cache(lambda sr=sr: psnr(float_upscale(sr.model, sr.value_range), sr, given.hr))
        rows: list[dict[str, Any]] = []
        document["networks"][Path(model.removeprefix(PREFIX)).stem] = {
            "outliers": outliers(sr),
            "float": kept.document({**key, "way": "float"}, exact),
            "rows": rows,
        }
        for way, bits in ways:
            more = learning if way == "ClusterQAT" else {}
            row = kept.document(
                {**key, "way": way, "bits": bits, **more},
                lambda sr=sr, w=way, b=bits: measured(sr, w, b, given),
            )
            rows.append({"way": way, "bits": bits, **row})
            figures = ", ".join(f"{group} {one:.3f} dB" for group, one in row["psnr_y"].items())
            tell(f"{path.stem}: {way}, {bits} bits: {figures}")
        with atomic_write(given.out) as file:
            file.write((json.dumps(document, indent=1) + "\n").encode())
        with atomic_write(given.out.with_suffix(".md")) as file:
            file.write(table(document).encode())


def _files(folder: Path) -> str:
    return of_files(sorted(path for path in folder.iterdir() if path.is_file()))


if __name__ == "__main__":
    main()
