"""What cannot become a package, said in a sentence; nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle.fakes import write
from tests.package.conftest import packed
from toolchain.bundle import Bundle
from toolchain.cli import main


def refused(capsys: pytest.CaptureFixture[str], out: Path, *words: object) -> str:
    before = out.exists()
    code = main(["package", *map(str, words), "-o", str(out)])
    said = capsys.readouterr().err
    assert code not in (0, 1), said
    assert said.startswith("clipfree: ")
    assert out.exists() == before
    return said


@pytest.mark.parametrize("kind", ["cmake", "python", "deb"])
def test_two_bundles(kind: str, colours: Bundle, grey: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, tmp_path / "o", colours.path, colours.path, "--as", kind)
    assert "holds one bundle, not 2; make one of each" in said
    said = refused(capsys, tmp_path / "o", colours.path, grey.path, "--as", kind)
    assert "are different networks; deploy one model for both targets" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--as", "rpm"), "there is no package of kind 'rpm'; choose one of cmake, "),
        (
            ("--as", "python", "--name", "my-net"),
            "letters and digits, and _ between them; choose another one with --name",
        ),
        (("--as", "python", "--name", "2x"), "no package can be called '2x'"),
        (("--as", "python", "--name", "class"), "that means something else in Python"),
        (("--as", "python", "--name", "numpy"), "that means something else in Python"),
        (("--as", "cmake", "--name", "x" * 60), "longer than 48 letters"),
        (("--as", "cmake", "--name", ""), "no package can be called ''"),
        (("--as", "deb", "--version", "1.0-rc1"), "cannot have the version '1.0-rc1'; numbers with dots between them"),
        (("--as", "deb", "--license", "free\nas in beer"), "is no license as SPDX writes them; such as --license MIT"),
        (("--as", "deb", "--maintainer", "me"), "'me' names nobody to write to; --maintainer"),
        (("--as", "deb", "--maintainer", "a\nB: c <d@e>"), "names nobody to write to"),
    ],
)
def test_words(
    words: tuple[str, ...], sentence: str, colours: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert sentence in refused(capsys, tmp_path / "o", colours.path, *words)


def test_bundles(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bare = write(tmp_path / "a.clipfree")
    said = refused(capsys, tmp_path / "o", bare, "--as", "cmake")
    assert "model.so has no C interface; deploy the model again where there is a C compiler" in said
    assert "there is no bundle" in refused(capsys, tmp_path / "o", tmp_path / "none", "--as", "cmake")


def test_outputs_are_not_replaced(colours: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    packed(colours, "cmake", tmp_path / "o")
    said = refused(capsys, tmp_path / "o", colours.path, "--as", "cmake")
    assert "exists and holds other things" in said
    (tmp_path / "file").touch()
    assert "it is a file, and a folder is to be made" in refused(capsys, tmp_path / "file", colours.path, "--as", "deb")
