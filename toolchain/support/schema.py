"""JSON Schemas of dataclasses that `toolchain.support.serialization` reads: the same rules, for other programs."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

from toolchain.support.serialization import Between, Matches, needed_fields

Schema = dict[str, Any]
_PLAIN = {int: "integer", str: "string", bool: "boolean"}
_INFINITE = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf"]}]}


def object_schema(cls: type, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a dataclass; those of dataclasses in its fields are added to ``definitions``."""
    hints = typing.get_type_hints(cls, include_extras=True)
    said = _attributes(cls.__doc__ or "")
    fields = {name: {**_schema(hint, definitions), **said.get(name, {})} for name, hint in hints.items()}
    return {"type": "object", "properties": fields, "required": [*needed_fields(cls)], "additionalProperties": False}


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        found = {"type": "number"} if arguments[0] is float else _schema(arguments[0], definitions)
        for rule in arguments[1:]:
            found = {**found, **_rule(rule)}
        return found
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(option, definitions) for option in arguments]}
    if origin is typing.Literal:
        return {"enum": [*arguments]}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _schema(arguments[0], definitions)}
        items = [_schema(item, definitions) for item in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = object_schema(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint is Fraction:
        return {"type": "string", "pattern": r"^\d+/\d+$"}
    if hint is Any:
        return {}
    if hint is type(None):
        return {"type": "null"}
    return dict(_INFINITE) if hint is float else {"type": _PLAIN[hint]}


def _rule(rule: Any) -> Schema:
    if isinstance(rule, Between):
        return {"minimum": rule.low, "maximum": rule.high}
    if isinstance(rule, Matches):
        return {"minLength": 1} if rule.pattern == r"(?s:.+)" else {"pattern": f"^(?:{rule.pattern})$"}
    return {"enum": [*rule.choices]}


def _attributes(text: str) -> dict[str, Schema]:
    """Return what a docstring says of each attribute."""
    # Python 3.13 takes the indentation away by itself, earlier ones do not.
    _, _, part = inspect.cleandoc(text).partition("Attributes:")
    entries = re.findall(r"^ {4}([\w, ]+): ((?:.*\n?)(?:^ {8}.*\n?)*)", part, re.MULTILINE)
    return {name: {"description": " ".join(said.split())} for names, said in entries for name in names.split(", ")}
