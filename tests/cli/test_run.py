"""`clipfree run` on many pictures, and through pipes."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.answers import document
from tests.conftest import photograph
from toolchain.cli import main
from toolchain.images import read_photo

# The integer reference stands in for the library.
QUICK = """
import sys
import toolchain.runtime.runner
from tests.standin import ReferenceRunner
from toolchain.cli import main

toolchain.runtime.runner.Runner = ReferenceRunner
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def bundle(stand_in_bundle: Path, tmp_path: Path, without_compiler: None) -> Path:
    return Path(shutil.copytree(stand_in_bundle, tmp_path / "tiny.clipfree"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them damaged and one in a folder of its own."""
    (tmp_path / "in" / "more").mkdir(parents=True)
    Image.fromarray(photograph(12, 10, 1)).save(tmp_path / "in" / "a.png")
    Image.fromarray(photograph(50, 40, 2)).save(tmp_path / "in" / "b.png")
    Image.fromarray(photograph(9, 11, 3)).save(tmp_path / "in" / "more" / "c.jpg")
    damaged = tmp_path / "in" / "b.png"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    return tmp_path / "in"


def results(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def test_a_damaged_picture_does_not_end_a_batch(bundle: Path, folder: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert main(["run", str(bundle), "-r", str(folder), "-o", str(out)]) == 2
    captured = capsys.readouterr()
    assert results(out) == ["a_x2.png", "more/c_x2.png"]
    assert captured.out.splitlines() == [str(out / "a_x2.png"), str(out / "more" / "c_x2.png")]
    lines = captured.err.splitlines()
    assert lines[0].startswith("[1/3] a.png: 10 x 12 to 20 x 24 in ")
    assert f"left out: {folder / 'b.png'} is damaged or cut short" in lines[1]
    assert lines[-1] == f"2 of 3 pictures done; 1 could not be: {folder / 'b.png'}"


def test_one_document_of_all_pictures(bundle: Path, folder: Path, tmp_path: Path, capsys):
    words = ["run", str(bundle), "-r", str(folder), "-o", str(tmp_path / "out"), "--format", "jpg", "--json"]
    assert main(words) == 2
    pictures = document(capsys)["pictures"]
    assert [Path(entry["output"]).name for entry in pictures] == ["a_x2.jpg", "b_x2.jpg", "c_x2.jpg"]
    assert pictures[1]["error"]["message"].endswith("b.png is damaged or cut short")
    assert (pictures[0]["width"], pictures[0]["bits"], pictures[0]["frames"]) == (20, 8, 1)
    assert main([*words, "--skip-existing"]) == 2
    pictures = document(capsys)["pictures"]
    assert [entry["skipped"] for entry in pictures] == [True, False, True]


def test_through_pipes(bundle: Path):
    pixels = photograph(9, 7, 4)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    for options, kind in (([], "PNG"), (["--format", "tiff"], "TIFF")):
        done = subprocess.run(
            [sys.executable, "-c", QUICK, "run", str(bundle), "-", *options],
            input=file.getvalue(),
            capture_output=True,
            check=True,
        )
        with Image.open(io.BytesIO(done.stdout)) as image:
            assert (image.format, image.size) == (kind, (14, 18))
    broken = subprocess.run([sys.executable, "-c", QUICK, "run", str(bundle), "-"], input=b"no", capture_output=True)
    assert broken.returncode == 2
    assert broken.stdout == b""
    assert b"standard input is not a picture that can be read" in broken.stderr


def test_16_bits_in_are_16_bits_out(bundle: Path, tmp_path: Path, capsys):
    ramp = np.tile(np.linspace(1000, 60000, 40).astype(np.uint16), (12, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert main(["run", str(bundle), str(tmp_path / "a.png")]) == 0
    assert read_photo(tmp_path / "a_x2.png").remainder is not None
    assert main(["run", str(bundle), str(tmp_path / "a.png"), "--format", "jpg"]) == 0
    assert "its 16 bits a sample become 8, .jpg holds no more" in capsys.readouterr().err


def test_quality(bundle: Path, tmp_path: Path):
    Image.fromarray(photograph(40, 40, 4)).save(tmp_path / "a.png")
    sizes = []
    for quality in ("30", "95"):
        out = tmp_path / f"{quality}.jpg"
        assert main(["run", str(bundle), str(tmp_path / "a.png"), "-o", str(out), "--quality", quality]) == 0
        sizes.append(out.stat().st_size)
    assert sizes[0] < sizes[1]
