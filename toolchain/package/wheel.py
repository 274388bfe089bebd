"""A wheel of one network, for Python with NumPy: no TVM, nothing that is compiled for a version of Python.

Source of the format: the specifications of PyPA, "Binary distribution format" and "Core metadata specifications".
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from pathlib import Path

from toolchain.bundle import LIBRARY
from toolchain.package.contents import Contents, Files, Part, licence_text, template_text
from toolchain.support.errors import InputError
from toolchain.support.versions import Versions

# The oldest glibc that the library was made for, see docs/decisions/0062; older installers know the first only.
_SYSTEMS = {
    ("Linux", "x86_64"): "manylinux2014_x86_64.manylinux_2_17_x86_64",
    ("Linux", "aarch64"): "manylinux2014_aarch64.manylinux_2_17_aarch64",
    ("Linux", "armv7a"): "manylinux2014_armv7l.manylinux_2_17_armv7l",
    ("Windows", "x86_64"): "win_amd64",
    ("Windows", "aarch64"): "win_arm64",
    ("macOS", "x86_64"): "macosx_11_0_x86_64",
    ("macOS", "aarch64"): "macosx_11_0_arm64",
}
_MODULE = {"__init__.py": "python/network.py", "__main__.py": "python/__main__.py"}
_SHARED = Path(__file__).parents[1] / "runtime" / "interface.py"  # which needs NumPy only, too
_OLDEST = (1980, 1, 1, 0, 0, 0)  # time that a ZIP archive can tell


def wheel(contents: Contents) -> Files:
    """Return the wheel, as the only file.

    Raises:
        InputError: there are several bundles, or the library is for Android.
    """
    part = contents.only("Python")
    if part.on_android:
        raise InputError(
            f"{part.bundle.path} is for Android, which wheels are not for", hint="--as android makes a folder for apps"
        )
    distribution = re.sub(r"_+", "_", contents.name).lower()
    tag = f"py3-none-{_SYSTEMS[part.system, part.architecture]}"
    about = f"{distribution}-{contents.version}.dist-info"
    texts = {name: template_text(path).replace(LIBRARY, part.file) for name, path in _MODULE.items()}
    files = {f"{contents.name}/{name}": text.encode() for name, text in texts.items()}
    files[f"{contents.name}/{_SHARED.name}"] = _SHARED.read_bytes()
    files[f"{contents.name}/py.typed"] = b""
    files[f"{contents.name}/{part.file}"] = part.read(part.file)
    files[f"{about}/licenses/LICENSE"] = licence_text()
    files[f"{about}/METADATA"] = _metadata(contents, part, distribution)
    files[f"{about}/WHEEL"] = _wheel(tag)
    files[f"{about}/RECORD"] = _record(files, f"{about}/RECORD")
    return {f"{distribution}-{contents.version}-{tag}.whl": _archive(files)}


def _metadata(contents: Contents, part: Part, distribution: str) -> bytes:
    mail = f"Maintainer-email: {contents.maintainer}\n" if contents.maintainer else ""
    channels = part.bundle.manifest.channels
    return contents.fill(
        "python/METADATA",
        distribution=distribution.replace("_", "-"),
        maintainer=mail,
        shape="(height, width, 3)" if channels == 3 else "(height, width)",
        mode="RGB" if channels == 3 else "L",
        scale=str(contents.scale),
    ).encode()


def _wheel(tag: str) -> bytes:
    python, abi, systems = tag.split("-")
    lines = ["Wheel-Version: 1.0", f"Generator: clipfree {Versions.installed().clipfree}", "Root-Is-Purelib: false"]
    lines += [f"Tag: {python}-{abi}-{system}" for system in systems.split(".")]
    return "".join(f"{line}\n" for line in lines).encode()


def _record(files: Files, own: str) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "".join(f"{line}\n" for line in [*lines, f"{own},,"]).encode()


def _archive(files: Files) -> bytes:
    """Pack files; the same give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, _OLDEST)
            member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(member, data)
    return packed.getvalue()
