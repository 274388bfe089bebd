import json
from pathlib import Path

from bundles import compare, main


def bundle(folder: Path, library: bytes = b"code", version: str = "1") -> None:
    place = folder / "x86-avx2" / "net.clipfree"
    (place / "opencl").mkdir(parents=True)
    (place / "model.so").write_bytes(library)
    (place / "opencl" / "plan.json").write_text("{}")
    (place / "manifest.json").write_text(json.dumps({"versions": version, "scale": 2}))


def test_versions_may_differ_and_nothing_else(tmp_path: Path) -> None:
    bundle(tmp_path / "old")
    bundle(tmp_path / "new", version="2")
    (row,) = compare(tmp_path / "old", tmp_path / "new", ["net"], ["x86-avx2"])
    assert (row.files, row.different) == (3, ())


def test_files_that_differ_or_are_missing_are_named(tmp_path: Path) -> None:
    bundle(tmp_path / "old")
    bundle(tmp_path / "new", library=b"other")
    (tmp_path / "new" / "x86-avx2" / "net.clipfree" / "opencl" / "plan.json").unlink()
    (row,) = compare(tmp_path / "old", tmp_path / "new", ["net"], ["x86-avx2"])
    assert row.different == ("model.so", "opencl/plan.json")


def test_a_difference_is_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "out"
    bundle(out / "old")
    bundle(out / "new", library=b"other")
    arguments = [".", ".", "-o", str(out), "--network", "net", "--target", "x86-avx2"]
    assert main(arguments) == 1
    (out / "new" / "x86-avx2" / "net.clipfree" / "model.so").write_bytes(b"code")
    assert main(arguments) == 0
