"""The module for Android: what is in it, its natives on a stand-in for Java under QEMU, its Java against stubs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.package.conftest import COLOURS, deployed, packed, upscaled
from toolchain.bundle import Bundle
from toolchain.cli import main

APP = Path(__file__).with_name("app.c")
INCLUDE = Path(__file__).parents[2] / "toolchain" / "package" / "native" / "include"
EMULATORS = {"arm64-v8a": ("aarch64-linux-gnu", "aarch64"), "armeabi-v7a": ("arm-linux-gnueabi", "arm")}
_DEBIAN = {"arm64-v8a": "arm64", "armeabi-v7a": "armel"}

pytestmark = pytest.mark.emulator


def need(abi: str) -> None:
    prefix, machine = EMULATORS[abi]
    if shutil.which(f"{prefix}-gcc") is None or not Path("/usr", prefix, "include", "stdio.h").is_file():
        pytest.skip(f"needs a C compiler with headers: apt install gcc-{prefix} libc6-dev-{_DEBIAN[abi]}-cross")
    if shutil.which(f"qemu-{machine}-static") is None:
        pytest.skip(f"needs qemu-{machine}-static: apt install qemu-user-static")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """For phones of 64 bits."""
    need("arm64-v8a")
    words = ("--target", "android-arm64-v8a")
    return deployed(COLOURS, "tiny_x2", photo_folder, tmp_path_factory.mktemp("wide"), *words)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    """For phones of 32 bits."""
    need("armeabi-v7a")
    words = ("--target", "android-armv7")
    return deployed(COLOURS, "tiny_x2", photo_folder, tmp_path_factory.mktemp("narrow"), *words)


@pytest.fixture(scope="module")
def module(wide: Bundle, narrow: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(wide, "android", tmp_path_factory.mktemp("module") / "it", str(narrow.path))


def told(*words: object) -> str:
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=True).stdout


def test_what_is_in_it(module: Path):
    files = {path.relative_to(module).as_posix() for path in module.rglob("*") if path.is_file()}
    libraries = {
        f"src/main/jniLibs/{abi}/{name}" for abi in EMULATORS for name in ("libtiny_x2.so", "libtiny_x2_jni.so")
    }
    texts = {"build.gradle.kts", "consumer-rules.pro", "LICENSE"}
    assert files == {
        *libraries,
        *texts,
        "src/main/java/clipfree/tiny_x2/Network.java",
        "src/main/kotlin/clipfree/tiny_x2/Networks.kt",
    }
    gradle = (module / "build.gradle.kts").read_text()
    assert 'namespace = "clipfree.tiny_x2"' in gradle
    assert 'listOf("arm64-v8a", "armeabi-v7a")' in gradle
    assert not [
        path for path in files if "@" in (module / path).read_text("latin-1") and path.endswith((".kts", ".pro"))
    ]


@pytest.mark.parametrize("abi", EMULATORS)
def test_what_libraries_define_and_need(abi: str, module: Path):
    folder = module / "src/main/jniLibs" / abi
    natives = folder / "libtiny_x2_jni.so"
    defined = told("nm", "-D", "--defined-only", natives).split()[2::3]
    assert defined == ["JNI_OnLoad"]
    needed = set(told("nm", "-D", "--undefined-only", natives).split()) - {"U"}
    ours = {name for name in needed if name.startswith(("clipfree_", "AndroidBitmap_", "AHardwareBuffer_"))}
    assert needed - ours <= {"memset", "memcpy", "__aeabi_memset", "__aeabi_memcpy", "__aeabi_memclr4"}
    assert not [name for name in needed if "@" in name]
    listed = told("readelf", "-d", natives)
    assert re.findall(r"\(SONAME\).*\[(.*)\]", listed) == ["libtiny_x2_jni.so"]
    libraries = ["libtiny_x2.so", "libjnigraphics.so", "libandroid.so", "libc.so"]
    assert re.findall(r"\(NEEDED\).*\[(.*)\]", listed) == libraries
    library = told("readelf", "-d", folder / "libtiny_x2.so")
    assert re.findall(r"\(SONAME\).*\[(.*)\]", library) == ["libtiny_x2.so"]
    assert re.findall(r"\(NEEDED\).*\[(.*)\]", library) == ["libc.so", "libm.so"]
    if abi == "arm64-v8a":
        for path in folder.iterdir():
            alignments = re.findall(r"LOAD(?:\s+0x\w+){5}\s+[RWE ]+(0x\w+)", told("readelf", "-lW", path))
            assert alignments
            assert min(int(alignment, 16) for alignment in alignments) >= 16384
    else:
        assert "soft-float ABI" in told("readelf", "-h", natives)


@pytest.mark.parametrize("abi", EMULATORS)
def test_natives_upscale(abi: str, module: Path, colours: Bundle, photo: Path, tmp_path: Path):
    prefix, machine = EMULATORS[abi]
    compiler, root = f"{prefix}-gcc", Path("/usr", prefix)
    system = tmp_path / "system"
    system.mkdir()
    for name in ("libjnigraphics.so", "libandroid.so"):
        subprocess.run([compiler, "-shared", "-nostdlib", "-xc", "/dev/null", "-o", system / name], check=True)
    for name in ("libc.so", "libm.so"):
        (system / name).symlink_to(root / "lib" / f"{name}.6")
    strict = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-rdynamic", f"-I{INCLUDE}")
    subprocess.run([compiler, *strict, str(APP), "-o", tmp_path / "app", "-ldl"], check=True)
    libraries = f"{system}:{module}/src/main/jniLibs/{abi}"
    command = [f"qemu-{machine}-static", "-L", str(root), "-E", f"LD_LIBRARY_PATH={libraries}", str(tmp_path / "app")]
    words = [*command, "libtiny_x2_jni.so", "photo.ppm", "large.ppm"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "large.ppm")), upscaled(colours, photo))
    name, *errors = done.stdout.splitlines()
    assert name == "clipfree/tiny_x2/Network"
    kinds = [error.partition(": ")[0].rpartition("/")[2] for error in errors]
    state, argument = "IllegalStateException", "IllegalArgumentException"
    assert kinds == [argument, state, argument, argument, argument, argument]
    assert errors[1].endswith("a hardware buffer cannot be locked: its usage must allow the CPU")
    assert errors[3].endswith("bitmaps must be ARGB_8888")


STUBS = {
    "android/graphics/Bitmap.java": """package android.graphics;
