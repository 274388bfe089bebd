"""A CMake package: what `find_package` and pkg-config look for, and an example. It may lie anywhere."""

from __future__ import annotations

from toolchain.package.contents import Contents, Files, licence_text
from toolchain.package.prefix import Layout, prefix_files
from toolchain.support.resources import shipped

_PROGRAM = "upscale.c"


def cmake_package(contents: Contents) -> Files:
    """Return the files of a prefix that ``CMAKE_PREFIX_PATH`` may name.

    Raises:
        InputError: there are several bundles, or it is for macOS.
        BundleError: the library has no room for its name.
        TargetError: what makes import libraries for Windows is not there.
    """
    share, part = f"share/{contents.name}", contents.only("CMake")
    if part.system != "Windows":
        part.demand_linux("CMake packages: its name is signed, and cannot be changed")
    return {
        **prefix_files(contents, part, Layout()),
        f"{share}/LICENSE": licence_text(),
        f"{share}/example/CMakeLists.txt": contents.fill("cmake/CMakeLists.txt").encode(),
        f"{share}/example/{_PROGRAM}": (shipped("examples") / _PROGRAM).read_bytes(),
    }
