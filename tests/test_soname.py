"""Libraries get names of their own without a linker, in the room that was left for that."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import elves
from tests.arm import missing
from toolchain.support.errors import TargetError
from toolchain.targets import find_target
from toolchain.targets.elf import read_library
from toolchain.targets.linker import find_c_compiler
from toolchain.targets.soname import LONGEST, rename, roomy


def linked(folder: Path, name: str, *flags: str) -> Path:
    """A library for a target, linked with room for a name."""
    linker = find_c_compiler(find_target(name).triple)
    source, path = folder / "some.c", folder / "some.so"
    source.write_text("int some(void) { return 7; }\n")
    linker(str(path), ["-xc", str(source), "-nostdlib", *flags])
    return path


@pytest.mark.parametrize(
    "name", [*(["host"] if shutil.which("cc") else []), pytest.param("cortex-a7", marks=pytest.mark.emulator)]
)
def test_a_library_is_called_otherwise(name: str, tmp_path: Path):
    if name != "host" and missing(find_target(name)):
        pytest.skip(missing(find_target(name)))
    path = linked(tmp_path, name, f"-Wl,-soname,{roomy('model.so')}")
    before = path.read_bytes()
    for wanted in ("model.so", "lib" + "x" * (LONGEST - 6) + ".so", "libnet.so"):
        rename(path, wanted)
        data, at = path.read_bytes(), read_library(path).name[0]
        assert data[at:].split(b"\0")[0].decode() == wanted
        assert (data[:at], data[at + LONGEST :]) == (before[:at], before[at + LONGEST :])
        told = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True, check=True).stdout
        assert re.findall(r"\(SONAME\).*\[(.*)\]", told) == [wanted]
    with pytest.raises(ValueError, match="longer than 63 bytes"):
        rename(path, "x" * (LONGEST + 1))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")
def test_what_has_no_room_is_refused(tmp_path: Path):
    path = linked(tmp_path, "host", "-Wl,-soname,model.so")
    with pytest.raises(TargetError, match="has no room for another name than its own"):
        rename(path, "libnet.so")
    path.write_bytes(elves.library())
    with pytest.raises(TargetError, match="has no room for another name"):
        rename(path, "libnet.so")
