"""``package`` as one function: bundles in; a wheel, a CMake package, an Android module or a Debian package out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain.bundle import open_bundle
from toolchain.package import KINDS, Contents, Files, Part
from toolchain.package.contents import same_network
from toolchain.package.naming import check_licence, check_maintainer, check_name, check_version
from toolchain.support.errors import InputError, OutputError
from toolchain.support.files import atomic_folder, atomic_write, check_replaceable, check_writable


@dataclass(frozen=True)
class PackageRequest:
    """What to pack.

    Attributes:
        bundles: folders, of one network.
        kind: one of `toolchain.package.KINDS`.
        out: the folder to write into; it must be empty where several files are written.
        name: of the package; None: the network's.
        version: of the package; None: that of the clipfree which made the bundle.
        licence: of the network, as an expression of SPDX; None: nobody says.
        maintainer: "NAME <MAIL>"; "": nobody.
    """

    bundles: tuple[Path, ...]
    kind: str
    out: Path
    name: str | None = None
    version: str | None = None
    licence: str | None = None
    maintainer: str = ""


def package(request: PackageRequest) -> tuple[Path, ...]:
    """Write a package; returns its files.

    Raises:
        InputError: there is no such kind, it cannot hold these bundles, or cannot be called so.
        BundleError: a bundle is damaged, or programs in C cannot run its library.
        TargetError: what has to be compiled for the package does not compile.
        OutputError: it is there already, or cannot be written.
    """
    if request.kind not in KINDS:
        raise InputError(f"there is no package of kind {request.kind!r:.80}", hint=f"choose one of {', '.join(KINDS)}")
    check_writable(request.out, folder=True)
    files = KINDS[request.kind](_contents(request))
    return tuple(_written(files, request.out))


def _contents(request: PackageRequest) -> Contents:
    opened = tuple(open_bundle(path, for_this_machine=False) for path in request.bundles)
    if not opened:
        raise InputError("which bundle?", hint="`clipfree deploy MODEL` makes one")
    first = opened[0].manifest
    name = first.name if request.name is None else request.name
    version = first.versions.clipfree if request.version is None else request.version
    check_name(name)
    check_version(version)
    if request.licence is not None:
        check_licence(request.licence)
    if request.maintainer:
        check_maintainer(request.maintainer)
    parts = tuple(map(Part.of, opened))
    same_network(parts)
    return Contents(name, version, request.licence, request.maintainer, parts)


def _written(files: Files, out: Path) -> Iterator[Path]:
    if any("/" in name for name in files):
        check_replaceable(out, ())
        with atomic_folder(out) as folder:
            for name, data in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        yield from (out / name for name in files)
        return
    for name, data in files.items():
        path = out / name
        if path.exists():
            raise OutputError(f"{path} exists", hint="remove it, or give the package another --version")
        with atomic_write(path) as file:
            file.write(data)
        yield path
