"""Library, headers, and what CMake and pkg-config look for, as they lie under a prefix such as ``/usr``."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from toolchain.package.contents import Contents, Files, Part

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
    """
    name, lib, include = contents.name, layout.lib, layout.include
    files = {f"{include}/{header}": data for header, data in part.headers().items()}
    files[f"{lib}/{contents.library}"] = part.named(contents.library)
    static, archive = "", part.archive()
    if archive is not None:
        library = f"{lib}/lib{name}.a"
        files[library] = archive
        static = _STATIC.format(name=name, library=library, include=include)
    cmake, pkgconfig = f"{lib}/cmake/{name}", f"{lib}/pkgconfig"
    places = {"library": f"{lib}/{contents.library}", "include": include, "static": static}
    config = contents.fill("cmake/Config.cmake", up=posixpath.relpath(".", cmake), soname=contents.library, **places)
    files[f"{cmake}/{name}Config.cmake"] = config.encode()
    bits = "4" if part.architecture == "armv7a" else "8"
    files[f"{cmake}/{name}ConfigVersion.cmake"] = contents.fill("cmake/ConfigVersion.cmake", pointer=bits).encode()
    told = contents.fill("cmake/network.pc", up=posixpath.relpath(".", pkgconfig), lib=lib, include=include)
    files[f"{pkgconfig}/{name}.pc"] = told.encode()
    return files
