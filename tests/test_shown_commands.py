"""What the pages tell a reader to type is typed, in a folder like the reader's: a network, photographs, a picture.

A page's commands run one after the other. What cannot run here is left to ``test_docs``, which has them read by the
command line's parser; `NOT_RUN` says which and why.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests import boards, sr_models
from tests.boards import Running
from tests.conftest import photograph
from tests.test_docs import PAGES, ROOT, shown_commands
from toolchain.board.tracker import entries
from toolchain.cli.app import app
from toolchain.support.cpu import this_cpu
from toolchain.targets import find_target

NOT_RUN = {
    r"--rpc|--tracker|^board (build|check|list|serve|tracker)": "wants boards: tests/board",
    r"^tune|my_logs|out/tuning": "takes minutes: tests/tune",
    r"mali|opencl": "wants OpenCL: tests/opencl",
    r" - | -$|clip\.yuv": "is one of several programs behind a pipe: tests/video",
    r"denoise|other\.clipfree|_LR/": "wants other networks and pictures: tests/cli/test_evaluate.py",
    r"--bits ['/]|tail\*=": "names tensors of another network: tests/test_deploy.py",
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
    "docs/macos.md",
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
BY_THEMSELVES = ("docs/compare.md", "docs/farm.md", "docs/pytorch.md", "docs/training.md")
"""Pages that have a test of their own below: they want boards, PyTorch, or networks that are smaller here."""
PYTHON = ("docs/onnxruntime.md", "docs/python.md")
"""Pages whose blocks of Python run too."""
LINKERS = {
    "cortex": "aarch64-linux-gnu-gcc",
    "rpi": "aarch64-linux-gnu-gcc",
    "android-arm64": "aarch64-linux-gnu-gcc",
    "android-armv7": "arm-linux-gnueabi-gcc",
    "my-board": "aarch64-linux-gnu-gcc",
    "windows": "x86_64-w64-mingw32-gcc",
    "macos": "ziglang",
}
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")


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
    return {one for one in wanted if shutil.which(one) is None and importlib.util.find_spec(one) is None}


def enter(reader: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into a copy of the reader's folder."""
    place = shutil.copytree(reader, folder / "reader")
    monkeypatch.chdir(place)
    monkeypatch.setenv("CLIPFREE_CACHE", str(reader.parent / "quantized"))
    return place


def adapted(words: list[str], instead: Mapping[str, str]) -> list[str]:
    """The words, with what this machine has instead of what the reader has."""
    line = shlex.join(words)
    for pattern, here in instead.items():
        line = re.sub(pattern, here, line)
    return shlex.split(line)


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


