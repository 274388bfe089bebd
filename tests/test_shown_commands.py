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
from tests.test_docs import ROOT, shown_commands
from toolchain.cli.app import app

NOT_RUN = {
    r"--rpc|--tracker|^board (build|check|list|serve|tracker)": "wants boards: tests/board",
    r"^tune|my_logs|out/tuning": "takes minutes: tests/tune",
    r"mali|opencl": "wants OpenCL: tests/opencl",
    r"film|clip\.y|\.mp4| - | -$|--size 36x64": "wants films or pipes: tests/video",
    r"denoise|other\.clipfree|_LR/": "wants other networks and pictures: tests/cli/test_evaluate.py",
    r"--bits": "names tensors of another network: tests/test_deploy.py",
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
    "docs/representative-set.md",
    "docs/speed.md",
)
PYTHON = ("docs/onnxruntime.md", "docs/python.md")
"""Pages whose blocks of Python run too."""
LINKERS = {"cortex": "aarch64-linux-gnu-gcc", "android": "aarch64-linux-gnu-gcc", "my-board": "aarch64-linux-gnu-gcc"}


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
    for name, linker in LINKERS.items():
        if f" {name}" in line and shutil.which(linker) is None:
            return f"wants {linker}"
    return None


def python_blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_what_a_page_shows_runs(name: str, reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / name
    commands = list(shown_commands(page))
    if any(word.startswith("zoo:") for words in commands for word in words):
        pytest.importorskip("skimage", reason="its photographs calibrate embedded networks")
    folder = shutil.copytree(reader, tmp_path / "reader")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CLIPFREE_CACHE", str(reader.parent / "quantized"))
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        (folder / "my-board.toml").write_text(block)
    run = [words for words in commands if not_run(words) is None]
    for words in run:
        type_(*words)
    blocks = list(python_blocks(page)) if name in PYTHON else []
    for block in blocks:
        exec(compile(block, name, "exec"), {})
    assert run or blocks


def test_every_reason_not_to_run_has_its_command() -> None:
    shown = [shlex.join(words) for name in (*QUICK, *SLOW) for words in shown_commands(ROOT / name)]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in shown), pattern
