"""Library, headers, and what CMake and pkg-config look for, as they lie under a prefix such as ``/usr``."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from toolchain.package.contents import Contents, Files, Part
from toolchain.package.windows import import_library

_STATIC = """
if(NOT TARGET {name}::{name}_static)
  add_library({name}::{name}_static STATIC IMPORTED)
  set_target_properties({name}::{name}_static PROPERTIES
    IMPORTED_LOCATION "${{_{name}_root}}/{library}"
    IMPORTED_LINK_INTERFACE_LANGUAGES "C"
    INTERFACE_INCLUDE_DIRECTORIES "${{_{name}_root}}/{include}"
    INTERFACE_LINK_LIBRARIES "m;pthread")
endif()
"""


@dataclass(frozen=True)
class Layout:
    """Folders under a prefix.

    Attributes:
        lib: of libraries.
        include: of headers.
    """

    lib: str = "lib"
    include: str = "include"


def prefix_files(contents: Contents, part: Part, layout: Layout) -> Files:
    """Return the files under the prefix: none of them says where it is, so they work wherever it lies.

    Raises:
        BundleError: the library has no room for its name.
        TargetError: what makes import libraries for Windows is not there.
    """
    name, lib, include = contents.name, layout.lib, layout.include
    files = {f"{include}/{header}": data for header, data in part.headers().items()}
    if part.system == "Windows":
        library, linked = f"bin/{name}.dll", f"{lib}/{name}.lib"
        files[library], files[linked] = part.read(part.file), import_library(part, f"{name}.dll")
        by_name = f'IMPORTED_IMPLIB "${{_{name}_root}}/{linked}"'
    else:
        library, by_name = f"{lib}/{contents.library}", f'IMPORTED_SONAME "{contents.library}"'
        files[library] = part.named(contents.library)
    static, archive = "", part.archive()
    if archive is not None:
        at = f"{lib}/lib{name}.a"
        files[at] = archive
        static = _STATIC.format(name=name, library=at, include=include)
    cmake, pkgconfig = f"{lib}/cmake/{name}", f"{lib}/pkgconfig"
    places = {"library": library, "linked": by_name, "include": include, "static": static}
    config = contents.fill("cmake/Config.cmake", up=posixpath.relpath(".", cmake), **places)
    files[f"{cmake}/{name}Config.cmake"] = config.encode()
    bits = "4" if part.architecture == "armv7a" else "8"
    files[f"{cmake}/{name}ConfigVersion.cmake"] = contents.fill("cmake/ConfigVersion.cmake", pointer=bits).encode()
    told = contents.fill("cmake/network.pc", up=posixpath.relpath(".", pkgconfig), lib=lib, include=include)
    files[f"{pkgconfig}/{name}.pc"] = told.encode()
    return files
