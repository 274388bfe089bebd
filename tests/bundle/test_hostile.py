"""Bundles whose checksums are right, and whose content is anybody's: only sentences come out."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from tests import elves
from tests.boards import bad_library
from tests.bundle.fakes import manifest
from toolchain.bundle import GOLDEN, LIBRARY, QDQ, REPORT, Bundle, seal
from toolchain.bundle.manifest import FileRecord, parse_manifest
from toolchain.cli import main
from toolchain.support.errors import BundleError

VALUES: list[Any] = [
    None,
    -1,
    0,
    1.5,
    2**63,
    10**30,
    10**400,
    float("nan"),
    float("inf"),
    "x",
    "",
    [],
    {},
    [1],
    True,
    "\ud800",
    [[]],
    {"a": 1},
    [None, None],
    "inf",
    "a" * 100_000,
]
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
    assert not any(
        type(value) is not type(original)
        for value in accepted
        if isinstance(original, str | list | int) and value is not ABSENT
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('"a": NaN', "holds NaN, which is no finite number"),
        ('"a": -Infinity', "holds -Infinity, which is no finite number"),
        ('"a": 1e999', "holds 1e999, which is no finite number"),
        ('"a": 18446744073709551616', "holds the number 18446744073709551616, which no integer here can hold"),
        ('"a": ' + "9" * 5000, r"holds the number 9{24}\.\.\., which no integer"),
        ('"a": ' + "[" * 100_000 + "]" * 100_000, "is not JSON"),
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
        (("scale",), 65, "Manifest.scale must be a whole number, or a fraction, from 1 to 64, not 65"),
        (("scale",), 0, "Manifest.scale must be a whole number, or a fraction, from 1 to 64, not 0"),
        (("channels",), 2, "Manifest.channels must be one of 1, 3, not 2"),
        (("value_range",), [1.0, 0.0], "pixels cannot lie between 1.0 and 0.0"),
        (("precision",), "int4", "Manifest.precision must be one of 'int8', 'float32', 'float16', not 'int4'"),
        (("library",), "other.so", "it holds no 'other.so'"),
        (("target", "triple"), "riscv64-linux-gnu", "'riscv64-linux-gnu' is not known"),
        (("target", "cores"), 0, "Target.cores must be a whole number from 1 to 1024, not 0"),
        (("target", "speed"), 1, "Target has no field 'speed'"),
        (("tensors", 0, "bits"), 4, "QuantizedTensor.bits must be one of 8, 16, not 4"),
        (("tensors", 0, "scale"), 0.0, "QuantizedTensor.scale must be a number from"),
        (("files", "model.so", "size"), -1, "FileRecord.size must be a whole number from 0"),
        (("macs_per_pixel",), "inf", "Manifest.macs_per_pixel must be a number from"),
    ],
)
def test_what_cannot_be_true(place: tuple[Any, ...], value: Any, sentence: str):
    with pytest.raises(BundleError, match=rf"lacks or garbles a part: {sentence}"):
        parse_manifest(sealed(with_value(place, value)), "x")


@pytest.fixture
def copied(real_bundle: Bundle, tmp_path: Path) -> Bundle:
    return dataclasses.replace(real_bundle, path=Path(shutil.copytree(real_bundle.path, tmp_path / "net.clipfree")))


def resealed(bundle: Bundle, **changes: Any) -> None:
    """With the checksums that its files have now."""
    (bundle.path / "manifest.json").unlink()
    seal(bundle.path, dataclasses.replace(bundle.manifest, **changes))


def foreign(_library: bytes, folder: Path) -> bytes:
    """Of another program: its code would run as soon as it is loaded."""
    path = bad_library(folder / "foreign.so", "_exit(55);")
    return path.read_bytes().replace(b"__tvm_ffi__library_bin", b"__tvm_ffi__library_bun")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda library, _: library[:-1], "is cut off or damaged: its headers speak of what is not there"),
        (lambda library, _: library[: len(library) // 2], "is cut off or damaged"),
        (lambda library, _: library[:60], "is cut off or damaged"),
        (lambda library, _: b"", r"is not a shared library \(ELF\)"),
        (lambda library, _: b"#!/bin/sh\nexit 55\n", r"is not a shared library \(ELF\)"),
        (lambda library, _: elves.library("aarch64-linux-gnu"), "is a library for aarch64, 64 bits, not for x86_64"),
        (foreign, "holds no network of clipfree"),
    ],
)
@pytest.mark.parametrize("command", ["run", "verify", "bench"])
def test_a_library_is_looked_at_before_it_is_loaded(
    change: Callable[[bytes, Path], bytes],
    sentence: str,
    command: str,
    copied: Bundle,
    capsys: pytest.CaptureFixture[str],
):
    library, photo = copied.path / LIBRARY, copied.path.parent / "photo.png"
    library.write_bytes(change(library.read_bytes(), copied.path.parent))
    resealed(copied)
    Image.new("RGB", (8, 8)).save(photo)
    more = {"run": [str(photo), "-o", str(photo.with_name("out.png"))], "verify": [], "bench": ["--size", "8x8"]}
    assert main([command, str(copied.path), *more[command]]) == 6
    said = capsys.readouterr().err.strip().splitlines()
    with pytest.raises(BundleError, match=sentence):
        raise BundleError(said[-1])


ELSEWHERE = onnx.TensorProto(
    data_location=onnx.TensorProto.EXTERNAL,
    external_data=[onnx.StringStringEntryProto(key="location", value="../../secret")],
)


def zipped(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return data.getvalue()


def npy(array: Any, claim: str = "") -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    written = data.getvalue()
    shape = str(np.asarray(array).shape)
    return written.replace(shape.encode(), claim.encode()).replace(b" " * len(claim), b"", 1) if claim else written


GOOD = npy(np.zeros((4, 5, 3), np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        GOOD,
        zipped(),
        zipped(input=GOOD),
        zipped(input=GOOD, output=GOOD),
        zipped(input=b"", output=b""),
        zipped(input=npy(np.uint8(3)), output=GOOD),
        zipped(input=npy(np.array([{"a": 1}], object)), output=GOOD),
        zipped(input=npy(np.zeros((4, 5, 3))), output=npy(np.zeros((8, 10, 3)))),
        zipped(input=npy(np.zeros((0, 5, 3), np.uint8)), output=npy(np.zeros((0, 10, 3), np.uint8))),
        zipped(input=npy(np.zeros((4, 5, 3), np.uint8), "(4000000000, 500000, 3)"), output=GOOD),
        zipped(input=bytes(300 * 2**20), output=GOOD),
        zipped(input=GOOD, output=npy(np.zeros((8, 10, 3), np.uint8)))[:-40],
    ],
)
def test_a_golden_picture_that_is_none(content: bytes, copied: Bundle):
    (copied.path / GOLDEN).write_bytes(content)
    with pytest.raises(BundleError, match=r"holds no readable golden\.npz|golden\.npz does not fit the network"):
        copied.golden()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"launches": 3}',
        b'{"tuning": 1}',
        b'{"launches": [{}]}',
        b'{"launches": [], "tuning": []}',
        b'{"launches": NaN}',
    ],
)
def test_a_report_that_is_none(content: bytes, copied: Bundle):
    (copied.path / REPORT).write_bytes(content)
    with pytest.raises(BundleError, match=r"holds no readable report\.json"):
        copied.launches()


@pytest.mark.parametrize("content", [b"[]", b'{"tuning": {"tiles": 1}}', b'{"tuning": {"tiles": {"conv": 2}}}'])
def test_tiles_that_are_none(content: bytes, copied: Bundle):
    (copied.path / REPORT).write_bytes(content)
    with pytest.raises(BundleError, match=r"holds no readable report\.json"):
        copied.tiles()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda model: model.graph.ClearField("node"), "parts of the graph are missing"),
        (lambda model: model.graph.ClearField("initializer"), "reads a tensor that nothing makes"),
        (lambda model: model.graph.input.append(onnx.ValueInfoProto(name="more")), "is not a valid ONNX model"),
        (lambda model: model.graph.output.append(model.graph.output[0]), "of one input and one output|not a valid"),
        (lambda model: setattr(model.graph.node[0], "op_type", "Nonsense"), "operator Nonsense"),
        (lambda model: model.graph.initializer[0].MergeFrom(ELSEWHERE), "points outside the model's folder"),
    ],
)
def test_a_network_that_is_none(change: Callable[[onnx.ModelProto], object], sentence: str, copied: Bundle):
    path = copied.path / QDQ
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=sentence):
        copied.model()


@pytest.mark.parametrize(("field", "value"), [("scale", 3), ("channels", 1)])
def test_a_library_that_is_not_what_its_manifest_says(
    field: str, value: int, copied: Bundle, capsys: pytest.CaptureFixture[str]
):
    resealed(copied, **{field: value})
    photo = copied.path.parent / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    assert main(["run", str(copied.path), str(photo), "-o", str(photo.with_name("out.png"))]) == 6
    assert "not what its bundle says" in capsys.readouterr().err
    assert main(["verify", str(copied.path)]) == 6
