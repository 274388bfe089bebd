"""The real line, compiler included, through the command line: one small network deployed once, used by every test."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.answers import answer
from tests.conftest import photograph
from toolchain.backends.open import load
from toolchain.bundle import LIBRARY, open_bundle
from toolchain.cli import main
from toolchain.images import read_photo

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path) -> Path:
    out = tmp_path_factory.mktemp("real")
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(out), "--no-report"]) == 0
    return out / "tiny.clipfree"


def test_everything_is_integer_and_equal(bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert open_bundle(bundle).manifest.coverage.share == 1.0
    assert answer(capsys, "verify", str(bundle), "--seed", "5")["equal"] is True


def test_the_bundle_is_small_and_has_no_float_convolution(bundle: Path):
    manifest = open_bundle(bundle).manifest
    assert manifest.coverage.float_operators == ()
    assert len(manifest.kernels) >= 5
    assert (bundle / LIBRARY).stat().st_size < 1_000_000


def test_tiles_equal_the_whole(bundle: Path, tmp_path: Path):
    Image.fromarray(photograph(101, 143, 4)).save(tmp_path / "photo.png")
    pictures = []
    for tile in ("off", "64", "31"):
        path = tmp_path / f"{tile}.png"
        assert main(["run", str(bundle), str(tmp_path / "photo.png"), "-o", str(path), "--tile", tile]) == 0
        pictures.append(read_photo(path).pixels)
    assert pictures[0].shape == (202, 286, 3)
    assert all(np.array_equal(pictures[0], other) for other in pictures[1:])


def test_a_bundle_built_layer_by_layer_has_the_same_bytes_and_a_time_for_each_kernel(
    bundle: Path, model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path), "--layers"]) == 0
    layered, pixels = tmp_path / bundle.name, photograph(45, 67, 8)
    one, other = (load(open_bundle(path)).upscale(pixels) for path in (bundle, layered))
    assert np.array_equal(one, other)
    words = ["--functions", "--threads", "1", "--size", "20x30", "--repeats", "3"]
    (row,) = answer(capsys, "bench", str(layered), *words)["rows"]
    manifest = open_bundle(layered).manifest
    assert manifest.line_buffers == 0
    for kernel in manifest.kernels:
        assert row["functions_s"][f"run_{kernel}"] > 0


def test_inspect_says_which_kernel_each_layer_takes(bundle: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", str(bundle)]) == 0
    out = capsys.readouterr().out
    for kernel in open_bundle(bundle).manifest.kernels:
        assert re.search(rf"  {kernel} +.*\d vectors x \d+ channels.* \((default|tuned at|by static cost)", out)


def test_one_and_two_threads_give_the_same(bundle: Path):
    pixels = photograph(45, 67, 8)
    opened = open_bundle(bundle)
    results = [load(opened, threads=threads).upscale(pixels) for threads in (1, 2, None)]
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_bench_counts_real_work(bundle: Path, capsys: pytest.CaptureFixture[str]):
    table = answer(capsys, "bench", str(bundle), "--size", "40x50", "--repeats", "5", "--warm-up", "1")
    assert table["gmac"] == pytest.approx(open_bundle(bundle).manifest.macs_per_pixel * 2000 / 1e9)
    assert all(row["gmac_per_s"] > 0 for row in table["rows"])


def test_deployed_twice_gives_the_same_files(bundle: Path, model_file: Path, photo_folder: Path, tmp_path: Path):
    assert main(["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path), "--no-report"]) == 0
    for path in bundle.iterdir():
        assert (tmp_path / "tiny.clipfree" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:500] + b"\x90" + data[501:]])
def test_a_damaged_library_is_never_loaded(bundle: Path, tmp_path: Path, capsys, monkeypatch, damage):
    copy = Path(shutil.copytree(bundle, tmp_path / "copy.clipfree"))
    (copy / LIBRARY).write_bytes(damage((copy / LIBRARY).read_bytes()))
    monkeypatch.setattr("toolchain.runtime.runner.Runner", lambda *args, **kwargs: pytest.fail("was loaded"))
    assert main(["verify", str(copy)]) == 6
    assert "is damaged: model.so" in capsys.readouterr().err
