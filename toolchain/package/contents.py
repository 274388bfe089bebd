"""What goes into a package: the libraries of one network, and what the package is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from toolchain.backends.cpu.needs import lacking
from toolchain.bundle import ARCHIVE, FLOAT, HEADER, LIBRARY, QDQ, Bundle, check_interface, library_file
from toolchain.images.scale import Scale
from toolchain.support.errors import BundleError, InputError, TargetError
from toolchain.support.files import scratch_folder
from toolchain.support.resources import shipped
from toolchain.targets import Target, architecture, system
from toolchain.targets.elf import Library
from toolchain.targets.soname import rename

Files: TypeAlias = Mapping[str, bytes]
"""Contents by their paths, with forward slashes."""

_TEMPLATES = Path(__file__).with_name("templates")
_OWN = "Apache-2.0"  # what the library has beside the network: its interface
_NETWORK = "LicenseRef-Network"


@dataclass(frozen=True)
class Part:
    """A library that goes into a package.

    Attributes:
        bundle: that it comes from.
        library: what its file tells of it.
    """

    bundle: Bundle
    library: Library

    @classmethod
    def of(cls, bundle: Bundle) -> Part:
        """Return the library of a bundle, which programs in C can run.

        Raises:
            BundleError: the bundle has none, or it is damaged.
        """
        file = library_file(bundle.manifest.target)
        if file not in bundle.manifest.files:
            raise BundleError(
                f"{bundle.path} holds no {file}, for want of a C compiler when it was made",
                hint="install one and deploy the model again",
            )
        library, name = bundle.check_library(), str(bundle.path / file)
        check_interface(library, name)
        missing = lacking(library) if bundle.manifest.target.gpu is None else ()
        if missing:
            raise BundleError(f"{name} needs {', '.join(missing)}, which only TVM's runtime has")
        return cls(bundle, library)

    @property
    def target(self) -> Target:
        """What it was compiled for."""
        return self.bundle.manifest.target

    @property
    def on_android(self) -> bool:
        """Whether it is for Android, not for GNU's Linux."""
        return "android" in self.target.triple

    @property
    def system(self) -> str:
        """What it is for: "Linux" (Android too), "Windows", "macOS"."""
        return system(self.target.triple)

    @property
    def file(self) -> str:
        """What its file is called in the bundle."""
        return library_file(self.target)

    def demand_linux(self, what: str) -> None:
        """See that it is for Linux.

        Args:
            what: that wants it, for people.

        Raises:
            InputError: it is not.
        """
        if self.system != "Linux":
            raise InputError(
                f"{self.bundle.path} is for {self.system}, not for {what}",
                hint=f"a program needs its {self.file} and clipfree.h, see docs/{self.system.lower()}.md",
            )

    @property
    def architecture(self) -> str:
        """Of its processor: "x86_64", "aarch64", "armv7a"."""
        return architecture(self.target.triple)

    def named(self, name: str) -> bytes:
        """Return the library, called ``name`` to programs that are linked with it.

        Raises:
            BundleError: it was made without room for a name.
        """
        with scratch_folder() as folder:
            path = folder / LIBRARY
            path.write_bytes(self.read(LIBRARY))
            try:
                rename(path, name)
            except TargetError as error:
                raise BundleError(
                    f"the library in {self.bundle.path} has no room for another name: it was made by an older clipfree",
                    hint="deploy the model again",
                ) from error
            return path.read_bytes()

    def read(self, name: str) -> bytes:
        """Return a file of the bundle."""
        return (self.bundle.path / name).read_bytes()

    def headers(self) -> Files:
        """Return the headers of its interface."""
        names = [HEADER, *(["clipfree_opencl.h"] if self.target.gpu is not None else [])]
        found = {path.rpartition("/")[2]: path for path in self.bundle.manifest.files}
        return {name: self.read(found[name]) for name in names if name in found}

    def archive(self) -> bytes | None:
        """Return the static library, where the bundle has one."""
        return self.read(ARCHIVE) if ARCHIVE in self.bundle.manifest.files else None


@dataclass(frozen=True)
class Contents:
    """What goes into a package, whatever its kind.

    Attributes:
        name: of the package: a word that Python, CMake and C take for a name.
        version: of the package: numbers and dots.
        licence: of the network, as an expression of SPDX; None: nobody has said.
        maintainer: whom to write to: "NAME <MAIL>".
        parts: the libraries, all of one network.
    """

    name: str
    version: str
    licence: str | None
    maintainer: str
    parts: tuple[Part, ...]

    @property
    def scale(self) -> Scale:
        """By how much the network enlarges."""
        return self.parts[0].bundle.manifest.scale

    @property
    def summary(self) -> str:
        """One line for people."""
        colours = "RGB" if self.parts[0].bundle.manifest.channels == 3 else "grey"
        targets = ", ".join(part.target.name for part in self.parts)
        return f"x{self.scale} super-resolution of {colours} pictures, compiled for {targets}"

    @property
    def expression(self) -> str:
        """The licence of the whole, as an expression of SPDX."""
        if self.licence == _OWN:
            return _OWN
        network = self.licence or _NETWORK
        return f"{_OWN} AND {network}" if re.fullmatch(r"[\w.+-]+", network) else f"{_OWN} AND ({network})"

    @property
    def library(self) -> str:
        """What the library's file is called."""
        return f"lib{self.name}.so"

    def only(self, kind: str) -> Part:
        """Return the one library of a package that holds one.

        Raises:
            InputError: there are several bundles.
        """
        if len(self.parts) != 1:
            raise InputError(f"a package for {kind} holds one bundle, not {len(self.parts)}", hint="make one of each")
        return self.parts[0]

    def fill(self, template: str, **values: str) -> str:
        """Return a template whose ``@WORDS@`` are replaced: ``NAME``, ``VERSION``, ``SUMMARY``, ``LICENSE``, and more.

        Args:
            template: a file of ``templates``.
            values: what it has beside these, by names in lower case.
        """
        known = {"name": self.name, "version": self.version, "summary": self.summary, "license": self.expression}
        known.update(values)
        return re.sub(r"@([A-Z]+)@", lambda found: known[found[1].lower()], template_text(template))


def template_text(name: str) -> str:
    """Return a file of ``templates`` as it is."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def licence_text() -> bytes:
    """Return the licence of what the library has beside the network."""
    return shipped("LICENSE").read_bytes()


def same_network(parts: tuple[Part, ...]) -> None:
    """See that libraries are of the same network.

    Raises:
        InputError: two are not.
    """
    first = parts[0]
    for part in parts[1:]:
        if _digest(part) != _digest(first):
            raise InputError(
                f"{first.bundle.path} and {part.bundle.path} are different networks",
                hint="deploy one model for both targets",
            )


def _digest(part: Part) -> tuple[object, ...]:
    manifest = part.bundle.manifest
    return (manifest.geometry, *(manifest.files[name].sha256 for name in (QDQ, FLOAT) if name in manifest.files))
