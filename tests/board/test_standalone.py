"""The folder that needs no TVM on the device: the reference's bits there, and a sentence for whatever is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from tests.answers import document
from tests.arm import emulator
from tests.bundle.fakes import write
from tests.conftest import photograph
from tests.sr_models import Builder
from tests.standin import QUICK
from toolchain.backends.open import load
from toolchain.board.standalone import PROGRAM, _listed, build_standalone, check_library
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main
from toolchain.quantize import IntegerReference
from toolchain.runtime.verify import FLOAT_TOLERANCE
from toolchain.support.errors import BundleError, InputError, TargetError
from toolchain.targets import find_target
from toolchain.targets.elf import read_library


def run(folder: Path, *words: str, emulator: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*emulator, str(folder / PROGRAM), *words], capture_output=True, text=True, timeout=120)


def timed(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, real_bundle: Bundle) -> Path:
    out = tmp_path_factory.mktemp("alone") / "out"
    build_standalone(real_bundle, out)
    return out


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_it_is_small_and_compares_and_times(folder: Path):
    assert {path.name for path in folder.iterdir()} == {PROGRAM, "model.so", "golden.ppm", "expected.ppm"}
    assert (folder / PROGRAM).stat().st_size < 2e6
    for threads in (1, 2):
        row = timed(run(folder, "--size", "40x50", "--threads", str(threads), "--repeats", "4", "--cool-down", "0.01"))
        assert row["equal"] is True
        assert (row["height"], row["width"], row["threads"], row["repeats"]) == (40, 50, threads, 4)
        assert 0 < row["minimum_s"] <= row["median_s"] <= row["p90_s"]


def test_it_upscales_pictures_of_any_size(folder: Path, real_bundle: Bundle, tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.ppm")
    assert run(folder, "--upscale", str(tmp_path / "in.ppm"), str(tmp_path / "out.ppm")).returncode == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.ppm")), load(real_bundle).upscale(pixels))


def test_the_command(real_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["board", "pack", str(real_bundle.path), "-o", str(tmp_path / "out"), "--json"]) == 0
    files = document(capsys)["files"]
    assert timed(run(tmp_path / "out", "--size", "8x8"))["equal"] is True
    assert {Path(file["path"]).name for file in files} == {path.name for path in (tmp_path / "out").iterdir()}
    assert main(["board", "pack", str(real_bundle.path), "-o", str(tmp_path / "out")]) == 0  # replaces its own


@pytest.fixture(scope="module")
def arm_bundle(
    tmp_path_factory: pytest.TempPathFactory, model_file: Path, photo_folder: Path
) -> Callable[[str], Bundle]:
    """A small XLSR for a target."""
    from toolchain.workflows.deploy import Request, deploy

    def make(target: str) -> Bundle:
        out = tmp_path_factory.mktemp("bundle")
        made = deploy(Request(model_file, out, photo_folder, target=target, settings=QUICK))
        return open_bundle(made.path, for_this_machine=False)

    return make


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["cortex-a7", "android-arm64"])
def test_the_reference_s_bits_where_tvm_has_no_runtime(name: str, arm_bundle: Callable[[str], Bundle], tmp_path: Path):
    target = find_target(name)
    words = emulator(target)
    build_standalone(arm_bundle(name), tmp_path / "out")
    assert timed(run(tmp_path / "out", "--size", "8x16", "--repeats", "3", emulator=words))["equal"] is True
    if name == "android-arm64":
        done = run(tmp_path / "out", "--size", "8x16", emulator=[*words[:-1], "cortex-a53"])
        assert done.returncode == 6
        assert (
            "this processor lacks asimddp, which the library uses; deploy the model for another target" in done.stderr
        )


def damage(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "model.so"
        path.write_bytes(change(path.read_bytes()))

    return apply


def scrambled(data: bytes) -> bytes:
    """The last word of the program, which says where its result is."""
    end = data.rindex(b"\x04" + bytes(7) + b"_lib")
    return data[: end - 8] + b"\x00\x00\x00\x00\xff\x7f\x00\x00" + data[end:]


def wrong_expectation(folder: Path) -> None:
    path = folder / "expected.ppm"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        (wrong_expectation, 7, "1 of "),
        (damage(lambda data: data[:1000]), 1, "is damaged"),
        (damage(lambda data: b""), 1, "model.so is no library"),
        (damage(lambda data: b"text" * 100), 1, "model.so is no library"),
        (damage(lambda data: data[:18] + b"\xff\x00" + data[20:]), 1, "model.so is no library for this processor"),
        (
            damage(lambda data: data.replace(b"\0relax.VMExecutable", b"\0other.VMExecutable", 1)),
            1,
            "the library is damaged",
        ),
        (damage(lambda data: data.replace(b"get_functions", b"got_functions")), 1, "holds no network for this program"),
        (
            damage(lambda data: data.replace(b"builtin.null_value", b"builtin.null_velue")),
            1,
            "which only TVM's runtime has",
        ),
        (damage(scrambled), 1, "clipfree-bench: the library is damaged"),
        (lambda folder: (folder / "golden.ppm").write_bytes(b"P6 8 8 255 x"), 1, "golden.ppm ends early"),
        (lambda folder: (folder / "golden.ppm").write_bytes(b"P3 8 8 255 x"), 1, "is no PPM or PGM of 8 bits"),
        (lambda folder: (folder / "golden.ppm").unlink(), 1, "golden.pgm cannot be read: No such file"),
        (lambda folder: (folder / "model.so").unlink(), 1, "model.so cannot be read: No such file"),
    ],
)
def test_what_is_damaged(change: Callable[[Path], None], code: int, sentence: str, copy: Path):
    change(copy)
    done = run(copy, "--size", "8x8")
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--size", "8"], "usage: clipfree-bench"),
        (["--repeats", "0"], "usage: clipfree-bench"),
        (["--help"], "usage: clipfree-bench"),
        (["--threads", "900"], "900 threads need as many cores, this program may use"),
    ],
)
def test_words_that_cannot_be_meant(words: list[str], sentence: str, folder: Path):
    done = run(folder, *words)
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """A network of which a part is float: its channels are split, and its end is a softmax of them."""
    from toolchain.workflows.deploy import Request, deploy

    out, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    nodes = [
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1),
        helper.make_node("Concat", ["b", "a"], ["mixed"], axis=1),
        helper.make_node("Conv", ["mixed", "w"], ["wide"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["wide"], ["large"], blocksize=2, mode="CRD"),
        helper.make_node("Resize", ["x", "", "scales"], ["smooth"], mode="linear"),
        helper.make_node("Add", ["large", "smooth"], ["sharp"]),
        helper.make_node("Softmax", ["sharp"], ["y"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(rng.normal(0, 0.02, (12, 3, 3, 3)).astype(np.float32), "w"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        numpy_helper.from_array(np.array([1, 2], np.int64), "parts"),
    ]
    ends = [helper.make_tensor_value_info(name, 1, [1, 3, f"h{name}", f"w{name}"]) for name in "xy"]
    graph = helper.make_graph(nodes, "mixed", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), out / "net.onnx")
    return open_bundle(deploy(Request(out / "net.onnx", out, photo_folder, value_range="0..1", settings=QUICK)).path)


def test_a_network_of_which_a_part_is_float_may_be_off_by_as_much_as_elsewhere(mixed: Bundle, tmp_path: Path):
    assert mixed.manifest.coverage.float_operators
    build_standalone(mixed, tmp_path / "out")
    assert 0 <= timed(run(tmp_path / "out", "--size", "8x8"))["difference"] <= FLOAT_TOLERANCE
    path = tmp_path / "out" / "expected.ppm"
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for off, fits in ((FLOAT_TOLERANCE - 1, True), (100, False)):
        path.write_bytes((data ^ np.where(np.arange(data.size) == data.size - 1, off, 0)).astype(np.uint8).tobytes())
        assert (run(tmp_path / "out", "--size", "8x8").returncode == 0) is fits


@pytest.mark.parametrize(
    "missing",
    [
        {"needs": {"fopen"}},
        {"defines": {"__TVMBackendRunOnce": 4096}},
        {"program": (b"null_value", b"null_velue")},
        {"program": (b"alloc_storage", b"alloc_starage")},
        {"program": (b"shape_func", b"shape_fonc")},
    ],
)
def test_what_only_tvm_has_is_told_before_anything_is_packed(missing: Any, real_bundle: Bundle):
    library = read_library(real_bundle.path / "model.so")
    old, new = missing.get("program", (b"", b""))
    assert old in library.bytes_from("__tvm_ffi__library_bin")
    changed = replace(
        library,
        needs=library.needs | missing.get("needs", set()),
        defines={**library.defines, **missing.get("defines", {})},
        segments=tuple((start, data.replace(old, new) if old else data) for start, data in library.segments),
    )
    check_library(library, "x86_64-linux-gnu", "model.so")
    what = r"(fopen|\w*RunOnce|vm\.builtin\.null_velue|vm\.builtin\.alloc_starage|shape_fonc)"
    with pytest.raises(BundleError, match=rf"^model\.so needs {what}, which the program without TVM does not have"):
        check_library(changed, "x86_64-linux-gnu", "model.so")


def test_the_lists_are_what_the_program_has(folder: Path):
    assert "__aeabi_ldivmod" not in _listed("IMPORTS")
    assert "__aeabi_ldivmod" in _listed("ARMV7A_IMPORTS")
    assert "getauxval" in _listed("AARCH64_IMPORTS")
    assert _listed("X86_64_IMPORTS") == frozenset()


@pytest.mark.emulator
def test_parts_that_stay_float_on_32_bit_arm(photo_folder: Path, tmp_path: Path):
    """Rows by their lengths, and a softmax: floats, with exponential functions and square roots."""
    from toolchain.workflows.deploy import Request, deploy

    words = emulator(find_target("cortex-a7"))
    b = Builder(1)
    x = b.conv("input", 3, 8, identity=3)
    x = b.node("Mul", x, b.node("Sigmoid", b.conv(x, 8, 8)))
    rows = b.node("ReduceMean", b.node("Mul", x, x), axes=[3], keepdims=1)
    x = b.node("Div", x, b.node("Sqrt", b.node("Add", rows, b.const(1.0))))
    x = b.node("Elu", b.node("Mul", x, b.node("HardSigmoid", b.node("GlobalAveragePool", x))))
    x = b.node("Mul", x, b.node("Softmax", b.conv(x, 8, 8), axis=1))
    weights = b.const(np.random.default_rng(0).normal(0, 0.1, (8, 3, 4, 4)))
    x = b.node("ConvTranspose", x, weights, kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1])
    b.node("Add", x, b.node("Resize", "input", "", b.const([1, 1, 2, 2]), mode="linear"), out="output")
    onnx.save(b.model(3, 2), tmp_path / "net.onnx")
    request = Request(
        tmp_path / "net.onnx", tmp_path, photo_folder, target="cortex-a7", value_range="0..1", settings=QUICK
    )
    bundle = open_bundle(deploy(request).path, for_this_machine=False)
    assert {"softmax", "divide", "sqrt"} <= set(bundle.manifest.coverage.float_operators)
    build_standalone(bundle, tmp_path / "out")
    pixels = photograph(37, 53, 7)
    Image.fromarray(pixels).save(tmp_path / "in.ppm")
    done = run(tmp_path / "out", "--upscale", str(tmp_path / "in.ppm"), str(tmp_path / "out.ppm"), emulator=words)
    assert done.returncode == 0, done.stderr
    found, expected = np.asarray(Image.open(tmp_path / "out.ppm")), IntegerReference(bundle.model()).run(pixels)
    assert np.abs(found.astype(int) - expected).max() <= FLOAT_TOLERANCE
    assert (found != expected).mean() < 0.01


def test_what_cannot_be_packed(real_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gpu = open_bundle(write(tmp_path / "a.clipfree", target=find_target("mali-g78")), for_this_machine=False)
    with pytest.raises(BundleError, match="holds OpenCL kernels, no library for a CPU"):
        build_standalone(gpu, tmp_path / "out")
    bare = open_bundle(write(tmp_path / "b.clipfree"), for_this_machine=False)
    with pytest.raises(BundleError, match=r"model\.so has no C interface; deploy the model again where"):
        build_standalone(bare, tmp_path / "out")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds something else than clipfree-bench; choose another place"):
        build_standalone(real_bundle, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TargetError, match=r"no C compiler for .*pip install ziglang"):
        build_standalone(real_bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()
