"""Building: the same network gives the same library, byte for byte, for the CPU that was named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.lower.compiled import compiled
from tests.lower.nets import Net
from toolchain.images.geometry import Geometry
from toolchain.targets import find_target
from toolchain.targets.linker import find_linker
from toolchain.targets.llvm import tvm_target


def library(path: Path) -> bytes:
    """A network whose sizes need many slots: a concatenation, a shuffle in between, a float operator."""
    net = Net()
    a = net.concat(net.conv(net.input, 12), net.conv(net.input, 4, 1))
    b = net.quantized(
        net.node("Softmax", net.quantized(net.node("DepthToSpace", a.name, blocksize=2), 4).name, axis=1), 4
    )
    made = compiled(net.model(net.conv(b, 12), 2))
    assert made.export(path, find_linker(find_target("host").triple), "net", Geometry(3, 2)) == ()
    return path.read_bytes()


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_equal_networks_give_equal_libraries(tmp_path: Path):
    # Kept all at once: addresses, by which TVM orders what it hashes, then differ for sure.
    first = [library(tmp_path / f"{index}.so") for index in range(3)]
    assert len(set(first)) == 1
    assert first[0].startswith(b"\x7fELF")


def test_target():
    found = tvm_target(find_target("x86-avx2"))
    assert found.kind.name == "llvm"
    assert str(found.attrs["mcpu"]) == "x86-64-v3"
    assert str(found.attrs["mtriple"]) == "x86_64-unknown-linux-gnu"
    assert int(found.attrs["num-cores"]) == find_target("x86-avx2").cores
