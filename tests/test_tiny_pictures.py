"""Pictures of which a network leaves nothing: every runner says so, and takes what is just large enough."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import boards
from tests.answers import answer, document
from tests.boards import Running
from tests.conftest import photograph
from tests.sr_models import esa, unpadded
from tests.test_attention import deployed
from toolchain.bundle import open_bundle
from toolchain.bundle.manifest import Manifest
from toolchain.cli import main
from toolchain.images import read_photo
from toolchain.quantize import IntegerReference
from toolchain.support.serialization import from_plain

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

AT_LEAST = "nothing is left within this network, which takes 15 x 15 at least; use a larger picture"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Path:
    return deployed(esa(), photo_folder, tmp_path_factory.mktemp("esa"))


def picture(folder: Path, height: int, width: int, kind: str = "png") -> Path:
    path = folder / f"{height}x{width}.{kind}"
    Image.fromarray(photograph(64, 64, 7)[:height, :width]).save(path)
    return path


def same_as_reference(bundle: Path, source: Path, result: Path) -> bool:
    reference = IntegerReference(open_bundle(bundle).model())
    return np.array_equal(read_photo(result).pixels, reference.run(read_photo(source).pixels))


def test_run(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    for height, width in ((5, 5), (14, 15), (15, 14)):
        assert main(["run", str(bundle), str(picture(tmp_path, height, width)), "-o", str(out)]) == 2
        said = f"{height}x{width}.png: of {width} x {height} pixels {AT_LEAST}\n"
        assert capsys.readouterr().err.endswith(said)
        assert not out.exists()
    given = picture(tmp_path, 15, 15)
    assert main(["run", str(bundle), str(given), "-o", str(out)]) == 0
    assert same_as_reference(bundle, given, out)


def test_inspect_and_the_manifest(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (bundle, bundle.with_suffix(".onnx")):
        assert main(["inspect", str(path)]) == 0
        assert "u8 (h, w, 3) to u8 (h*2, w*2, 3), h from 15 and w from 15 on\n" in capsys.readouterr().out
    table = answer(capsys, "inspect", bundle)["manifest"]
    assert table.pop("smallest") == [15, 15]
    written = json.loads((bundle / "manifest.json").read_text())
    older = {key: value for key, value in written.items() if key in table}
    assert from_plain(Manifest, older).smallest == (1, 1)


def test_bench_and_evaluate(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(bundle), "--size", "5x5"]) == 2
    assert AT_LEAST in capsys.readouterr().err
    answer(capsys, "bench", bundle, "--size", "15x15", "--repeats", "2")
    originals = tmp_path / "hr"
    for size, code in ((28, 2), (30, 0)):
        originals.mkdir()
        picture(originals, size, size)
        assert main(["evaluate", str(bundle), "--hr", str(originals)]) == code
        assert (AT_LEAST in capsys.readouterr().err) is (code == 2)
        shutil.rmtree(originals)


@pytest.mark.skipif(not boards.have_compiler, reason="needs a C++ compiler")
def test_a_board(bundle: Path, board: Running, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", str(bundle), "--rpc", str(board.address), "--threads", "1", "--repeats", "2", "--size"]
    assert main([*words, "14x15"]) == 2
    assert AT_LEAST in capsys.readouterr().err
    assert main([*words, "15x15", "--json"]) == 0
    assert document(capsys)


def test_the_program_without_tvm(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack, out = tmp_path / "pack", tmp_path / "out.ppm"
    assert main(["board", "pack", str(bundle), "-o", str(pack)]) == 0
    for height, width, code in ((5, 5, 2), (14, 15, 2), (15, 14, 2), (15, 15, 0)):
        given = picture(tmp_path, height, width, "ppm")
        done = subprocess.run([pack / "clipfree-bench", "--upscale", given, out], capture_output=True, text=True)
        assert (done.returncode, AT_LEAST in done.stderr) == (code, code == 2)
    assert np.array_equal(
        np.asarray(Image.open(out)), IntegerReference(open_bundle(bundle).model()).run(np.asarray(Image.open(given)))
    )


def test_tiles_and_units(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = deployed(unpadded(), photo_folder, tmp_path)
    assert answer(capsys, "inspect", bundle)["manifest"]["smallest"] == [3, 3]
    given, out = picture(tmp_path, 40, 51), tmp_path / "out.png"
    for tile in ("off", "1", "2", "25"):
        assert main(["run", str(bundle), str(given), "-o", str(out), "--tile", tile]) == 0
        assert same_as_reference(bundle, given, out)
    for height, width, code in ((2, 9, 2), (9, 2, 2), (3, 3, 0)):
        given = picture(tmp_path, height, width)
        assert main(["run", str(bundle), str(given), "-o", str(out), "--tile", "1"]) == code
    assert same_as_reference(bundle, given, out)
