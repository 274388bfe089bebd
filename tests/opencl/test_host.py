"""The host part of OpenCL bundles: the same bytes on a board and in an app, and sentences where a part is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests import boards, sr_models
from tests.answers import document
from tests.arm import emulator
from tests.boards import Running, have_compiler
from tests.lower.compiled import picture
from tests.lower.nets import FINE, Net
from tests.lower.products import POOLED, Ending
from tests.opencl.devices import device, environment, made
from tests.opencl.test_networks import two_stages
from tests.opencl.test_places import attending
from tests.standin import QUICK
from tests.test_fractions import half_again
from toolchain.backends.opencl.host import compile_sources, write_sources
from toolchain.backends.opencl.prelude import prelude
from toolchain.board.board import Board
from toolchain.board.place import Place
from toolchain.bundle import Bundle, open_bundle
from toolchain.cli import main
from toolchain.quantize import IntegerReference
from toolchain.runtime.measure import TimingPlan
from toolchain.runtime.opencl.device import device_name
from toolchain.support.errors import BoardError, BundleError, TargetError
from toolchain.targets import find_target
from toolchain.targets.elf import check_library
from toolchain.targets.linker import find_c_compiler
from toolchain.workflows.deploy import Request, deploy

EXAMPLE = Path(__file__).parents[2] / "examples" / "upscale_opencl.c"
HERE, ARM = "x86_64-linux-gnu", "aarch64-linux-gnu"

pytestmark = pytest.mark.skipif(not have_compiler, reason="there is no C compiler here")


@pytest.fixture(scope="module")
def drivers() -> dict[str, str]:
    return environment()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, drivers: Mapping[str, str]) -> Bundle:
    """A small network for this machine's processor."""
    out = tmp_path_factory.mktemp("host")
    onnx.save(sr_models.espcn(2, 3, width=8), out / "net.onnx")
    done = deploy(Request(out / "net.onnx", out, photo_folder, target="opencl-cpu", settings=QUICK))
    assert done.warnings == ()
    return open_bundle(done.path, for_this_machine=False)


@pytest.fixture
def board(pack: Path, tmp_path: Path, drivers: Mapping[str, str]) -> Iterator[Running]:
    with boards.board(pack, tmp_path / "board", env=drivers) as running:
        yield running