public final class Bitmap {
  public enum Config { ARGB_8888 }
  public int getWidth() { return 0; }
  public int getHeight() { return 0; }
  public boolean hasAlpha() { return false; }
  public boolean isPremultiplied() { return false; }
  public void setHasAlpha(boolean has) {}
  public void setPremultiplied(boolean is) {}
  public static Bitmap createBitmap(int width, int height, Config config) { return null; }
}
""",
    "android/hardware/HardwareBuffer.java": "package android.hardware;\npublic final class HardwareBuffer {}\n",
}


def test_java_compiles(module: Path, tmp_path: Path):
    if shutil.which("javac") is None:
        pytest.skip("needs javac")
    for name, text in STUBS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    source = module / "src/main/java/clipfree/tiny_x2/Network.java"
    words = ["javac", "--release", "8", "-Xlint:all,-options", "-Werror", "-d", tmp_path / "out"]
    subprocess.run([*words, *(tmp_path / name for name in STUBS), source], check=True)
    listed = told("javap", "-p", "-s", "-cp", tmp_path / "out", "clipfree.tiny_x2.Network")
    natives = re.findall(r"native \w+ (\w+)\(.*\n\s+descriptor: (\S+)", listed)
    registered = re.findall(r'\{"(\w+)", "(\S+)",', (INCLUDE.parent / "network_jni.c").read_text())
    assert sorted(natives) == sorted(registered)


def test_the_tables_are_those_of_java(tmp_path: Path):
    """Where a JDK is, its own header says where its functions stand."""
    headers = [path.parent for path in Path("/usr/lib/jvm").glob("*/include/jni.h")]
    if not headers or shutil.which("cc") is None:
        pytest.skip("needs a JDK's jni.h")
    names = [("JNINativeInterface_", each) for each in ("FindClass", "ThrowNew", "RegisterNatives")]
    names += [("JNIInvokeInterface_", "GetEnv"), ("JNINativeMethod", "fnPtr"), ("JNINativeMethod", "signature")]
    lines = [
        f'printf("%zu ", offsetof({"" if kind == "JNINativeMethod" else "struct "}{kind}, {name}));'
        for kind, name in names
    ]
    text = "#include <jni.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) { " + " ".join(lines) + " }\n"
    (tmp_path / "places.c").write_text(text)
    places = []
    for flags in ([f"-I{INCLUDE}"], [f"-I{headers[0]}", f"-I{headers[0]}/linux"]):
        subprocess.run(["cc", *flags, "places.c", "-o", "places"], check=True, cwd=tmp_path)
        places.append(told(tmp_path / "places"))
    assert places[0] == places[1]


def test_what_cannot_be_in_it(wide: Bundle, colours: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def refused(*words: object) -> str:
        assert main(["package", *map(str, words), "--as", "android", "-o", str(tmp_path / "o")]) in (2, 6)
        assert not (tmp_path / "o").exists()
        return capsys.readouterr().err

    assert "two bundles are for arm64-v8a; name one of each architecture" in refused(wide.path, wide.path)
    assert "not for Android; deploy for android-arm64-v8a" in refused(colours.path)
    assert "Java has a meaning for it" in refused(wide.path, "--name", "native")
    for kind in ("python", "deb"):
        assert main(["package", str(wide.path), "--as", kind, "-o", str(tmp_path / "o")]) == 2
        assert "--as android makes a folder for apps" in capsys.readouterr().err
