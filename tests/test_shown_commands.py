"""What the pages tell a reader to type is typed, in a folder like the reader's: a network, photographs, a picture.

A page's commands run one after the other. What cannot run here is left to ``test_docs``, which has them read by the
command line's parser; `NOT_RUN` says which and why.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests import sr_models
from tests.conftest import photograph
from tests.test_docs import PAGES, ROOT, shown_commands
from toolchain.cli.app import app

NOT_RUN = {
    r"--rpc|--tracker|^board (build|check|list|serve|tracker)": "wants boards: tests/board",
    r"^tune|my_logs|out/tuning": "takes minutes: tests/tune",
    r"mali|opencl": "wants OpenCL: tests/opencl",
    r" - | -$|clip\.yuv": "is one of several programs behind a pipe: tests/video",
    r"denoise|other\.clipfree|_LR/": "wants other networks and pictures: tests/cli/test_evaluate.py",
    r"--bits|tail\*=": "names tensors of another network: tests/test_deploy.py",
    r"layered": "wants a library with --layers: tests/cli",
    r"-r photos/|\*\.jpg": "is read by a shell, or wants more pictures: tests/cli/test_run.py",
}
QUICK = ("docs/tutorial.md", "docs/ci.md", "docs/own-target.md", "docs/onnxruntime.md", "docs/python.md")
SLOW = (
    "README.md",
    "docs/android.md",
    "docs/boards.md",
    "docs/deploying.md",
    "docs/dump.md",
    "docs/linux.md",
    "docs/losing-quality.md",
    "docs/pictures.md",
    "docs/quality.md",
    "docs/raspberry-pi.md",
    "docs/report.md",
    "docs/representative-set.md",
    "docs/speed.md",
    "docs/terminal.md",
    "docs/tflite.md",
    "docs/video.md",
    "docs/windows.md",
)
READ_ONLY = {
    "docs/compare.md": "wants boards and minutes: tests/test_compare.py",
    "docs/farm.md": "wants boards: tests/board, tests/tune",
    "docs/macos.md": "wants zig: tests/targets",
    "docs/pytorch.md": "wants PyTorch: tests/frontend",
    "docs/training.md": "wants PyTorch: tests/zoo",
}
"""Pages whose commands are only read, and why."""
PYTHON = ("docs/onnxruntime.md", "docs/python.md")
"""Pages whose blocks of Python run too."""
LINKERS = {
    "cortex": "aarch64-linux-gnu-gcc",
    "rpi": "aarch64-linux-gnu-gcc",
    "android-arm64": "aarch64-linux-gnu-gcc",
    "android-armv7": "arm-linux-gnueabi-gcc",
    "my-board": "aarch64-linux-gnu-gcc",
    "windows": "x86_64-w64-mingw32-gcc",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: a network called model.onnx, deployed for this machine, and pictures."""
    folder = tmp_path_factory.mktemp("reader")
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), folder / "model.onnx")
    for place, count in (("photos", 3), ("Set5", 2), ("hr", 2)):
        (folder / place).mkdir()
        for index in range(count):
            Image.fromarray(photograph(72, 96, index)).save(folder / place / f"{index}.png")
    Image.fromarray(photograph(40, 60, 9)).save(folder / "photo.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CLIPFREE_CACHE", str(folder.parent / "quantized"))
        type_("deploy", "model.onnx", "--calib", "photos/", "-o", "out/")
    return folder


def type_(*words: str) -> None:
    """Run a command, which must go well."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, f"clipfree {shlex.join(words)}: {done.output}"


def not_run(words: list[str]) -> str | None:
    """Why a command does not run here; None if it does."""
    line = shlex.join(words)
    for pattern, why in NOT_RUN.items():
        if re.search(pattern, line):
            return why
    return None


def missing_linkers(commands: list[list[str]]) -> set[str]:
    """What links for the targets that are named, and is not here."""
    lines = [shlex.join(words) for words in commands]
    wanted = {linker for name, linker in LINKERS.items() if any(f" {name}" in line for line in lines)}
    return {linker for linker in wanted if shutil.which(linker) is None}


def add_what_it_wants(name: str, folder: Path) -> None:
    """Put the files of other kinds there that a page is about; skip where what makes them is missing."""
    if name == "docs/tflite.md":
        pytest.importorskip("tflite", reason="reads files of TensorFlow Lite")
        from tests.tflite_files import enlarger, integer_enlarger

        (folder / "model.tflite").write_bytes(integer_enlarger())
        (folder / "float.tflite").write_bytes(enlarger()[0])
    if name == "docs/video.md":
        pytest.importorskip("av", reason="reads films")
        from tests.video.clips import Wish, make

        for suffix in ("mp4", "mkv"):
            make(folder / f"film.{suffix}", Wish(codec="mpeg4"))
        (folder / "clip.y4m").write_bytes(
            b"YUV4MPEG2 W24 H18 F25:1 C420jpeg\n" + (b"FRAME\n" + bytes(24 * 18 * 3 // 2)) * 2
        )


def python_blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_what_a_page_shows_runs(name: str, reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / name
    commands = list(shown_commands(page))
    run = [words for words in commands if not_run(words) is None]
    if missing := missing_linkers(run):
        pytest.skip(f"wants {', '.join(sorted(missing))}")
    if any(word.startswith("zoo:") for words in commands for word in words):
        pytest.importorskip("skimage", reason="its photographs calibrate embedded networks")
    folder = shutil.copytree(reader, tmp_path / "reader")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CLIPFREE_CACHE", str(reader.parent / "quantized"))
    add_what_it_wants(name, folder)
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        (folder / "my-board.toml").write_text(block)
    for words in run:
        type_(*words)
    blocks = list(python_blocks(page)) if name in PYTHON else []
    for block in blocks:
        exec(compile(block, name, "exec"), {})
    assert run or blocks


def test_every_page_that_shows_commands_is_run_or_says_why_not() -> None:
    pages = [page.relative_to(ROOT).as_posix() for page in PAGES if any(shown_commands(page))]
    known = {*QUICK, *SLOW, *READ_ONLY}
    assert {page for page in pages if not page.startswith(("docs/decisions/", "CHANGELOG"))} <= known


def test_every_reason_not_to_run_has_its_command() -> None:
    shown = [shlex.join(words) for name in (*QUICK, *SLOW) for words in shown_commands(ROOT / name)]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in shown), pattern