@needs_compiler
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_what_a_page_shows_runs(name: str, reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / name
    commands = list(shown_commands(page))
    run = [words for words in commands if not_run(words) is None]
    if missing := missing_linkers(run):
        pytest.skip(f"wants {', '.join(sorted(missing))}")
    if any(word.startswith("zoo:") for words in commands for word in words):
        pytest.importorskip("skimage", reason="its photographs calibrate embedded networks")
    folder = enter(reader, tmp_path, monkeypatch)
    add_what_it_wants(name, folder)
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        (folder / "my-board.toml").write_text(block)
    for words in run:
        type_(*words)
    blocks = list(python_blocks(page)) if name in PYTHON else []
    for block in blocks:
        exec(compile(block, name, "exec"), {})
    assert run or blocks


@pytest.mark.board
@needs_compiler
def test_a_farm_that_is_this_machine_twice(
    reader: Path, pack: Path, tracker: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xgboost", reason="tuning guesses by it")
    folder, page = enter(reader, tmp_path, monkeypatch), ROOT / "docs" / "farm.md"
    shutil.copytree(folder / "out", folder / "out" / "pi5")
    here = {
        r"(LAB|127\.0\.0\.1):9190": str(tracker.address),
        r"0\.0\.0\.0": "127.0.0.1",
        "cortex-a76": "host",
        "--minutes 30": "--trials 2",
    }
    with contextlib.ExitStack() as farm:
        for index, words in enumerate(shown_commands(page, "pi5/clipfree-board")):
            farm.enter_context(boards.board(pack, tmp_path / f"board{index}", *adapted(words, here)))
        boards.until(lambda: len(entries(tracker.address)) == 2)
        commands = list(shown_commands(page))
        commands.remove(["board", "tracker"])  # which runs
        for words in commands:
            type_(*adapted(words, here))


@pytest.mark.board
@pytest.mark.slow
@needs_compiler
def test_comparisons_of_small_networks(
    reader: Path, pack: Path, tracker: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="compared with")
    if missing := {name for name in ("x86-avx2", "x86-sse4") if find_target(name).missing_on(this_cpu())}:
        pytest.skip(f"this machine stands for boards, and runs no {', '.join(missing)}")
    folder, page = enter(reader, tmp_path, monkeypatch), ROOT / "docs" / "compare.md"
    commands = list(shown_commands(page))
    if missing := missing_linkers(commands):
        pytest.skip(f"wants {', '.join(sorted(missing))}")
    embedded = sorted({word for words in commands for word in words if word.startswith("zoo:")})
    for width, name in enumerate(["a", "b", *embedded], 2):
        onnx.save(sr_models.xlsr(3, width=width, blocks=1), folder / f"{name.removeprefix('zoo:')}.onnx")
    shutil.copytree(folder / "Set5", folder / "Set14")
    photographs = tuple((folder / "photos").iterdir())
    monkeypatch.setattr(
        "toolchain.zoo.embedded.resolve", lambda name: folder / f"{Path(name.removeprefix('zoo:')).stem}.onnx"
    )
    monkeypatch.setattr("toolchain.zoo.demo_photos.demo_photographs", lambda: photographs)
    with contextlib.ExitStack() as farm:
        alone = [farm.enter_context(boards.board(pack, tmp_path / name)) for name in ("rpi5", "rpi4")]
        for key in ("pi", "phone"):
            words = ("--tracker", str(tracker.address), "--key", key)
            farm.enter_context(boards.board(pack, tmp_path / key, *words))
        boards.until(lambda: len(entries(tracker.address)) == 2)
        here = {r"192\.168\.1\.2:9190": str(tracker.address), "rpi5": "x86-avx2", "rpi4|mali-g78": "x86-sse4"}
        here |= {rf"192\.168\.1\.2{index}:9090": str(one.address) for index, one in enumerate(alone)}
        for words in commands:
            distant = "--rpc" in words or "--tracker" in words
            fewer = {" zoo:ecbsr_m4c16_x3 zoo:espcn_x3": ""}  # of four on three targets
            type_(*adapted(words, here if distant else fewer), "--repeats", "2", "--size", "24x32")
    for block in python_blocks(page):
        exec(compile(block, page.name, "exec"), {})


@pytest.mark.train
def test_training_as_shown(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the trainer needs the extra `train`")
    from toolchain.zoo import train

    folder, page = enter(reader, tmp_path, monkeypatch), ROOT / "docs" / "training.md"
    shutil.copytree(folder / "Set5", folder / "Set14")
    # Two steps make no enlarger of networks that normalize batches: tests/zoo trains those.
    runs = [words for words in shown_commands(page, "python") if words[2].startswith("xlsr")]
    assert len(runs) == 2
    for words in runs:
        assert words[:2] == ["-m", "toolchain.zoo.train"]
        assert train.main([*words[2:], "--steps", "2", "--batch", "2", "--patch", "8"]) == 0
    # What is finetuned, for minutes: tests/training.
    (command,) = (words for words in shown_commands(page) if "runs/xlsr_x3/xlsr_x3.onnx" in words)
    type_(*command)


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of PyTorch about its own exporter
def test_a_network_of_pytorch_as_shown(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="reads its files")
    pytest.importorskip("onnxscript", reason="PyTorch exports by it: the extra `torch`")
    folder, page = enter(reader, tmp_path, monkeypatch), ROOT / "docs" / "pytorch.md"
    module = ModuleType("my_code")
    module.MyNetwork = lambda scale: torch.nn.Sequential(  # type: ignore[attr-defined]
        torch.nn.Conv2d(3, 3 * scale * scale, 3, padding=1), torch.nn.PixelShuffle(scale), torch.nn.Hardtanh(0, 1)
    )
    monkeypatch.setitem(sys.modules, "my_code", module)
    trained = module.MyNetwork(4)
    with torch.no_grad():  # each pixel sixteen times, and a little of those beside it
        trained[0].weight *= 0.05
        trained[0].weight[torch.arange(48), torch.arange(48) // 16, 1, 1] += 1
    torch.save(trained.state_dict(), folder / "x4.pth")
    space: dict[str, object] = {}
    for block in python_blocks(page):
        exec(compile(block, page.name, "exec"), space)
    shutil.copy(folder / "x4.pt2", folder / "network.pt2")
    type_(*next(words for words in shown_commands(page) if "network.pt2" in words))
    type_("deploy", "x4.pt2", "--calib", "photos")


@pytest.mark.train
def test_weights_of_a_known_network_as_shown(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="reads its files")
    try:
        compact = importlib.import_module("spandrel.architectures.Compact").Compact(num_feat=8, num_conv=2, upscale=4)
    except Exception as error:  # torchvision raises what it likes where it is not of PyTorch's release
        pytest.skip(f"weights need the extra `spandrel`: {error}")
    folder = enter(reader, tmp_path, monkeypatch)
    torch.save(compact.state_dict(), folder / "x4.pth")
    type_(*next(words for words in shown_commands(ROOT / "docs" / "pytorch.md") if "x4.pth" in words))


def test_every_page_that_shows_commands_is_run_or_says_why_not() -> None:
    pages = [page.relative_to(ROOT).as_posix() for page in PAGES if any(shown_commands(page))]
    known = {*QUICK, *SLOW, *BY_THEMSELVES}
    assert {page for page in pages if not page.startswith(("docs/decisions/", "CHANGELOG"))} <= known


def test_every_reason_not_to_run_has_its_command() -> None:
    shown = [shlex.join(words) for name in (*QUICK, *SLOW) for words in shown_commands(ROOT / name)]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in shown), pattern
