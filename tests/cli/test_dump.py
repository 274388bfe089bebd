"""`clipfree deploy --dump DIR`: the network after every step, for viewers of graphs and for eyes."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.sr_models import Builder
from tests.standin import QUICK
from toolchain.bundle import LIBRARY, QDQ
from toolchain.cli import main
from toolchain.frontend.session import FloatSession
from toolchain.support.dump import INDEX, DumpFolder
from toolchain.support.errors import OutputError


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolchain.quantize.pipeline.DEFAULTS", QUICK)


def steps(folder: Path) -> list[str]:
    """The names of what was written, in order, without their numbers."""
    names = sorted(path.name for path in folder.iterdir())
    assert names[0] == INDEX
    return [name[3:] for name in names[1:]]


def test_an_integer_network(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    out, dump = tmp_path / "out", tmp_path / "dump"
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(out), "--dump", str(dump)]
    assert main(words) == 0
    found = steps(dump)
    assert found[:2] == ["as-read.onnx", "graph.onnx"]
    assert [name for name in found if name.endswith(".py")] == [
        "import.py",
        "lower.py",
        "stream.py",
        "schedule.py",
        "plan.py",
        "finish.py",
    ]
    assert {"pads.onnx", "normalized.onnx", "quantized.onnx"} <= set(found)
    assert "collapse.onnx" not in found
    index = (dump / INDEX).read_text(encoding="utf-8")
    assert "01-as-read.onnx\n" in index
    assert "-collapse: no change\n" in index
    for path in dump.iterdir():
        if path.suffix == ".onnx":
            onnx.checker.check_model(onnx.load(path))
        if path.suffix == ".py":
            ast.parse(path.read_text(encoding="utf-8"))
    (bundle,) = out.iterdir()
    (quantized,) = dump.glob("*-quantized.onnx")
    assert onnx.load(quantized) == onnx.load(bundle / QDQ)
    texts = {path.name[3:]: path.read_text(encoding="utf-8") for path in dump.glob("*.py")}
    assert "R.quantize" in texts["import.py"]
    assert "R.quantize" not in texts["lower.py"]
    assert "cls.stream" not in texts["lower.py"]
    assert "cls.stream" in texts["stream.py"]
    assert "T.vectorized" not in texts["stream.py"]
    assert "T.vectorized" in texts["schedule.py"]
    assert "R.builtin.alloc_tensor" in texts["plan.py"]
    assert "vm.builtin" in texts["finish.py"]


@pytest.mark.slow
def test_a_float_network_and_its_library_are_the_same_with_and_without(model_file: Path, tmp_path: Path) -> None:
    words = ["deploy", str(model_file), "--precision", "float32", "-o"]
    assert main([*words, str(tmp_path / "with"), "--dump", str(tmp_path / "dump")]) == 0
    assert main([*words, str(tmp_path / "without")]) == 0
    assert steps(tmp_path / "dump")[-4:] == ["import.py", "lower.py", "plan.py", "finish.py"]
    libraries = [(tmp_path / place / "tiny_float32.clipfree" / LIBRARY).read_bytes() for place in ("with", "without")]
    assert libraries[0] == libraries[1]


def test_a_phone_s_gpu(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "--target", "mali-g78", "-o", str(tmp_path / "o")]
    assert main([*words, "--dump", str(tmp_path / "dump")]) == 0
    assert [name for name in steps(tmp_path / "dump") if name.endswith(".py")] == ["import.py", "lower.py"]


@pytest.mark.usefixtures("without_compiler")
def test_a_network_that_is_quantized_already(stand_in_bundle: Path, tmp_path: Path) -> None:
    words = ["deploy", str(stand_in_bundle / QDQ), "-o", str(tmp_path / "out"), "--dump", str(tmp_path / "dump")]
    assert main(words) == 0
    found = steps(tmp_path / "dump")
    assert found[:2] == ["as-read.onnx", "dequantized.onnx"]
    assert found[-1] == "quantized.onnx"


@pytest.mark.usefixtures("without_compiler")
def test_every_step_computes_the_same(tmp_path: Path, photo_folder: Path) -> None:
    """A network on -1..1, whose graph is rewritten twice: what remains is of the second time."""
    b = Builder(3)
    x = b.node("Tanh", b.conv(b.node("Relu", b.conv("input", 3, 8, identity=3)), 8, 12, identity=3, repeat=4))
    b.depth_to_space(x, 2, out="output")
    model = tmp_path / "signed.onnx"
    onnx.save(b.model(3, 2), model)
    dump = tmp_path / "dump"
    words = ["deploy", str(model), "--calib", str(photo_folder), "--range", "-1..1", "-o", str(tmp_path / "out")]
    assert main([*words, "--dump", str(dump)]) == 0
    files = {path.name[3:].removesuffix(".onnx"): path for path in sorted(dump.glob("*.onnx"))}
    assert "pixel-scale" in files
    x = np.random.default_rng(0).random((1, 3, 23, 18)).astype(np.float32)
    want = (FloatSession(onnx.load(files["as-read"])).run(None, 2 * x - 1)[0] + 1) / 2
    later = list(files)[list(files).index("pixel-scale") :]
    assert {"affine", "normalized"} <= set(later)
    for name in set(later) - {"quantized"}:
        np.testing.assert_allclose(FloatSession(onnx.load(files[name])).run(None, x)[0], want, atol=1e-4, err_msg=name)


@pytest.mark.usefixtures("without_compiler")
def test_what_comes_before_a_failure_stays(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(model_file)
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    onnx.save(model, tmp_path / "other.onnx")
    words = ["deploy", str(tmp_path / "other.onnx"), "--calib", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main([*words, "--dump", str(tmp_path / "dump")]) != 0
    assert "com.example" in capsys.readouterr().err
    assert steps(tmp_path / "dump") == ["as-read.onnx"]


@pytest.mark.usefixtures("without_compiler")
def test_an_older_dump_is_replaced_and_a_foreign_folder_is_not(
    model_file: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    (dump / "77-gone.onnx").write_bytes(b"an older step")
    words = ["deploy", str(model_file), "--calib", str(photo_folder), "-o", str(tmp_path / "out"), "--dump", str(dump)]
    assert main(words) == 0
    assert "gone.onnx" not in steps(dump)
    before = {path.name: path.read_bytes() for path in dump.iterdir()}
    (dump / "notes.md").write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert main(words) == OutputError.exit_code
    assert "holds other things than a dump (notes.md)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in dump.iterdir()} == {**before, "notes.md": b"mine"}


def test_a_step_that_is_done_again_replaces_its_file(tmp_path: Path) -> None:
    dump = DumpFolder(tmp_path / "new" / "dump")
    for content in (b"1", b"2", b"2"):
        dump(f"step-{content.decode()}", ".txt", lambda content=content: content)
    dump("other", ".py", lambda: b"2")
    dump("last", ".txt", lambda: b"2")
    folder = tmp_path / "new" / "dump"
    assert steps(folder) == ["step-1.txt", "step-2.txt", "other.py"]
    assert (folder / INDEX).read_text() == "01-step-1.txt\n02-step-2.txt\n03-other.py\n04-last: no change\n"
    dump("step-2", ".txt", lambda: b"1")
    dump("last", ".txt", lambda: b"3")
    assert steps(folder) == ["step-1.txt", "other.py", "last.txt"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        DumpFolder(tmp_path / "file")
