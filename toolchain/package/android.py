"""A module for Android apps: libraries of one or more architectures, the natives compiled, Java and Kotlin, for Gradle.

Apps compile nothing in C, and need no NDK. The natives are compiled here, against headers of our own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from toolchain.backends.c_sources import C_FLAGS, SHARED, stand_in
from toolchain.bundle import LIBRARY
from toolchain.package.contents import Contents, Files, Part, licence_text, template_text
from toolchain.support.errors import BundleError, InputError
from toolchain.support.files import scratch_folder
from toolchain.targets.linker import find_c_compiler

_NATIVE = Path(__file__).with_name("native")
_ABIS = {"aarch64": "arm64-v8a", "armv7a": "armeabi-v7a", "x86_64": "x86_64"}
_PAGE = 16384
"""Bytes of the largest pages, from Android 15 on; devices of 32 bits keep to 4096."""
_SYSTEM = ("libjnigraphics.so", "libandroid.so", "libc.so")
_JAVA = re.compile(
    "abstract|boolean|byte|case|catch|char|const|default|do|double|enum|extends|false|final|float|goto|"
    "implements|instanceof|int|interface|long|native|new|null|package|private|protected|public|short|"
    "static|strictfp|super|switch|synchronized|this|throw|throws|transient|true|void|volatile"
)
"""Words of Java that Python takes for names."""


def android_module(contents: Contents) -> Files:
    """Return the files of a Gradle module.

    Raises:
        InputError: a bundle is not for Android, two are of one architecture, or Java has another meaning for the name.
        BundleError: a library has no room for its name, or does not fit large pages.
        TargetError: the natives cannot be compiled.
    """
    lowered = contents.name.lower()
    if _JAVA.fullmatch(lowered):
        raise InputError(
            f"no package can be called {contents.name!r}: Java has a meaning for it", hint="choose a --name"
        )
    package = f"clipfree.{lowered}"
    files: dict[str, bytes] = {}
    for part in contents.parts:
        folder = f"src/main/jniLibs/{_abi(part)}"
        if f"{folder}/{contents.library}" in files:
            raise InputError(
                f"two bundles are for {_abi(part)}",
                hint="name one of each architecture, and make two modules of a processor's and a GPU's, by --name",
            )
        library = part.named(contents.library)
        files[f"{folder}/{contents.library}"] = library
        files[f"{folder}/lib{contents.name}_jni.so"] = _natives(contents, part, library, package)
    abis = ", ".join(f'"{_abi(part)}"' for part in contents.parts)
    place = package.replace(".", "/")
    for template, path in {
        "build.gradle.kts": "build.gradle.kts",
        "consumer-rules.pro": "consumer-rules.pro",
        "Network.java": f"src/main/java/{place}/Network.java",
        "Networks.kt": f"src/main/kotlin/{place}/Networks.kt",
    }.items():
        files[path] = contents.fill(f"android/{template}", package=package, abis=abis).encode()
    if any(part.target.gpu is not None for part in contents.parts):
        files["src/main/AndroidManifest.xml"] = template_text("android/AndroidManifest.xml").encode()
    return {**files, "LICENSE": licence_text()}


def _abi(part: Part) -> str:
    """Return Android's name of the library's architecture.

    Raises:
        InputError: it is not for Android.
        BundleError: it cannot be loaded where pages are large.
    """
    path, target = part.bundle.path, part.target
    if not part.on_android:
        raise InputError(f"{path} is for {target.name}, not for Android", hint="deploy for android-arm64-v8a")
    if part.architecture != "armv7a" and part.library.alignment < _PAGE:
        raise BundleError(
            f"{path / LIBRARY} does not fit pages of {_PAGE} bytes, which Android has from 15 on",
            hint="deploy the model again with another linker",
        )
    return _ABIS[part.architecture]


def _natives(contents: Contents, part: Part, library: bytes, package: str) -> bytes:
    """Compile what Network.java calls."""
    linker = find_c_compiler(part.target.triple)
    name = f"lib{contents.name}_jni.so"
    own = ("-nostdlib", f"-Wl,-soname,{name}", f"-Wl,-z,max-page-size={_PAGE}", "-Wl,--no-as-needed")
    compiler = replace(linker, flags=(*linker.flags, *linker.inline, *own))
    with scratch_folder() as folder:
        (folder / contents.library).write_bytes(library)
        others = [str(stand_in(linker, folder / system)) for system in _SYSTEM]
        source = [f'-DNETWORK_CLASS="{package.replace(".", "/")}/Network"', f"-I{_NATIVE / 'include'}", f"-I{SHARED}"]
        words = [*C_FLAGS, *source, str(_NATIVE / "network_jni.c"), "-xnone", str(folder / contents.library), *others]
        compiler(str(folder / name), words, linker.helpers)
        return (folder / name).read_bytes()
