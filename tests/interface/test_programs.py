"""Programs in C and C++ on the C interface, on this machine, under sanitizers, and for Arm under QEMU."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.arm import emulator
from tests.interface.formats import ALL, Kind, Upscale, laid_out, made, noise_planes
from tests.interface.library import InterfaceError, Network, load, opened, random_picture
from tests.lower.compiled import compiled
from tests.lower.nets import Net
from tests.sr_models import espcn
from tests.watching import FLAGS, SETTINGS, need
from toolchain.backends.c_sources import SHARED
from toolchain.backends.cpu import interface
from toolchain.bundle import open_bundle
from toolchain.cli import main
from toolchain.images.geometry import Geometry
from toolchain.quantize import IntegerReference
from toolchain.support.errors import TargetError
from toolchain.targets import Target, find_target, list_targets
from toolchain.targets.linker import Linker, find_c_compiler

PROGRAM = Path(__file__).with_name("program.c")
EXAMPLES = Path(__file__).parents[2] / "examples"
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", f"-I{SHARED}", "-pthread")
C, CPP = ("-xc", "-std=c99", "-D_POSIX_C_SOURCE=200809L"), ("-xc++", "-std=c++11")
SIZE = (45, 38)

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


def streams() -> onnx.ModelProto:
    net = Net()
    return net.model(net.conv(net.conv(net.input, 8), 12), 2)


def runs_layer_by_layer() -> onnx.ModelProto:
    """Its mean over the whole picture keeps it from streaming."""
    net = Net()
    x = net.conv(net.input, 8)
    return net.model(net.conv(net.add(x, net.quantized(net.node("GlobalAveragePool", x.name), 8)), 12), 2)


def library(model: onnx.ModelProto, folder: Path, target: Target, *flags: str, linker: Linker | None = None) -> Path:
    """A library for ``target``, its interface compiled with ``flags``."""
    linker = linker or find_c_compiler(target.triple)
    path = folder / "model.so"
    made = compiled(model, target)
    assert made.export(path, replace(linker, command=(*linker.command, *flags)), "net", Geometry(3, 2)) == ()
    return path


def run(
    model: onnx.ModelProto,
    path: Path,
    command: Sequence[str],
    emulated: Sequence[str] = (),
    size: tuple[int, int] = SIZE,
    **environment: str,
) -> str:
    """Compile the program and compare what it makes of noise; returns what it says."""
    program = path.with_name("program")
    subprocess.run([*command, str(PROGRAM), "-o", str(program), "-ldl"], check=True)
    done = subprocess.run(
        [*emulated, str(program), str(path), *map(str, size)],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=240,
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, said
    count = np.arange(size[0] * size[1] * 3, dtype=np.uint64)
    noise = (count * count >> np.uint64(3)).astype(np.uint8).reshape(*size, 3)
    run_reference = IntegerReference(model).run
    expected = run_reference(noise)
    written = np.frombuffer(done.stdout, np.uint8)
    np.testing.assert_array_equal(written[: expected.size].reshape(expected.shape), expected)
    check_formats(written[expected.size :], run_reference, size)
    return said


def check_formats(written: np.ndarray, run_reference: Upscale, size: tuple[int, int]) -> None:
    """What the program has written of pictures of several formats."""
    for before, after in itertools.product(ALL, ALL):
        if (before + 2 * after) % 5:
            continue
        kinds = Kind(before, "bt709"), Kind(after, "bt709")
        expected = laid_out(made(noise_planes(kinds[0], *size), *kinds, run_reference, 3, 2), kinds[1])
        for plane in expected:
            own, written = written[: plane.nbytes], written[plane.nbytes :]
            np.testing.assert_array_equal(own.view(plane.dtype).reshape(plane.shape), plane, err_msg=f"{kinds}")
    assert written.size == 0


@pytest.mark.parametrize("make", [streams, runs_layer_by_layer])
@pytest.mark.parametrize("language", [("cc", *C), ("c++", *CPP)], ids=["C", "C++"])
def test_a_program(language: Sequence[str], make: object, tmp_path: Path):
    model = make()  # type: ignore[operator]
    run(model, library(model, tmp_path, find_target("host")), [*language, *STRICT])


@pytest.mark.sanitizer
@pytest.mark.parametrize("make", [streams, runs_layer_by_layer])
@pytest.mark.parametrize("flags", [FLAGS, ("-fsanitize=thread", "-g", "-O1")], ids=["memory", "threads"])
def test_sanitized(flags: Sequence[str], make: object, tmp_path: Path):
    need()
    model = make()  # type: ignore[operator]
    path = library(model, tmp_path, find_target("host"), *flags)
    settings = {**SETTINGS, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", "TSAN_OPTIONS": "halt_on_error=1"}
    assert run(model, path, ["cc", *C, *STRICT, *flags], **settings) == ""


@pytest.mark.emulator
@pytest.mark.parametrize("name", ["aarch64", "cortex-a76", "neoverse-v2", "cortex-a7"])
def test_on_arm(name: str, tmp_path: Path):
    target = find_target(name)
    words = emulator(target)
    linker = find_c_compiler(target.triple)
    model = streams()
    path = library(model, tmp_path, target, linker=linker)
    run(model, path, [*linker.command, *C, *STRICT], words, (20, 33))


def test_a_library_for_another_processor(tmp_path: Path):
    """It says so, before any instruction is met that is not there."""
    host = find_target("host")
    never = {"x86_64": "xop", "aarch64": "sveb16b16"}[host.triple.split("-")[0]]
    path = library(streams(), tmp_path, replace(host, requires=(*host.requires, never)))
    with pytest.raises(InterfaceError, match=f"WRONG_CPU.*this processor lacks {never}, which the library uses"):
        Network(load(path))


def test_what_targets_require_is_known():
    text = (SHARED.parent / "cpu" / "native" / "processor.c").read_text()
    words = {word for target in list_targets() if target.gpu is None for word in target.requires}
    assert words <= set(re.findall(r'\{"(\w+)"', text))


def test_what_only_tvm_has_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interface, "lacking", lambda library: ("vm.builtin.sort",))
    path = tmp_path / "model.so"
    made = compiled(streams())
    (warning,) = made.export(path, find_c_compiler(find_target("host").triple), "net", Geometry(3, 2))
    assert warning == "programs in C cannot run model.so: it needs vm.builtin.sort, which only TVM's runtime has"
    with pytest.raises(InterfaceError, match=r"UNSUPPORTED.*needs vm\.builtin\.sort, which only TVM's runtime has"):
        Network(load(path))


def test_names_of_all_kinds(tmp_path: Path):
    name = 'a "net"\\n??/ of Zoë\t%s'
    path = tmp_path / "model.so"
    assert compiled(streams()).export(path, find_c_compiler(find_target("host").triple), name, Geometry(3, 2)) == ()
    with opened(path) as network:
        assert network.info.name.decode() == name


def test_libraries_are_made_where_no_cache_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert library(streams(), tmp_path, find_target("host")).is_file()


def globals_of(archive: Path, kinds: str) -> set[str]:
    """Symbols of an archive that others see, of some kinds."""
    listed = subprocess.run(["nm", "-g", str(archive)], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines() if line and not line.endswith(":")]
    return {row[-1] for row in rows if row[-2] in kinds}


@pytest.mark.parametrize(
    "name",
    [
        "host",
        pytest.param("aarch64", marks=pytest.mark.emulator),
        pytest.param("cortex-a7", marks=pytest.mark.emulator),
    ],
)
def test_a_static_library(name: str, tmp_path: Path):
    target = find_target(name)
    words = [] if name == "host" else emulator(target)
    linker, model, path = find_c_compiler(target.triple), streams(), tmp_path / "libmodel.a"
    compiled(model, target).archive(path, linker, "net", Geometry(3, 2))
    own = {f"clipfree_{each}" for each in ("open", "close", "upscale", "get_functions")}
    defined = globals_of(path, "TDBRVW")
    assert own <= defined
    assert all(re.match(r"clipfree_|_?_?tvm_ffi_|__TVM|__(trunc|extend)", symbol) for symbol in defined), defined
    sources = [str(EXAMPLES / "upscale.c"), "-xnone", str(path)]
    ends = ["-static", "-lm", "-pthread", "-o", str(tmp_path / "upscale")]
    subprocess.run([*linker.command, *C, *STRICT, *sources, *ends], check=True)
    pixels = random_picture((19, 23, 3))
    Image.fromarray(pixels).save(tmp_path / "small.ppm")
    subprocess.run([*words, str(tmp_path / "upscale"), "small.ppm", "large.ppm"], check=True, cwd=tmp_path)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), IntegerReference(model).run(pixels))


def test_a_bundle_with_a_static_library(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    onnx.save(espcn(2, 3, width=8), tmp_path / "net.onnx")
    words = ["deploy", str(tmp_path / "net.onnx"), "--calib", str(photo_folder), "-o", str(tmp_path), "--static"]
    assert main([*words, "--target", "mali-g78"]) == 5
    assert "there are no static libraries for OpenCL devices; leave out --static" in capsys.readouterr().err
    assert main([*words, "--budget", "0"]) == 0
    assert "libmodel.a" in open_bundle(tmp_path / "net.clipfree").manifest.files
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match=r"no objcopy on this machine.*`apt install binutils`, or leave out --static"):
        interface.archive_tools(find_target("host").triple)
