"""Hook of MkDocs: a page that shows a JSON Schema says first, in tables, which fields there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
FOLDER = "source/docs/schemas/"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the tables between the page's title and the schema itself."""
    uri = page.file.src_uri
    if not uri.startswith(FOLDER):
        return markdown
    schema = json.loads((SCHEMAS / uri.removeprefix(FOLDER).removesuffix(".md")).read_text(encoding="utf-8"))
    parts = [f"{schema['title']}.", *_fields(schema)]
    for name, definition in schema.get("$defs", {}).items():
        parts += [f"## {name}", definition.get("description", ""), *_fields(definition)]
    title, _, rest = markdown.partition("\n\n")
    return "\n\n".join([title, *filter(None, parts), "## As JSON Schema", rest])


def _fields(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(field)} | {'' if name in required else 'may be left out; '}{_cell(field)} |"
        for name, field in schema.get("properties", {}).items()
    ]
    return ["\n".join(["| field | is | what |", "|---|---|---|", *rows])] if rows else []


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(_type(one) for one in field[several])
    if "const" in field or "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"array of {_type(field['items'])}" if isinstance(field.get("items"), dict) else "array"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"object of {_type(field['additionalProperties'])}"
    kinds = field.get("type", "anything")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _cell(field: dict[str, Any]) -> str:
    return str(field.get("description", "")).replace("``", "`").replace("|", "\\|").replace("\n", " ")