def test_on_a_board(board: Running, bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    picture, expected = bundle.golden()
    with Board(Place(board.address)) as there:
        there.load_opencl(bundle, "opencl-cpu")
        np.testing.assert_array_equal(there.upscale(picture), expected)
        assert there.cpu.name == device_name(device())
        assert len(there.times(picture, 1, TimingPlan(repeats=3))) == 3
        functions = there.functions(picture, 1, 2)
        assert functions.keys() == set(bundle.manifest.kernels)
        assert all(0 < seconds < 10 for seconds in functions.values())
        there.load_opencl(bundle)  # another size, and a second time
        np.testing.assert_array_equal(there.upscale(picture[:20, :30])[:30, :50], expected[:30, :50])
        with pytest.raises(BoardError, match="OpenCL finds no GPU on this device"):
            there.load_opencl(bundle, "opencl-gpu")
        with pytest.raises(TargetError, match="--device cuda is not known"):
            there.load_opencl(bundle, "cuda")
        with pytest.raises(TargetError, match="start it with CLIPFREE_OPENCL_DEVICE=pocl in its environment"):
            there.load_opencl(bundle, "opencl-cpu:pocl")
    on = [str(bundle.path), "--rpc", str(board.address)]
    assert main(["verify", *on, "--json"]) == 0
    assert document(capsys)["equal"] is True
    assert main(["bench", *on, "--threads", "2"]) == 2
    assert "an OpenCL device has no --threads" in capsys.readouterr().err


def test_a_board_without_opencl(pack: Path, bundle: Bundle, tmp_path: Path):
    nothing = {**os.environ, "CLIPFREE_OPENCL": "libabsent.so"}
    with (
        boards.board(pack, tmp_path / "board", env=nothing) as running,
        Board(Place(running.address)) as there,
        pytest.raises(BoardError, match=r"the board at .*: the OpenCL driver libabsent\.so cannot be loaded"),
    ):
        there.load_opencl(bundle)


def test_what_a_board_cannot_load(board: Running, real_bundle: Bundle, bundle: Bundle, tmp_path: Path):
    with Board(Place(board.address)) as there:
        with pytest.raises(BundleError, match="no OpenCL kernels; leave --device away"):
            there.load_opencl(real_bundle)
        files = {name: record for name, record in bundle.manifest.files.items() if name != "model.so"}
        bare = Bundle(bundle.path, type(bundle.manifest)(**{**vars(bundle.manifest), "files": files}))
        with pytest.raises(BundleError, match=r"made without model\.so, for want of a C compiler for x86_64-linux-gnu"):
            there.load_opencl(bare)


def program(folder: Path, library: Path, headers: Path, triple: str = HERE) -> Path:
    """The example, compiled as its comment says, beside the library."""
    path = folder / "upscale_opencl"
    (folder / "model.so").symlink_to(library)
    command = [
        *find_c_compiler(triple).command,
        "-std=c99",
        "-Wall",
        "-Werror",
        str(EXAMPLE),
        "-I",
        str(headers),
        str(library),
        "-ldl",
        "-Wl,-rpath,$ORIGIN",
        "-o",
        str(path),
    ]
    subprocess.run(command, check=True)
    return path


def app_of(bundle: Bundle, folder: Path) -> Path:
    return program(folder, bundle.path / "model.so", bundle.path / "opencl" / "host")


def said(words: list[str], folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """What it says when it fails."""
    (folder / "in.ppm").write_bytes(b"P6\n3 2\n255\n" + bytes(18))
    done = subprocess.run(
        [*words, folder / "in.ppm", folder / "out.ppm"], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 1
    return done.stderr


def test_in_an_app(bundle: Bundle, drivers: Mapping[str, str], tmp_path: Path):
    app = app_of(bundle, tmp_path)
    picture, expected = bundle.golden()
    Image.fromarray(picture).save(tmp_path / "small.ppm")
    words = [app, tmp_path / "small.ppm", tmp_path / "large.ppm"]
    done = subprocess.run(words, check=True, timeout=60, env=drivers, capture_output=True, text=True)
    assert done.stdout.startswith("on "), "which device it was"
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), expected)
    other = {**drivers, "CLIPFREE_OPENCL": "libm.so.6"}
    assert "libm.so.6 is no driver of OpenCL 1.2: it has no cl" in said([str(app)], tmp_path, other)
    short = tmp_path / "short.ppm"
    short.write_bytes(b"P6\n3 2\n255\n" + bytes(17))
    done = subprocess.run([app, short, "out"], capture_output=True, text=True, env=drivers)
    assert done.stderr.endswith("short.ppm ends early\n")


def test_tensors_of_any_size_in_an_app(drivers: Mapping[str, str], photo_folder: Path, tmp_path: Path):
    """Of sizes that follow by rounding down, with a border, and zero points of two different bytes."""
    net = Net()
    x = net.windowed(net.conv(net.input, 8, scale=FINE, zero=300), 1, 1, 1, 1, "reflect")
    model = net.model(net.conv(attending(net, net.conv(x, 8, pads=[0, 0, 0, 0])), 12), 2)
    onnx.save(model, tmp_path / "net.onnx")
    done = deploy(Request(tmp_path / "net.onnx", tmp_path / "out", photo_folder, target="opencl-cpu"))
    app = app_of(open_bundle(done.path, for_this_machine=False), tmp_path)
    pixels = picture(21, 34, 3, 0)
    Image.fromarray(pixels).save(tmp_path / "small.ppm")
    subprocess.run([app, tmp_path / "small.ppm", tmp_path / "large.ppm"], check=True, timeout=60, env=drivers)
    expected = IntegerReference(open_bundle(done.path, for_this_machine=False).model()).run(pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), expected)
    assert "a picture has a size that the network does not take" in said([str(app)], tmp_path, drivers)


def test_half_as_large_again_in_an_app(drivers: Mapping[str, str], photo_folder: Path, tmp_path: Path):
    onnx.save(half_again(), tmp_path / "net.onnx")
    request = Request(tmp_path / "net.onnx", tmp_path / "out", photo_folder, target="opencl-cpu", value_range="0..1")
    bundle = open_bundle(deploy(replace(request, settings=QUICK)).path, for_this_machine=False)
    pixels = picture(9, 15, 3, 0)
    Image.fromarray(pixels).save(tmp_path / "small.ppm")
    words = [app_of(bundle, tmp_path), tmp_path / "small.ppm", tmp_path / "large.ppm"]
    subprocess.run(words, check=True, timeout=60, env=drivers)
    found = np.asarray(Image.open(tmp_path / "large.ppm"))
    assert found.shape == (13, 22, 3)
    np.testing.assert_array_equal(found, IntegerReference(bundle.model()).run(pixels))


