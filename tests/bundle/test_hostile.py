"""A manifest whose checksum is right, and whose content is anybody's: only sentences come out."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundle.fakes import manifest
from toolchain.bundle.manifest import FileRecord, parse_manifest
from toolchain.errors import BundleError

VALUES: list[Any] = [None, -1, 0, 1.5, 2**63, 10**30, 10**400, float("nan"), float("inf"), "x", "", [], {}, [1], True,
                     "\ud800", [[]], {"a": 1}, [None, None], "inf", "a" * 100_000]  # fmt: skip
ABSENT = object()


def table() -> dict[str, Any]:
    whole = manifest(files={"model.so": FileRecord(1, "0"), "golden.npz": FileRecord(1, "0")})
    found: dict[str, Any] = json.loads(whole.to_json())
    del found["checksum"]
    return found


def sealed(content: dict[str, Any]) -> bytes:
    data = (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
    return json.dumps({**content, "checksum": hashlib.sha256(data).hexdigest()}).encode()


def places(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in content.items() if isinstance(content, dict) else enumerate(content[:1]):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


def with_value(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(table())
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if value is ABSENT:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


@pytest.mark.parametrize("place", list(places(table())), ids=lambda place: ".".join(map(str, place)))
def test_any_field_may_hold_anything(place: tuple[Any, ...]):
    accepted, said = [], []
    for value in (*VALUES, ABSENT):
        try:
            read = parse_manifest(sealed(with_value(place, value)), "x.clipfree")
        except BundleError as error:
            said.append(str(error))
        else:
            accepted.append(value)
            read.to_json()
            assert read.arithmetic
    sentences = ("x.clipfree is ", "x.clipfree has format", "the bundle names a file outside of itself")
    assert all(line.startswith(sentences) and len(line) < 400 for line in said)
    original = table()
    for key in place:
        original = original[key]
    assert not any(isinstance(value, float) and not value < 2 for value in accepted)
    assert not any(type(value) is int and (value < 0 or value > 2**48) for value in accepted if type(original) is int)
    assert not any(type(value) is not type(original) for value in accepted
                   if isinstance(original, str | list | int) and value is not ABSENT)    # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('"a": NaN', "holds NaN, which is no finite number"),
        ('"a": -Infinity', "holds -Infinity, which is no finite number"),
        ('"a": 1e999', "holds 1e999, which is no finite number"),
        ('"a": 18446744073709551616', "holds the number 18446744073709551616, which no integer here can hold"),
        ('"a": ' + "9" * 5000, r"holds the number 9{24}\.\.\., which no integer"),
        ('"a": ' + "[" * 5000 + "]" * 5000, "is not JSON"),
        ('"a": "\udcff"', "is not JSON"),
        ('"format_version": "2"', "tells no format"),
        ('"format_version": 2.0', "tells no format"),
        ('"format_version": true', "tells no format"),
    ],
)
def test_what_json_may_hold_and_a_manifest_not(text: str, sentence: str):
    data = f'{{"format": "clipfree-bundle", {text}}}'.encode(errors="surrogateescape")
    with pytest.raises(BundleError, match=f"^x is damaged: its manifest.json {sentence}"):
        parse_manifest(data, "x")


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (("scale",), 65, "a picture is not enlarged 65 times"),
        (("scale",), 0, "a picture is not enlarged 0 times"),
        (("channels",), 2, "pixels cannot have 2 channels"),
        (("value_range",), [1.0, 0.0], "pixels cannot lie between 1.0 and 0.0"),
        (("precision",), "int4", "there is no precision 'int4'"),
        (("library",), "other.so", "it holds no 'other.so'"),
        (("target", "triple"), "riscv64-linux-gnu", "'riscv64-linux-gnu' is not known"),
        (("target", "cores"), 0, "a target has cores and caches"),
        (("target", "speed"), 1, "Target has no field 'speed'"),
        (("tensors", 0, "bits"), 4, "a tensor has 8 or 16 bits and a scale above 0"),
        (("tensors", 0, "scale"), 0.0, "a tensor has 8 or 16 bits and a scale above 0"),
        (("files", "model.so", "size"), -1, "a count is negative or too large"),
        (("macs_per_pixel",), "inf", "a number is not finite"),
    ],
)
def test_what_cannot_be_true(place: tuple[Any, ...], value: Any, sentence: str):
    with pytest.raises(BundleError, match=rf"lacks or garbles a part: {sentence}"):
        parse_manifest(sealed(with_value(place, value)), "x")
