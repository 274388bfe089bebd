"""The published schemas: of today, and true of the files that come with the package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.opencl.test_plan import PLAN
from toolchain.bundle import open_bundle
from toolchain.targets.target import tomllib

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
