"""Frozen dataclasses as JSON or TOML and back, checked field by field: what is read may come from anywhere.

What a field may hold is its type: numbers, texts, `Literal`, tuples, mappings, other dataclasses, unions of these, and
with `Annotated` a rule for them, `Between` or `Matches`. `toolchain.support.schema` says the same as JSON Schema.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Between:
    """A rule for numbers: from ``low`` to ``high``, both included."""

    low: float
    high: float

    def allows(self, value: Any) -> bool:
        """Return whether a number lies between them."""
        return bool(self.low <= value <= self.high)

    def says(self, kind: Any) -> str:
        """Return what a value of ``kind`` must be."""
        number = "a whole number" if kind is int else "a number" if kind is float else "a whole number, or a fraction,"
        return f"{number} from {self.low} to {self.high}"


@dataclass(frozen=True)
class Matches:
    """A rule for texts: all of one matches the regular expression ``pattern``, which is ``what``."""

    pattern: str
    what: str

    def allows(self, value: Any) -> bool:
        """Return whether a text matches."""
        return re.fullmatch(self.pattern, value) is not None

    def says(self, _kind: type) -> str:
        """Return what a value must be."""
        return self.what


@dataclass(frozen=True)
class OneOf:
    """A rule for values that are computed: one of ``choices``. Where they are written down, `Literal` says it."""

    choices: tuple[Any, ...]

    def allows(self, value: Any) -> bool:
        """Return whether a value is among them."""
        return value in self.choices

    def says(self, _kind: type) -> str:
        """Return what a value must be."""
        return f"one of {', '.join(map(repr, self.choices))}"


MOST = 2**48 - 1
Count: TypeAlias = Annotated[int, Between(0, MOST)]
"""How many of something, or how many bytes."""

Finite: TypeAlias = Annotated[float, Between(-sys.float_info.max, sys.float_info.max)]
"""A float without infinities."""

Text: TypeAlias = Annotated[str, Matches(r"(?s:.+)", "a text")]
"""A text that is not empty."""


def parse_json(text: str | bytes) -> Any:
    """Read JSON of which every number is finite and every integer fits into 64 bits, as all that is written here does.

    Raises:
        ValueError: it is no JSON or holds something else; the message goes on where "it" would stand.
    """
    try:
        return json.loads(text, parse_int=_integer, parse_float=_real, parse_constant=_no_number)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("is not JSON") from error


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError(f"holds the number {digits[:24]}{'...' * (len(digits) > 24)}, which no integer here can hold")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _no_number(digits: str) -> NoReturn:
    raise ValueError(f"holds {digits[:24]}, which is no finite number")


def to_plain(value: Any) -> Any:
    """Return a dataclass as JSON values. Fields at their defaults are left out; infinities become texts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {field.name: to_plain(item) for field, item in fields if item != field.default}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Fraction) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as what JSON knows; numbers that are not finite become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def from_plain(cls: type[T], table: Any) -> T:
    """Inverse of `to_plain`.

    Raises:
        TypeError, ValueError: a field is unknown, is missing, or is not what the class says.
    """
    if not isinstance(table, Mapping):
        raise TypeError(f"{cls.__name__} must be a table, not {table!r:.80}")
    hints = typing.get_type_hints(cls, include_extras=True)
    unknown = sorted(set(table) - set(hints), key=str)
    if unknown:
        known = f", only {', '.join(sorted(hints))}" if len(hints) < _FEW else ""
        raise ValueError(f"{cls.__name__} has no field {unknown[0]!r:.80}{known}")
    missing = [name for name in needed_fields(cls) if name not in table]
    if missing:
        raise ValueError(f"{cls.__name__} lacks {missing[0]!r}")
    return cls(**{name: _value(hints[name], value, f"{cls.__name__}.{name}") for name, value in table.items()})


def needed_fields(cls: Any) -> tuple[str, ...]:
    """Return the fields of a dataclass that have no default."""
    return tuple(
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )


_FEW = 12


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in arguments if option is not type(None)]
        if value is None and len(options) < len(arguments):
            return None
        likely = (option for option in options[1:] if _has_fields(option, value) or option is _kind_of(value))
        return _value(next(likely, options[0]), value, where)
    if origin is Annotated:
        kind, *rules = arguments
        for rule in rules:
            try:
                found = _value(kind, value, where)
            except ValueError:
                found = None
            if found is None or not rule.allows(found):
                raise ValueError(f"{where} must be {rule.says(kind)}, not {value!r:.80}")
        return found
    if origin is typing.Literal:
        if not any(value == argument and type(value) is type(argument) for argument in arguments):
            raise ValueError(f"{where} must be one of {', '.join(map(repr, arguments))}, not {value!r:.80}")
        return value
    if origin is tuple and isinstance(value, list):
        if arguments and arguments[-1] is Ellipsis:
            return tuple(_value(arguments[0], item, where) for item in value)
        if len(arguments) == len(value):
            return tuple(_value(item_hint, item, where) for item_hint, item in zip(arguments, value, strict=True))
    if origin is Mapping and isinstance(value, Mapping):
        return {_value(arguments[0], key, where): _value(arguments[1], item, where) for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value)
    if hint is Fraction and isinstance(value, str) and re.fullmatch(_FRACTION, value):
        return Fraction(value)
    if hint is float and (value in ("inf", "-inf") or _is_finite(value)):
        return float(value)
    if hint is str and isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value):
        return value  # half a pair of UTF-16 can be neither printed nor the name of a file
    if hint in (int, bool) and type(value) is hint:
        return value
    raise ValueError(f"{where} cannot be {value!r:.80}")


_FRACTION = r"[1-9]\d{0,5}/[1-9]\d{0,5}"


def _kind_of(value: Any) -> type | None:
    return Fraction if isinstance(value, str) and re.fullmatch(_FRACTION, value) else None


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _has_fields(cls: Any, table: Any) -> bool:
    """Whether ``table`` has every field that the dataclass ``cls`` demands."""
    return isinstance(table, Mapping) and set(needed_fields(cls)) <= set(table)
