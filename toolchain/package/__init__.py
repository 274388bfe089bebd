"""Packages: a network's library in the form that a build system or an installer takes.

`contents` is what goes into one, whatever its kind; each kind is a file here, with a function that makes files of it.
"""

from collections.abc import Callable

from toolchain.package.android import android_module
from toolchain.package.cmake import cmake_package
from toolchain.package.contents import Contents, Files, Part
from toolchain.package.deb import debian_package
from toolchain.package.wheel import wheel

KINDS: dict[str, Callable[[Contents], Files]] = {
    "cmake": cmake_package,
    "android": android_module,
    "python": wheel,
    "deb": debian_package,
}
"""What makes the files of each kind of package, by their paths in its folder."""

__all__ = ["KINDS", "Contents", "Files", "Part"]
