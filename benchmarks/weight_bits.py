"""What weights of fewer bits cost: PSNR of deployed networks, and the sizes of their files.

    python benchmarks/weight_bits.py zoo:abpn_x3 MODEL.onnx ... --calib DIR --hr Set5/ Set14/ -o result.json

Each network is deployed and evaluated as `clipfree deploy --budget 0` with `--weight-bits` and `--codebook` does it, or
as `--bits-nested` does it, each of the networks in its file, or as `--budget` does it under a bound of cost.
What is there already is kept in a folder, by what decided it: a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import clipfree
from result_cache import ResultCache, of_files, of_source, versions
from toolchain.images import read_images
from toolchain.support.files import atomic_write
from toolchain.zoo.embedded import PREFIX, resolve

CODE = (
    "toolchain/frontend",
    "toolchain/quantize",
    "toolchain/reference",
    "toolchain/images",
    "benchmarks/weight_bits.py",
)
WAYS = ("8", "6", "5", "4", "4n", "4c", "3", "3c", "2c")
"""Bits; c: they are places in a codebook, n: no outlier has more."""


def evaluated(made: clipfree.Network, model: str, sets: Sequence[Path]) -> dict[str, Any]:
    """PSNR of Y and RGB of a bundle in dB on each set, and of the float network."""
    quality = {}
    for group in sets:
        mean = made.evaluate(group, compare=model).mean
        compared = mean.compared.psnr_y if mean.compared else None
        quality[group.name] = {"psnr_y": mean.bundle.psnr_y, "psnr_rgb": mean.bundle.psnr_rgb, "float_y": compared}
    files = {file.name: file.stat().st_size for file in sorted(made.path.iterdir())}
    return {"quality": quality, "files": files, "weights": made.manifest.weights}


def nested(model: str, calib: Path, sets: Sequence[Path], bits: Sequence[int]) -> dict[str, Any]:
    """Deploy a network in one way of nesting, and each network of its file from the file's beginning."""
    with tempfile.TemporaryDirectory() as folder:
        made = clipfree.deploy(model, calib, out=Path(folder) / "nest.clipfree", bits_nested=bits, keep=False)
        data = (made.path / "model.nested").read_bytes()
        members = json.loads((made.path / "recipe.json").read_text())["nested"]
        rows = []
        for member in members:
            cut = Path(folder) / f"{member['bits']}.nested"
            cut.write_bytes(data[: member["size"]])
            one = clipfree.deploy(cut, calib, out=Path(folder) / f"{member['bits']}.clipfree", keep=False)
            rows.append({**member, **evaluated(one, model, sets), "kernels": len(one.manifest.kernels)})
        return {"members": rows}


def budgeted(model: str, calib: Path, sets: Sequence[Path], budget: str) -> dict[str, Any]:
    """Deploy one network whose bits are chosen under a bound of cost."""
    with tempfile.TemporaryDirectory() as folder:
        made = clipfree.deploy(model, calib, out=folder, budget=budget, keep=False)
        traded = json.loads((made.path / "recipe.json").read_text())["traded"]
        return {**evaluated(made, model, sets), "traded": traded}


def measured(
    model: str, calib: Path, sets: Sequence[Path], bits: int, *, codebook: bool, outliers: bool
) -> dict[str, Any]:
    """Deploy one network in one way; its PSNR of Y in dB on each set, the float network's, and bytes of its files."""
    with tempfile.TemporaryDirectory() as folder:
        few = {"weight_bits": bits, "codebook": codebook, "outliers": outliers}
        made = clipfree.deploy(model, calib, out=folder, **few, budget=0, keep=False)
        return evaluated(made, model, sets)


