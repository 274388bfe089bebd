"""Write docs/schemas/*.json: what files hold that clipfree reads and writes, and what it prints, as JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolchain.bundle import launch_plan, manifest
from toolchain.cli import results
from toolchain.frontend import nested_file
from toolchain.kernels.layout import SIDE
from toolchain.quantize import recipe
from toolchain.quantize.settings import Settings
from toolchain.schedules import records
from toolchain.support.schema import Schema, object_schema
from toolchain.targets import Target

FOLDER = Path(__file__).with_suffix("")


def schemas() -> dict[str, Schema]:
    """Return the schemas by the names of their files."""
    return {
        "target.json": _target(),
        "manifest.json": _document(
            manifest.Manifest,
            "manifest.json of a bundle",
            format={"const": manifest.FORMAT},
            format_version={"const": manifest.FORMAT_VERSION},
            checksum={"type": "string"},
        ),
        "plan.json": _document(
            launch_plan.LaunchPlan,
            "Launch plan of a bundle for an OpenCL device",
            format={"const": launch_plan.FORMAT},
            format_version={"const": launch_plan.VERSION},
            side={"const": SIDE},
        ),
        "tuning-log-line.json": _log(),
        "recipe.json": _recipe(),
        "nested.json": _document(
            nested_file.NestedHeader,
            "Header of model.nested",
            format={"const": nested_file.FORMAT},
            format_version={"const": nested_file.FORMAT_VERSION},
        ),
        "verify.json": _whole(_document(results.VerifyResult, "What verify --json prints")),
        "bench.json": _whole(_document(results.BenchResult, "What bench --json prints")),
        "evaluate.json": _whole(_document(results.EvaluateResult, "What evaluate --json prints")),
        "compare.json": _whole(_document(results.CompareResult, "What compare --json prints")),
    }


def _document(cls: type, title: str, **marks: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    return _marked(object_schema(cls, definitions), title, marks) | {"$defs": dict(sorted(definitions.items()))}


def _marked(found: dict[str, Any], title: str, marks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties, required = {**marks, **found["properties"]}, [*marks, *found["required"]]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return head | found | {"properties": properties, "required": required}


def _target() -> dict[str, Any]:
    found = _document(Target, "A target file, as TOML")
    del found["properties"]["name"]
    found["required"] = [name for name in found["required"] if name not in ("name", "requires")]
    return found


def _log() -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    marks = {"format": {"const": records.FORMAT}, "format_version": {"const": records.FORMAT_VERSION}}
    lines = [
        _marked(object_schema(records.LogHeader, definitions), "Header", {"kind": {"const": "header"}, **marks}),
        _marked(object_schema(records.Trial, definitions), "Trial", {"kind": {"const": "trial"}}),
        _marked(object_schema(records.Best, definitions), "Best", {"kind": {"const": "best"}}),
    ]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A line of a tuning log"}
    for line in lines:
        del line["$schema"]
    return head | {"oneOf": lines, "$defs": dict(sorted(definitions.items()))}


def _recipe() -> Schema:
    found = _whole(_document(recipe.Recipe, "recipe.json of a bundle"))
    settings = _whole(_document(Settings, "Settings of quantize; of a file that another tool quantized, none"))
    del settings["$schema"], settings["$defs"]
    found["properties"]["settings"] = {"anyOf": [settings, {"type": "object", "maxProperties": 0}]}
    return found


def _whole(schema: Any) -> Any:
    """Return the schema of what is written with all fields, with null where a number is not finite."""
    if isinstance(schema, list):
        return [_whole(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("anyOf") == [{"type": "number"}, {"enum": ["inf", "-inf"]}]:
        return {"type": ["number", "null"]} | {key: item for key, item in schema.items() if key != "anyOf"}
    found = {key: _whole(item) for key, item in schema.items()}
    return (
        found | {"required": [*found["properties"]]}
        if "additionalProperties" in found and "properties" in found
        else found
    )


def written(schema: dict[str, Any]) -> str:
    """Return a schema as text."""
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(written(schema), encoding="utf-8")
