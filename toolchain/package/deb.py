"""A package for Debian, Ubuntu and Raspberry Pi OS: library, headers, and what CMake and pkg-config look for.

Source of the format: deb(5), deb-control(5), and the Debian Policy Manual.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import re
import tarfile
from collections.abc import Iterable

from toolchain.package.contents import Contents, Files
from toolchain.package.prefix import Layout, prefix_files
from toolchain.support.errors import InputError

_MACHINES = {
    "x86_64": ("amd64", "x86_64-linux-gnu"),
    "aarch64": ("arm64", "aarch64-linux-gnu"),
    "armv7a": ("armhf", "arm-linux-gnueabihf"),
}
_NOBODY = "Nobody <nobody@localhost>"


def debian_package(contents: Contents) -> Files:
    """Return the package, as the only file.

    Raises:
        InputError: there are several bundles, or the library is not for GNU's Linux.
        BundleError: the library has no room for its name.
    """
    part = contents.only("Debian")
    if part.on_android:
        raise InputError(
            f"{part.bundle.path} is for Android, not for Debian", hint="--as android makes a folder for apps"
        )
    part.demand_linux("Debian")
    machine, folder = _MACHINES[part.architecture]
    package = f"lib{re.sub(r'_+', '-', contents.name).lower()}"
    layout = Layout(f"lib/{folder}", f"include/{contents.name}")
    files = {f"usr/{name}": data for name, data in prefix_files(contents, part, layout).items()}
    files[f"usr/share/doc/{package}/copyright"] = contents.fill(
        "deb/copyright", network=contents.licence or "unknown"
    ).encode()
    control = contents.fill(
        "deb/control",
        package=package,
        machine=machine,
        maintainer=contents.maintainer or _NOBODY,
        size=str(sum(-(-len(data) // 1024) for data in files.values())),
    )
    about = {
        "control": control.encode(),
        "md5sums": "".join(f"{hashlib.md5(data).hexdigest()}  {name}\n" for name, data in files.items()).encode(),
        "triggers": b"activate-noawait ldconfig\n",
    }
    members = {"debian-binary": b"2.0\n", "control.tar.gz": _packed(about), "data.tar.gz": _packed(files)}
    return {f"{package}_{contents.version}_{machine}.deb": b"".join(_archive(members))}


def _packed(files: Files) -> bytes:
    """Pack files, of nobody's and of no time, in folders that are listed before what they hold."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in _folders(files):
            folder = tarfile.TarInfo(f"./{name}")
            folder.type, folder.mode, folder.uname, folder.gname = tarfile.DIRTYPE, 0o755, "root", "root"
            archive.addfile(folder)
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.uname, member.gname = len(data), "root", "root"
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


def _folders(files: Iterable[str]) -> list[str]:
    found = {""}
    for name in files:
        while name := posixpath.dirname(name):
            found.add(name)
    return sorted(found)


def _archive(members: Files) -> Iterable[bytes]:
    """Yield an archive of ar(5)."""
    yield b"!<arch>\n"
    for name, data in members.items():
        yield f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
