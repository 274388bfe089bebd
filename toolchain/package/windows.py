"""What linkers for Windows take in place of a library: an import library, which says which file has which functions."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

from toolchain.package.contents import Part
from toolchain.support.errors import TargetError
from toolchain.support.files import scratch_folder
from toolchain.targets.linker import gnu

_OURS = "clipfree_"
_MACHINES = {"x86_64": "i386:x86-64", "aarch64": "arm64"}
_DETERMINISTIC = ("--deterministic-libraries", "--temp-prefix", "network")


def import_library(part: Part, file: str) -> bytes:
    """Return an import library for a network's library that is called ``file``.

    Raises:
        TargetError: what makes it is not there, or fails.
    """
    command = _command(part)
    names = sorted(name for name in part.library.defines if name.startswith(_OURS))
    with scratch_folder() as folder:
        listed, made = folder / "network.def", folder / "network.lib"
        listed.write_text("".join(f"{line}\n" for line in [f'LIBRARY "{file}"', "EXPORTS", *names]), encoding="ascii")
        words = [*command, "-d", listed.name, "-l", made.name]
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            raise TargetError(f"{command[0]} could not be run: {error}") from error
        if done.returncode or not made.is_file():
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise TargetError(f"{command[0]} makes no import library: {lines[-1]}")
        return made.read_bytes()


def _command(part: Part) -> tuple[str, ...]:
    """Find what makes import libraries: binutils', or zig's."""
    found = shutil.which(f"{gnu(part.target.triple)}-dlltool")
    if found:
        return (found, *_DETERMINISTIC)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "dlltool", "-m", _MACHINES[part.architecture])
    raise TargetError(
        "there is no dlltool on this machine, which makes what programs for Windows are linked with",
        hint="install one with `pip install ziglang` (no root needed) or `apt install binutils-mingw-w64-x86-64`",
    )
