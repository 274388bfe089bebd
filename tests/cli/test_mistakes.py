"""What somebody in a hurry types: answered by one sentence, a hint and an exit code, before any work is done."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.answers import document
from tests.conftest import photograph
from toolchain.cli import main

pytestmark = pytest.mark.usefixtures("without_compiler")


@pytest.fixture
def folder(
    stand_in_bundle: Path, model_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with all kinds of things in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stand_in_bundle, "made/tiny.clipfree")
    shutil.copytree(photo_folder, "photos")
    shutil.copy(model_file, "tiny.onnx")
    Image.fromarray(photograph(37, 53, 9)).save("photo.png")
    Path("text.txt").write_text("hello\n")
    Path("empty").mkdir()
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    os.mkfifo("pipe.toml")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    return tmp_path


def kept(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fails(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code, and the one sentence of a command."""
    code = main([word.replace("NUL", "\0").replace("EMPTY", "") for word in words.split(" ")])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("clipfree: ")
    return code, said[0]


DEPLOY = "deploy tiny.onnx --calib photos"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        # words that typer does not understand
        ("run", 2, "Missing argument 'bundle'; `clipfree run --help` tells what it takes"),
        ("bnch", 2, "No such command 'bnch'"),
        ("zoo list more", 2, "unexpected extra argument"),
        ("bench made/tiny.clipfree --sizes 8x8", 2, "No such option: --sizes"),
        ("deploy tiny.onnx photos", 2, "photographs are named by --calib"),
        # models
        ("deploy tinny.onnx --calib photos", 2, "there is no file tinny.onnx; did you mean tiny.onnx?"),
        ("deploy xlsr_x3 --calib photos", 2, "there is no file xlsr_x3; did you mean zoo:xlsr_x3?"),
        ("deploy XLSR-x3.onnx --calib photos", 2, "there is no file XLSR-x3.onnx; did you mean zoo:xlsr_x3?"),
        ("deploy zoo:XLSR_x3 --calib photos", 2, "did you mean zoo:xlsr_x3?"),
        ("deploy loop --calib photos", 2, "loop is a link that leads nowhere"),
        ("deploy EMPTY --calib photos", 2, "a model's name is empty"),
        ("deploy pipe --calib photos", 3, "pipe is not a regular file"),
        ("inspect socket", 3, "socket is not a regular file"),
        # photographs
        ("deploy tiny.onnx --calib pipe", 2, "pipe is neither a folder nor a file; --calib names a folder"),
        ("deploy tiny.onnx --calib socket", 2, "socket is neither a folder nor a file"),
        ("deploy tiny.onnx --calib loop", 2, "loop cannot be reached: Too many levels of symbolic links"),
        ("represent tiny.onnx --calib pipe", 2, "pipe is neither a folder nor a file"),
        ("fidelity tiny.onnx --calib photos --hr pipe", 2, "pipe is neither a folder nor a file; --hr names"),
        ("tune tiny.onnx --calib nowhere", 2, "there is no folder nowhere; --calib names a folder"),
        ("evaluate made/tiny.clipfree --hr pipe", 2, "pipe is neither a folder nor a file; --hr names a folder"),
        ("evaluate made/tiny.clipfree --hr photos --range 0..1", 2, "--range is of the float model"),
        # bundles
        ("run made photo.png", 6, "it has no manifest.json; did you mean made/tiny.clipfree?"),
        ("run tiny.onnx photo.png", 6, "a bundle is a folder; deploy it first: `clipfree deploy tiny.onnx`"),
        ("bench zoo:xlsr_x3", 6, "there is no bundle zoo:xlsr_x3; deploy it first: `clipfree deploy zoo:xlsr_x3`"),
        ("verify loop", 6, "there is no bundle loop; `clipfree deploy MODEL` makes one"),
        # numbers
        ("run made/tiny.clipfree photo.png --threads 2147483648", 2, "'--threads'"),
        ("verify made/tiny.clipfree --threads 2147483648", 2, "'--threads'"),
        ("bench made/tiny.clipfree --threads 2147483648", 2, "'--threads'"),
        ("bench made/tiny.clipfree --size 99999x99999", 2, "--size 99999x99999 has not 1 to 150000000 pixels"),
        ("bench made/tiny.clipfree --size 0x8", 2, "--size 0x8 has not 1 to"),
        ("bench made/tiny.clipfree --cool-down inf", 2, "'--cool-down'"),
        ("verify made/tiny.clipfree --wait 1e300", 2, "'--wait'"),
        ("tune tiny.onnx --size 99999999999x9", 2, "--size 99999999999x9 is not understood"),
        (f"{DEPLOY} --estimator =mse", 2, "--estimator =mse is not understood"),
        (f"{DEPLOY} --weight-bits auto --weight-bits 4", 2, "--weight-bits auto and 4: which one?; say one of them"),
        ("fidelity tiny.onnx --calib photos --weight-bits auto", 2, "--weight-bits auto is of deploy"),
        (f"{DEPLOY} --bits-nested 8;4", 2, "--bits-nested 8;4 is not understood; say 8,6,4"),
        (f"{DEPLOY} --bits-nested 4,8", 4, "nested bits must fall, 4,8 do not; say the most bits first: 8,6,4"),
        (f"{DEPLOY} --bits-nested 8,4 --weight-bits 4", 4, "leave out --weight-bits and --codebook, or --bits-nested"),
        ("nested made/tiny.clipfree", 6, "holds no nested networks; deploy the float model with --bits-nested 8,6,4"),
        ("nested tiny.onnx", 3, "tiny.onnx: this is no nested network; `deploy --bits-nested 8,6,4` makes one"),
        ("nested nowhere.nested", 3, "cannot read nowhere.nested: No such file"),
        ("nested pipe", 3, "pipe is not a regular file"),
        ("nested made/tiny.clipfree --bits 4", 2, "--bits and -o belong together"),
        (f"{DEPLOY} --precision int4", 2, "--precision int4 is not known"),
        # names and places of results
        (f"{DEPLOY} --name aNULb", 8, "a bundle cannot be called 'a\\x00b'; choose a plain name with --name"),
        (f"{DEPLOY} --name a\tb", 8, "a bundle cannot be called 'a\\tb'"),
        (f"{DEPLOY} --name a\u2028b", 8, "a bundle cannot be called 'a\\u2028b'"),
        (f"{DEPLOY} --name EMPTY", 8, "a bundle cannot be called ''"),
        (f"{DEPLOY} --name {'n' * 300}", 8, "File name too long"),
        (f"{DEPLOY} -o text.txt", 8, "text.txt is not a folder"),
        (f"{DEPLOY} -o pipe/x/y", 8, "pipe is not a folder"),
        (f"{DEPLOY} -o loop", 8, "Too many levels of symbolic links"),
        (f"{DEPLOY} -o aNULb", 2, "null byte"),
        ("fidelity tiny.onnx --calib photos -o text.txt", 8, "text.txt is not a folder"),
        ("represent tiny.onnx --calib photos -o text.txt", 8, "it is a file, and a folder is to be made"),
        ("represent tiny.onnx --calib photos -o text.txt/x", 8, "text.txt is not a folder"),
        ("tune tiny.onnx --curve text.txt/x.png", 8, "text.txt is not a folder"),
        ("tune tiny.onnx --curve curve.jpg", 2, "--curve curve.jpg ends neither in .png nor in .svg"),
        ("zoo export xlsr_x3 -o pipe.toml", 8, "it is no plain file, and would be replaced by one"),
        ("board build --target cortex-a76 -o text.txt", 8, "it is a file, and a folder is to be made"),
        ("board pack made/tiny.clipfree -o text.txt", 8, "it is a file, and a folder is to be made"),
        # budgets
        (f"{DEPLOY} --budget flops=3%", 2, "there is no budget of 'flops'; say 10 (percent more work), bops=100%"),
        (f"{DEPLOY} --budget much", 2, "--budget much is not understood"),
        (f"{DEPLOY} --budget bops", 4, "a budget of bops without a number needs a bound on the loss"),
        (f"{DEPLOY} --budget size=60% --weight-bits auto", 4, "both choose the bits of weights; leave out auto"),
        ("fidelity tiny.onnx --calib photos --budget size=60%", 2, "a budget of size is of deploy"),
        # targets and logs
        (f"{DEPLOY} --target cortex-a75", 5, "--target cortex-a76 makes code that runs on that CPU"),
        (f"{DEPLOY} --target pipe.toml", 5, "pipe.toml cannot be read: it is no plain file"),
        ("logs show text.txt", 10, "line 1 of the tuning log text.txt cannot be used: it is not JSON"),
    ],
)
def test_it_is_said_before_any_work(
    words: str,
    code: int,
    sentence: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def working(*given: object, **named: object) -> None:
        raise AssertionError("it has begun to work")

    monkeypatch.setattr("toolchain.workflows.deploy.prepare.read_calibration", working)
    monkeypatch.setattr("toolchain.workflows.fidelity.calibrate", working)
    monkeypatch.setattr("toolchain.workflows.represent.represent", working)
    before = kept(folder)
    assert fails(words, capsys)[0] == code
    assert sentence in fails(words, capsys)[1]
    assert kept(folder) == before


def test_a_mistake_in_the_options_is_a_document_too(capsys: pytest.CaptureFixture[str]):
    assert main(["run", "--json"]) == 2
    error = document(capsys)["error"]
    assert error["message"] == "Missing argument 'bundle'"
    assert error["exit_code"] == 2


@pytest.mark.parametrize("name", ["fp32", "FP32", "Float32", "single"])
def test_other_names_of_a_precision(name: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["deploy", "tiny.onnx", "--precision", name, "--layers"]) == 3
    assert "float networks are not built layer by layer" in capsys.readouterr().err


def test_an_embedded_network_goes_into_a_folder_that_is_not_there_yet(folder: Path):
    assert main(["zoo", "export", "xlsr_x3", "-o", "models"]) == 0
    assert (folder / "models" / "xlsr_x3.onnx").is_file()


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "Usage: clipfree" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(("word", "seen"), [("--version", False), ("--debug", True)])
def test_warnings_of_libraries_are_not_for_users(word: str, seen: bool):
    warn = "import warnings; warnings.warn('Tag declared via TagScope was not used.')"
    code = f"""
import subprocess, sys, toolchain.cli as cli
def main(words, **others):
    {warn}
    subprocess.run([sys.executable, "-c", "{warn}"], check=True)
    return 0
cli.main, sys.argv = main, ["clipfree", "{word}"]
cli.start()
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.count("UserWarning") == (2 if seen else 0)
    assert bool(done.stderr) == seen