LIMITED = """
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
typedef int32_t ask(void *, void *, uint32_t, size_t, void *, size_t *);
int32_t clGetKernelWorkGroupInfo(void *kernel, void *device, uint32_t what, size_t size, void *value, size_t *real) {
  int32_t code = ((ask *)dlsym(RTLD_NEXT, "clGetKernelWorkGroupInfo"))(kernel, device, what, size, value, real);
  if (GROUP) *(size_t *)value = GROUP;
  return code;
}
int32_t clGetDeviceInfo(void *device, uint32_t what, size_t size, void *value, size_t *real) {
  typedef int32_t told(void *, uint32_t, size_t, void *, size_t *);
  int32_t code = ((told *)dlsym(RTLD_NEXT, "clGetDeviceInfo"))(device, what, size, value, real);
  if (what == 0x1010 && LARGEST) *(uint64_t *)value = LARGEST;
  if (what == 0x1005 && ITEMS) ((size_t *)value)[0] = ITEMS;
  if (what == 0x1000 && PLAIN_GPU) *(uint64_t *)value = 4;
  if (what == 0x101B && CRUDE) *(uint64_t *)value = 8;
  return code;
}
"""
"""A driver in front of the real one, that tells other limits."""


def limited(folder: Path, drivers: Mapping[str, str], **limits: int) -> dict[str, str]:
    """Variables by which programs find that driver."""
    source, library = folder / "limited.c", folder / "limited.so"
    source.write_text("#define _GNU_SOURCE\n" + LIMITED)
    words = [f"-D{name}={limits.get(name, 0)}" for name in ("GROUP", "LARGEST", "ITEMS", "CRUDE", "PLAIN_GPU")]
    real = Path(drivers["CLIPFREE_OPENCL"])
    command = [
        "cc",
        *words,
        "-shared",
        "-fPIC",
        "-Wl,--no-as-needed",
        str(source),
        str(real),
        f"-Wl,-rpath,{real.parent}",
        "-o",
        str(library),
    ]
    subprocess.run(command, check=True)
    return {**drivers, "CLIPFREE_OPENCL": str(library)}


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"LARGEST": 17}, "cannot hold a tensor of 0 MB; use smaller tiles"),
        ({"CRUDE": 1}, "does not round float32 to nearest, which the kernels rely on"),
    ],
)
def test_limits_of_a_device(
    limits: dict[str, int], sentence: str, bundle: Bundle, drivers: Mapping[str, str], tmp_path: Path
):
    app = app_of(bundle, tmp_path)
    assert sentence in said([str(app)], tmp_path, limited(tmp_path, drivers, **limits))


@pytest.mark.parametrize("limits", [{"GROUP": 4}, {"GROUP": 1}, {"ITEMS": 2}, {"GROUP": 3, "ITEMS": 5}])
def test_work_groups_follow_the_device(
    limits: dict[str, int], bundle: Bundle, drivers: Mapping[str, str], tmp_path: Path
):
    app = app_of(bundle, tmp_path)
    picture, expected = bundle.golden()
    Image.fromarray(picture).save(tmp_path / "small.ppm")
    subprocess.run(
        [app, tmp_path / "small.ppm", tmp_path / "large.ppm"],
        check=True,
        timeout=60,
        env=limited(tmp_path, drivers, **limits),
    )
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), expected)


def test_one_of_several_devices(bundle: Bundle, drivers: Mapping[str, str], tmp_path: Path):
    app = app_of(bundle, tmp_path)
    Image.fromarray(bundle.golden()[0]).save(tmp_path / "small.ppm")
    platform = device().platform.name.strip()
    named = {**drivers, "CLIPFREE_OPENCL_DEVICE": platform.swapcase()[:10]}
    words = [app, tmp_path / "small.ppm", tmp_path / "large.ppm"]
    done = subprocess.run(words, env=named, capture_output=True, text=True, timeout=60)
    assert f"({platform})" in done.stdout
    absent = {**drivers, "CLIPFREE_OPENCL_DEVICE": "mali"}
    assert "OpenCL finds no processor called 'mali' on this device" in said([str(app)], tmp_path, absent)


def test_a_gpu_without_float16(bundle: Bundle, drivers: Mapping[str, str], tmp_path: Path):
    request = Request(
        bundle.path.parent / "net.onnx", tmp_path, target="opencl-cpu", precision="float16", value_range="0..1"
    )
    wide = open_bundle(deploy(request).path, for_this_machine=False)
    app = app_of(wide, tmp_path)
    picture, expected = wide.golden()
    Image.fromarray(picture).save(tmp_path / "small.ppm")
    for variables, lacking in ((drivers, False), (limited(tmp_path, drivers, PLAIN_GPU=1), True)):
        done = subprocess.run(
            [app, tmp_path / "small.ppm", tmp_path / "large.ppm"],
            capture_output=True,
            text=True,
            env=variables,
            check=True,
        )
        assert ("without cl_khr_fp16: tensors are float32" in done.stdout) is lacking
        found = np.asarray(Image.open(tmp_path / "large.ppm")).astype(int)
        assert np.abs(found - expected).max() <= 1


