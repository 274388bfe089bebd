"""The pages on films and on folders of pictures: their commands work as they are written."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import photograph
from tests.video.clips import Wish, make, planes
from toolchain.bundle import Bundle
from toolchain.video.frames import VideoFrame
from toolchain.video.y4m import Stream, fields_of, write_frame, write_header

DOCS = Path(__file__).resolve().parents[2] / "docs"
WISH = Wish(width=64, height=36, frames=3)


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if "clipfree run" in line]


def stream(*, headers: bool, pixels: str = "yuv420p") -> bytes:
    form = Wish(width=64, height=36, pixels=pixels).form
    file, kind = io.BytesIO(), Stream(form, Fraction(24), fields_of(form) if headers else None)
    write_header(file, kind)
    for number in range(3):
        write_frame(file, kind, VideoFrame(planes(form, number)))
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path, real_bundle: Bundle) -> Path:
    """What the commands name."""
    shutil.copytree(real_bundle.path, tmp_path / "out" / "model.clipfree")
    (tmp_path / "photos").mkdir()
    for name in ("photos/a.png", "photo.png", "a.jpg", "b.jpg"):
        Image.fromarray(photograph(20, 30, 1)).save(tmp_path / name)
    (tmp_path / "clip.y4m").write_bytes(stream(headers=True))
    (tmp_path / "clip.yuv").write_bytes(stream(headers=False))
    return tmp_path


def found(folder: Path, pattern: str) -> list[str]:
    """What a shell makes of a pattern."""
    return sorted(path.name for path in folder.glob(pattern))


@pytest.mark.parametrize("command", [*commands("video.md"), *commands("pictures.md")])
def test_commands_of_the_pages(command: str, folder: Path):
    if ("film" in command and "ffmpeg" not in command) or ".mp4" in command.split("|")[-1]:
        for name in ("film.mp4", "film.mkv"):
            make(folder / name, Wish(width=64, height=36, frames=3, codec="libx264"))
    piped = "ffmpeg" in command
    (own,) = [part for part in command.split("|") if "clipfree run" in part]
    own, _, given = own.split(">")[0].partition("<")
    words = [one for word in shlex.split(own)[1:] for one in (found(folder, word) if "*" in word else [word])]
    raw = "--size" in words
    pixels = words[words.index("--pixels") + 1] if "--pixels" in words else "yuv420p"
    sent = (folder / given.strip()).read_bytes() if given else stream(headers=not raw, pixels=pixels)
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.cli", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(DOCS.parent)},
        input=sent if piped or given else None,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    if piped:
        assert len(done.stdout) > 3 * 64 * 36 * 4
    elif given:
        assert Image.open(io.BytesIO(done.stdout)).size == (60, 40)
    else:
        assert Path(folder / words[words.index("-o") + 1]).exists()
