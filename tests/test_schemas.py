"""The published schemas: of today, and true of the files that come with the package."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.answers import document
from tests.opencl.test_plan import PLAN
from toolchain.bundle import open_bundle
from toolchain.cli import main
from toolchain.cli.console import plain
from toolchain.cli.results import EvaluateResult
from toolchain.quantize import recipe
from toolchain.targets.target import tomllib
from toolchain.workflows.evaluate import Quality, QualityRow

jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).resolve().parents[1]


def check(name: str, table: Any) -> None:
    schema = json.loads((ROOT / "docs" / "schemas" / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(table)


def test_they_are_of_today() -> None:
    code = "import sys; sys.path.insert(0, 'docs'); import schemas, json; "
    code += "print(json.dumps({n: schemas.written(s) for n, s in schemas.schemas().items()}))"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "schemas").glob("*.json")}
    assert json.loads(made) == found, "run python docs/schemas.py"


@pytest.mark.parametrize("path", sorted((ROOT / "targets").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_targets(path: Path) -> None:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    check("target.json", table)
    with pytest.raises(jsonschema.ValidationError):
        check("target.json", {**table, "cores": 0})


@pytest.mark.parametrize("path", sorted((ROOT / "tuning_logs").glob("*/*.jsonl")), ids=lambda path: path.parent.name)
def test_shipped_logs(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in (lines[0], lines[1], lines[-1]):
        check("tuning-log-line.json", json.loads(line))
    with pytest.raises(jsonschema.ValidationError):
        check("tuning-log-line.json", {**json.loads(lines[0]), "kind": "best"})


def test_manifests_and_plans(stand_in_bundle: Path) -> None:
    table = json.loads((stand_in_bundle / "manifest.json").read_text(encoding="utf-8"))
    assert open_bundle(stand_in_bundle)
    check("manifest.json", table)
    with pytest.raises(jsonschema.ValidationError):
        check("manifest.json", {**table, "channels": 2})
    check("plan.json", json.loads(PLAN.to_json()))


def test_recipes(stand_in_bundle: Path) -> None:
    table = json.loads((stand_in_bundle / "recipe.json").read_text(encoding="utf-8"))
    check("recipe.json", table)
    spent = (recipe.WideRecipe("conv0", 5.0, 41.5),)
    made = recipe.Recipe(
        model="m",
        settings={},  # as of a file that another tool quantized
        tensors=(recipe.TensorRecipe("w", "weight", "int8", (0.5, 0.25), (0, 0), 0, "file", "file"),),
        representative=recipe.RepresentativeRecipe(3, 1, 0, 0.5, (-0.5, 1.5), (0.0, 1.0), proved=True),
        budget=recipe.BudgetRecipe(10.0, 5.0, 40.0, 41.5, spent),
        bound=recipe.BoundRecipe(0.01, 0.1, 0.02, 5.0, spent, ("conv1",)),
    )
    check("recipe.json", json.loads(made.to_json()))
    with pytest.raises(jsonschema.ValidationError):
        check("recipe.json", {**table, "settings": {**table["settings"], "crop": "large"}})


@pytest.mark.usefixtures("without_compiler")
def test_what_commands_print(stand_in_bundle: Path, model_file: Path, photo_folder: Path, capsys: Any) -> None:
    bundle = str(stand_in_bundle)
    for words in (
        ["verify", bundle],
        ["bench", bundle, "--size", "8x8", "--threads", "1", "--repeats", "3"],
        ["evaluate", bundle, "--hr", str(photo_folder)],
        ["evaluate", bundle, "--hr", str(photo_folder), "--compare", str(model_file)],
    ):
        assert main([*words, "--json"]) == 0
        table = document(capsys)
        assert table["command"] == words[0]
        check(f"{words[0]}.json", table)
        with pytest.raises(jsonschema.ValidationError):
            check(f"{words[0]}.json", {**table, "bundle": None})


def test_numbers_that_are_none_are_null() -> None:
    quality = Quality(math.inf, math.inf, math.nan)
    result = EvaluateResult("b", 2, 2, "pairs", None, (), QualityRow("mean", 0, 0, quality, quality), ())
    check("evaluate.json", plain(result))