def table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the results as a table in Markdown: PSNR of Y lost against float, in dB, and kB of the QDQ file."""
    sets = list(next(iter(results.values()))[0]["quality"])
    head = [
        "network",
        "weights",
        *(f"{name}, dB" for name in sets),
        *(f"lost, {name}" for name in sets),
        "QDQ file, kB",
    ]
    lines = [" | ".join(head), "|".join("---" for _ in head)]
    for name, rows in results.items():
        for row in rows:
            way = f"{row['bits']} bits{', codebook' * row['codebook']}{', no outliers' * (not row['outliers'])}"
            if "budget" in row:
                way = row["budget"]
            if "nested" in row:
                way += f", of {','.join(map(str, row['nested']))} nested: first {row['size'] / 1e3:.1f} kB"
            shown = [f"{row['quality'][group]['psnr_y']:.3f}" for group in sets]
            lost = [f"{row['quality'][group]['float_y'] - row['quality'][group]['psnr_y']:.3f}" for group in sets]
            lines.append(" | ".join([name, way, *shown, *lost, f"{row['files']['model.qdq.onnx'] / 1e3:.1f}"]))
    return "".join(f"| {line} |\n" if "---" not in line else f"|{line}|\n" for line in lines)


def main(words: Sequence[str] | None = None, tell: Callable[[str], None] = print) -> None:
    """Measure, write the JSON file and say the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--calib", type=Path, required=True)
    parser.add_argument("--hr", type=Path, nargs="+", required=True)
    parser.add_argument("--ways", nargs="*", help="of 8, 4, 4c (codebook), 4n (no outliers) and the like", default=WAYS)
    parser.add_argument("--nested", nargs="*", help="such as 8,6,4 or 7,6,4; default: none", default=[])
    parser.add_argument("--budgets", nargs="*", help="such as bops=100%% or size=60%%; default: none", default=[])
    parser.add_argument("--kept", type=Path, default=Path("out/weight_bits"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args(words)
    ways = [(int(word.rstrip("cn")), word.endswith("c"), not word.endswith("n")) for word in given.ways]
    nests = [tuple(int(number) for number in word.split(",")) for word in given.nested]
    cache = ResultCache(given.kept)
    about = {
        "code": of_source(*CODE),
        "versions": versions(),
        "calib": of_files(sorted(p for p in given.calib.iterdir() if p.is_file())),
        "sets": {group.name: of_files(sorted(p for p in group.iterdir() if p.is_file())) for group in given.hr},
    }
    results: dict[str, list[dict[str, Any]]] = {}
    for model in given.models:
        name = Path(model.removeprefix(PREFIX)).stem
        for bits, codebook, outliers in ways:
            way = {"bits": bits, "codebook": codebook, "outliers": outliers}
            key = {**about, "model": of_files([resolve(model)]), **way}
            row = cache.document(key, lambda m=model, w=way: measured(m, given.calib, given.hr, **w))
            results.setdefault(name, []).append({**way, **row})
            figures = ", ".join(f"{group} {one['psnr_y']:.3f} dB" for group, one in row["quality"].items())
            tell(f"{name}: {bits} bits{', codebook' * codebook}{', no outliers' * (not outliers)}: {figures}")
        for nest in nests:
            key = {**about, "model": of_files([resolve(model)]), "nested": nest}
            row = cache.document(key, lambda m=model, n=nest: nested(m, given.calib, given.hr, n))
            for member in row["members"]:
                results.setdefault(name, []).append({"codebook": False, "outliers": False, "nested": nest, **member})
                figures = ", ".join(f"{group} {one['psnr_y']:.3f} dB" for group, one in member["quality"].items())
                tell(f"{name}: {member['bits']} of {nest} bits: {figures}")
        for budget in given.budgets:
            key = {**about, "model": of_files([resolve(model)]), "budget": budget}
            row = cache.document(key, lambda m=model, b=budget: budgeted(m, given.calib, given.hr, b))
            of = {"bits": None, "codebook": False, "outliers": False, "budget": budget}
            results.setdefault(name, []).append({**of, **row})
            figures = ", ".join(f"{group} {one['psnr_y']:.3f} dB" for group, one in row["quality"].items())
            tell(f"{name}: {budget}: {figures}")
        document = {"networks": results, "pictures": {g.name: len(read_images(g).images) for g in given.hr}}
        with atomic_write(given.out) as file:
            file.write((json.dumps(document, indent=1) + "\n").encode())
    tell(table(results))


if __name__ == "__main__":
    main()
