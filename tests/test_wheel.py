"""What users install: the wheel and the source distribution, used from outside the checkout."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolchain import __version__

ROOT = Path(__file__).parent.parent


def build(project: Path, kind: str, out: Path) -> Path:
    """What ``pip`` would make of ``project``: "wheel" or "sdist"."""
    code = f"import hatchling.build as b, sys; print(b.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=project, capture_output=True, text=True, check=True
    )
    return out / done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    out = tmp_path_factory.mktemp("source")
    archive = build(ROOT, "sdist", out)
    assert archive.name == f"clipfree-{__version__}.tar.gz"
    with tarfile.open(archive) as files:
        files.extractall(out / "source", filter="data")
    (folder,) = (out / "source").iterdir()
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """The wheel that comes out of the source distribution, unpacked."""
    return unpacked(build(source, "wheel", tmp_path_factory.mktemp("wheel")))


def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clipfree(installed: Path, *arguments: str, cwd: Path) -> str:
    """Standard output of a command of the installed package."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_source_brings_what_it_is_built_and_tested_with(source: Path) -> None:
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "Makefile", "targets", "tuning_logs", "tests", "docs"):
        assert (source / name).exists(), name


def test_the_checkout_gives_the_same_wheel(installed: Path, tmp_path: Path) -> None:
    assert contents(unpacked(build(ROOT, "wheel", tmp_path))) == contents(installed)


def test_the_version_is_the_changelog_s() -> None:
    titles = re.findall(
        r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert titles[0] == ("Unreleased", "")
    assert titles[1][0] == __version__
    assert datetime.date.fromisoformat(titles[1][1])


def test_it_declares_licence_types_and_command(installed: Path) -> None:
    (metadata,) = installed.glob("clipfree-*.dist-info")
    assert metadata.name == f"clipfree-{__version__}.dist-info"
    assert "License-Expression: Apache-2.0" in (metadata / "METADATA").read_text()
    assert (metadata / "licenses" / "LICENSE").is_file()
    assert "clipfree = toolchain.cli:start" in (metadata / "entry_points.txt").read_text()
    assert (installed / "toolchain" / "py.typed").is_file()


def test_its_page_in_an_index_has_no_link_that_leads_nowhere(installed: Path) -> None:
    (metadata,) = installed.glob("clipfree-*.dist-info")
    page = (metadata / "METADATA").read_text(encoding="utf-8").split("\n\n", 1)[1]
    assert "\n## Install\n" in page
    assert "![" not in page
    assert re.findall(r"\]\(([^)]*)", page)
    assert all(link.startswith("https:") for link in re.findall(r"\]\(([^)]*)", page))


def test_it_brings_targets_logs_and_networks(installed: Path, tmp_path: Path) -> None:
    targets = json.loads(clipfree(installed, "targets", "list", "--json", cwd=tmp_path))
    assert {path.stem for path in (ROOT / "targets").glob("*.toml")} <= {t["name"] for t in targets["targets"]}
    assert {path.name for path in (ROOT / "tuning_logs").iterdir()} == {
        path.name for path in (installed / "toolchain" / "_data" / "tuning_logs").iterdir()
    }
    networks = json.loads(clipfree(installed, "zoo", "list", "--json", cwd=tmp_path))
    assert "xlsr_x3" in json.dumps(networks)
    tuned = clipfree(installed, "logs", "show", cwd=tmp_path)
    assert "x86-avx512vnni" in tuned


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")
def test_it_shows_what_it_does(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="its photographs are the demonstration's")
    clipfree(installed, "demo", "-o", "out", cwd=tmp_path)
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "small.png",
        "bicubic.png",
        "clipfree.png",
        "before-after.png",
    }


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")
def test_it_deploys_and_upscales(installed: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (24, 16), 90).save(tmp_path / "photo.png")
    clipfree(installed, "deploy", "zoo:espcn_x3", "--precision", "float32", "-o", "out", cwd=tmp_path)
    clipfree(installed, "run", "out/espcn_x3_float32.clipfree", "photo.png", "-o", "big.png", cwd=tmp_path)
    clipfree(installed, "package", "out/espcn_x3_float32.clipfree", "--as", "cmake", "-o", "package", cwd=tmp_path)
    program = tmp_path / "package" / "share" / "espcn_x3_float32" / "example" / "upscale.c"
    assert program.read_bytes() == (ROOT / "examples" / "upscale.c").read_bytes()
    with Image.open(tmp_path / "big.png") as picture:
        assert picture.size == (72, 48)