def sources(folder: Path, nonsense: str = "") -> Path:
    """The sources of a network's host part, whose last kernel may not compile."""
    net = Net()
    found = made(net.model(net.conv(net.conv(net.input, 4), 12), 2), "mali-g78")
    kernels = {kernel.name: prelude(integer_dot=False) + kernel.code for kernel in found.kernels}
    kernels[found.kernels[-1].name] += nonsense
    write_sources(folder, found.plan, kernels, found.constants)
    return folder


def test_a_kernel_that_does_not_build_is_named(drivers: Mapping[str, str], tmp_path: Path):
    headers = sources(tmp_path / "host", 'void f() { int a = 0["\\\\"] + unknown; }\n')
    (tmp_path / "made").mkdir()
    compile_sources(headers, tmp_path / "made.so", find_c_compiler(HERE))
    app = program(tmp_path / "made", tmp_path / "made.so", headers)
    told = said([str(app)], tmp_path, drivers)
    assert "cannot build the kernel conv1_3x3_4to12: OpenCL error -11: " in told
    assert "unknown" in told


@pytest.mark.parametrize("end", [two_stages, lambda net: net.conv(POOLED["attention"](net), 3)])
def test_tensors_of_other_sizes_and_of_a_single_pixel(end: Ending, drivers: Mapping[str, str], tmp_path: Path):
    net = Net()
    model = net.model(end(net))
    found = made(model, "opencl-cpu")
    kernels = {kernel.name: prelude(integer_dot=False) + kernel.code for kernel in found.kernels}
    write_sources(tmp_path / "host", found.plan, kernels, found.constants)
    compile_sources(tmp_path / "host", tmp_path / "made.so", find_c_compiler(HERE))
    (tmp_path / "made").mkdir()
    app, pixels = program(tmp_path / "made", tmp_path / "made.so", tmp_path / "host"), picture(13, 21, 3)
    Image.fromarray(pixels).save(tmp_path / "small.ppm")
    words = [app, tmp_path / "small.ppm", tmp_path / "large.ppm"]
    done = subprocess.run(words, check=True, timeout=60, env=drivers, capture_output=True, text=True)
    assert done.stdout.startswith("on "), "which device it was"
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), IntegerReference(model).run(pixels))


@pytest.mark.parametrize("name", ["mali-g52", "mali-g610", "mali-g78", "adreno-640", "adreno-740"])
def test_for_phones(name: str, tmp_path: Path):
    triple = find_target(name).triple
    try:
        compiler = find_c_compiler(triple)
    except TargetError as error:
        pytest.skip(str(error))
    compile_sources(sources(tmp_path / "host"), tmp_path / "model.so", compiler)
    assert str(check_library(tmp_path / "model.so", triple)) == "ELF 64-bit aarch64 shared library"


@pytest.mark.emulator
def test_an_arm_device_without_opencl(tmp_path: Path):
    command = emulator(find_target("cortex-a76"))
    headers = sources(tmp_path / "host")
    compile_sources(headers, tmp_path / "made.so", find_c_compiler(ARM))
    (tmp_path / "made").mkdir()
    app = program(tmp_path / "made", tmp_path / "made.so", headers, ARM)
    assert "there is no OpenCL on this device: neither libOpenCL.so.1 nor" in said([*command, str(app)], tmp_path)


def test_without_a_compiler_the_bundle_says_so(
    bundle: Bundle,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    assert main(["targets", "doctor", "opencl-cpu", "--json"]) == 0
    assert document(capsys)["linker"]
    (tmp_path / "aarch64-linux-gnu-ld").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "aarch64-linux-gnu-ld").chmod(0o755)
    if real := shutil.which("ld"):
        (tmp_path / "ld").symlink_to(real)  # PoCL calls it
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = deploy(Request(bundle.path.parent / "net.onnx", tmp_path, photo_folder, target="mali-g78", settings=QUICK))
    assert main(["targets", "doctor", "mali-g78"]) == 0
    assert "runs them there: left out: there is no C compiler for aarch64-linux-android" in capsys.readouterr().out
    assert not (done.path / "model.so").exists()
    assert (done.path / "opencl" / "host" / "clipfree_opencl.h").exists()
    assert any(
        "made without model.so, which boards and apps use: there is no C compiler for aarch64-linux-android" in w
        and "apt install gcc-aarch64-linux-gnu" in w
        for w in done.warnings
    )
