"""What a board tells becomes a processor whose features are known, or a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toolchain.board.describe import Description
from toolchain.support.errors import BoardError
from toolchain.support.versions import Versions
from toolchain.targets import find_target

TOLD: dict[str, Any] = {
    "protocol": 2,
    "tvm": "0.27.0.post1",
    "tvm_ffi": "0.1.14.post1",
    "machine": "x86_64",
    "model": "",
    "cpuinfo": "model name\t: A processor\nflags\t\t: avx2 fma bmi1\nflags\t\t: avx2 fma\n",
    "cores": [[0, 0], [1, 0], [4, 0], [5, 0]],
    "free_bytes": 1000,
    "millicelsius": "",
    "previous": "",
}
# A Raspberry Pi 5, as its kernel has it.
PI = {
    **TOLD,
    "machine": "aarch64",
    "model": "Raspberry Pi 5 Model B Rev 1.0",
    "cpuinfo": "",
    "hwcap": "1155071",
    "hwcap2": "0",
    "millicelsius": "61250",
}


def test_features_that_every_core_has():
    told = Description.parse(json.dumps(TOLD))
    assert (told.cpu.name, told.cpu.machine, told.cpu.cores) == ("A processor", "x86_64", 4)
    assert [core.number for core in told.cores] == [0, 1, 4, 5]
    assert told.cpu.features == {"avx2", "fma"}
    assert (told.free, told.celsius, told.previous) == (1000, None, "")


def test_a_raspberry_pi_5_runs_code_for_its_processor():
    told = Description.parse(PI)
    assert told.cpu.name == "Raspberry Pi 5 Model B Rev 1.0"
    assert told.celsius == 61.25
    assert find_target("cortex-a76").missing_on(told.cpu) == ()
    assert "i8mm" not in told.cpu.features
    assert "i8mm" in Description.parse({**PI, "hwcap2": str(1 << 13)}).cpu.features


NONSENSE = ("", "[]", "{}", "nonsense", "null", '{"protocol": 2}', json.dumps({**TOLD, "cores": "many"}))


@pytest.mark.parametrize("told", NONSENSE)
def test_nonsense(told: str):
    with pytest.raises(BoardError, match="in a way that is not understood; make the board's server again"):
        Description.parse(told)


def test_a_server_of_another_version():
    with pytest.raises(BoardError, match="speaks version 1, here is 2"):
        Description.parse({**TOLD, "protocol": 1})


@pytest.mark.parametrize(
    ("package", "versions"),
    [("apache-tvm", Versions("", "0.26.0", "0.1.14.post1")), ("apache-tvm-ffi", Versions("", "0.27.0.post1", "0.2.0"))],
)
def test_another_tvm(package: str, versions: Versions):
    told = Description.parse(TOLD)
    told.check_versions(told.versions)
    with pytest.raises(BoardError, match=rf"the board has {package} .*, here is .*; make the board's server again"):
        told.check_versions(versions)
