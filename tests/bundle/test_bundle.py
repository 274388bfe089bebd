"""A bundle is checked before any of its code is loaded, and what is wrong is said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bundle.fakes import CPU, TARGET, manifest, write
from toolchain.backends.open import load
from toolchain.bundle import GOLDEN, LIBRARY, new_bundle, open_bundle
from toolchain.bundle.manifest import FORMAT_VERSION, _checksum, _dump, parse_manifest
from toolchain.support.errors import BundleError, OutputError
from toolchain.support.versions import Versions


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path / "tiny.clipfree")


def edit(bundle: Path, **changes: object) -> None:
    """Change manifest.json as someone would who knows how its checksum is made."""
    path = bundle / "manifest.json"
    table = {**json.loads(path.read_text()), **changes}
    table.pop("checksum")
    path.write_bytes(_dump({**table, "checksum": _checksum(table)}))


def test_what_was_written_is_what_opens(bundle: Path):
    opened = open_bundle(bundle, cpu=CPU)
    assert dataclasses.replace(opened.manifest, files={}) == manifest()
    assert set(opened.manifest.files) == {LIBRARY, GOLDEN}
    picture, expected = opened.golden()
    assert np.array_equal(expected, picture.repeat(2, 0).repeat(2, 1))
    assert (
        opened.size()
        == sum(path.stat().st_size for path in bundle.iterdir()) - (bundle / "manifest.json").stat().st_size
    )


def test_written_twice_gives_the_same_bytes(bundle: Path, tmp_path: Path):
    again = write(tmp_path / "again.clipfree")
    assert (again / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()


def test_nothing_there(tmp_path: Path):
    with pytest.raises(BundleError, match="there is no bundle"):
        open_bundle(tmp_path / "absent")


def test_not_a_bundle(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="a bundle is a folder"):
        open_bundle(tmp_path / "file")
    with pytest.raises(BundleError, match=r"it has no manifest\.json"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("text", ['{"name": "an npm package"}', "[1, 2]", '"text"'])
def test_foreign_manifest(bundle: Path, text: str):
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="is of another program"):
        open_bundle(bundle, cpu=CPU)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_manifest_that_is_not_json(bundle: Path, content: bytes):
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json is not JSON"):
        open_bundle(bundle, cpu=CPU)


@pytest.mark.parametrize(
    ("version", "sentence"), [(FORMAT_VERSION + 1, "newer.*update clipfree"), (0, "older.*deploy the model again")]
)
def test_other_format_versions(bundle: Path, version: int, sentence: str):
    edit(bundle, format_version=version)
    with pytest.raises(BundleError, match=sentence):
        open_bundle(bundle, cpu=CPU)


def test_changed_manifest(bundle: Path):
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"scale": 2', '"scale": 3'))
    with pytest.raises(BundleError, match=r"manifest\.json was changed"):
        open_bundle(bundle, cpu=CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": "2"},
        {"scale": 0},
        {"channels": 4},
        {"target": {}},
        {"library": "other.so"},
        {"tensors": 3},
        {"halo": True},
        {"files": {}},
        {"coverage": None},
        {"value_range": [0]},
    ],
)
def test_garbled_manifest(bundle: Path, changes: dict[str, object]):
    edit(bundle, **changes)
    with pytest.raises(BundleError, match=r"manifest\.json lacks or garbles"):
        open_bundle(bundle, cpu=CPU)


@pytest.mark.parametrize("name", ["../evil.so", "/etc/passwd", "a/../../b", "a\\b", "", "./model.so", "C:evil"])
def test_files_outside_of_the_bundle(bundle: Path, name: str):
    edit(bundle, files={name: {"size": 1, "sha256": "0"}})
    with pytest.raises(BundleError, match="names a file outside of itself"):
        open_bundle(bundle, cpu=CPU)


def test_truncated_library(bundle: Path):
    path = bundle / LIBRARY
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"model\.so is truncated \((\d+) of \d+ bytes\)"):
        open_bundle(bundle, cpu=CPU)


def test_longer_library(bundle: Path):
    path = bundle / LIBRARY
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BundleError, match=r"model\.so is longer than it was"):
        open_bundle(bundle, cpu=CPU)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 300), flip=st.integers(1, 255))
def test_any_flipped_byte_is_seen(bundle: Path, position: int, flip: int):
    path = bundle / LIBRARY
    good = path.read_bytes()
    data = bytearray(good)
    data[position] ^= flip
    path.write_bytes(data)
    try:
        with pytest.raises(BundleError, match=r"model\.so was changed"):
            open_bundle(bundle, cpu=CPU)
    finally:
        path.write_bytes(good)


def test_missing_and_extra_files(bundle: Path):
    extra = bundle / "notes.txt"
    extra.write_text("mine")
    with pytest.raises(BundleError, match=r"holds notes\.txt, which its manifest does not name"):
        open_bundle(bundle, cpu=CPU)
    extra.unlink()
    (bundle / GOLDEN).unlink()
    with pytest.raises(BundleError, match=r"golden\.npz is missing"):
        open_bundle(bundle, cpu=CPU)


def test_links_are_refused(bundle: Path, tmp_path: Path):
    path = bundle / LIBRARY
    path.rename(tmp_path / "elsewhere.so")
    path.symlink_to(tmp_path / "elsewhere.so")
    with pytest.raises(BundleError, match=r"model\.so, which is no plain file"):
        open_bundle(bundle, cpu=CPU)


def test_a_lesser_cpu_is_told_what_it_lacks(bundle: Path):
    lesser = dataclasses.replace(CPU, features=frozenset({"avx2"}))
    with pytest.raises(BundleError, match="of this machine lacks fma; deploy the model again with --target host"):
        open_bundle(bundle, cpu=lesser)
    open_bundle(bundle, for_this_machine=False)  # looking at it is allowed
    with pytest.raises(BundleError, match="for x86_64, this machine is aarch64"):
        open_bundle(bundle, cpu=dataclasses.replace(CPU, machine="aarch64"))


def test_load_checks_the_machine_even_if_opening_did_not(tmp_path: Path):
    target = dataclasses.replace(TARGET, requires=("a_feature_of_the_future",))
    opened = open_bundle(write(tmp_path / "a.clipfree", target=target), for_this_machine=False)
    with pytest.raises(BundleError, match="lacks a_feature_of_the_future"):
        load(opened)


@pytest.mark.parametrize("package", ["tvm", "tvm_ffi"])
def test_another_tvm(tmp_path: Path, package: str):
    versions = dataclasses.replace(Versions.installed(), **{package: "0.1.0"})
    path = write(tmp_path / "a.clipfree", versions=versions)
    with pytest.raises(BundleError, match=r"was made with apache-tvm(-ffi)? 0\.1\.0, this machine has"):
        open_bundle(path, cpu=CPU)


def test_golden_that_does_not_fit(tmp_path: Path):
    with pytest.raises(BundleError, match="does not fit the network"):
        open_bundle(write(tmp_path / "a.clipfree", scale=3), cpu=CPU).golden()


def test_only_a_bundle_is_replaced(tmp_path: Path):
    precious = tmp_path / "photos.clipfree"
    precious.mkdir()
    (precious / "photo.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists and is not a bundle"):
        write(precious)
    assert (precious / "photo.png").read_bytes() == b"precious"
    write(write(tmp_path / "a.clipfree"), scale=4)
    assert open_bundle(tmp_path / "a.clipfree", cpu=CPU).manifest.scale == 4


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("broken")])
def test_a_failed_deployment_leaves_the_old_bundle_and_nothing_else(bundle: Path, error: BaseException):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}

    def fail() -> None:
        with new_bundle(bundle) as folder:
            (folder / LIBRARY).write_bytes(b"half")
            raise error

    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        fail()
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_manifest_names_the_bundle_in_messages():
    with pytest.raises(BundleError, match=r"^out/x\.clipfree is damaged"):
        parse_manifest(b"{", "out/x.clipfree")
