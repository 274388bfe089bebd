"""What is missing on a machine, or wrong with a device, is told before anything is built."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from toolchain.runtime.opencl.device import find_device
from toolchain.support.errors import TargetError


class NoPlatform(Exception):
    """Stands for pyopencl's error."""


def machine(*devices: Any) -> Any:
    """pyopencl on a machine with these devices; without any, there is no OpenCL at all."""

    def build(device: Any) -> None:
        if device.name == "too new":
            raise NoPlatform("BUILD_PROGRAM_FAILURE\n\nerror: unknown target CPU 'generic'\n(options: )")

    def platforms() -> list[Any]:
        if not devices:
            raise NoPlatform
        return [SimpleNamespace(get_devices=lambda kind: [device for device in devices if device.type == kind])]

    return SimpleNamespace(
        Error=NoPlatform,
        Context=lambda devices: devices[0],
        Program=lambda device, source: SimpleNamespace(build=lambda: build(device)),
        get_platforms=platforms,
        device_type=SimpleNamespace(CPU=2, GPU=4),
        device_fp_config=SimpleNamespace(ROUND_TO_NEAREST=4),
    )


def fake(name: str, kind: int, rounding: int, driver: str) -> Any:
    return SimpleNamespace(name=name, type=kind, single_fp_config=rounding, platform=SimpleNamespace(name=driver))


CPU = fake("a processor", 2, 63, "Some Driver")
OTHER = fake("llvmpipe", 2, 6, "rusticl")
NEW = fake("too new", 2, 63, "PoCL")
CRUDE = fake("a crude thing ", 4, 8, "Some Driver")


@pytest.mark.parametrize(
    ("devices", "name", "sentence"),
    [
        ((), "opencl-cpu", r"there is no OpenCL on this machine; `pip install 'clipfree\[opencl\]'` brings PoCL"),
        ((CPU,), "opencl-gpu", "OpenCL finds no GPU on this machine"),
        ((CPU, CRUDE), "opencl-gpu", "a crude thing does not round float32 to nearest"),
        ((CPU,), "cuda", "--device cuda is not known; give opencl-cpu or opencl-gpu"),
        ((CPU,), "cuda:rusticl", "--device cuda:rusticl is not known; give opencl-cpu or opencl-gpu"),
        (
            (NEW,),
            "opencl-cpu",
            r"too new \(PoCL\) can build no kernel .*: error: unknown target CPU 'generic'; install",
        ),
        ((NEW, CPU), "opencl-cpu:pocl", "too new .* can build no kernel"),
        ((CPU, OTHER), "opencl-cpu:mali", r"no CPU called 'mali' .*; there are: a processor \(Some Driver\), llvmpipe"),
    ],
)
def test_what_is_missing_is_told(devices: tuple[Any, ...], name: str, sentence: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("toolchain.runtime.opencl.device.import_pyopencl", lambda: machine(*devices))
    with pytest.raises(TargetError, match=sentence):
        find_device(name)


def test_the_device_of_the_kind_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("toolchain.runtime.opencl.device.import_pyopencl", lambda: machine(CRUDE, CPU))
    assert find_device("opencl-cpu") is CPU


def test_one_of_several_is_named_by_a_part_of_its_name_or_its_driver_s(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("toolchain.runtime.opencl.device.import_pyopencl", lambda: machine(CPU, OTHER))
    assert find_device("opencl-cpu") is CPU
    assert find_device("opencl-cpu:Rusticl") is OTHER
    assert find_device("opencl-cpu:some driver") is CPU


def test_a_driver_that_builds_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("toolchain.runtime.opencl.device.import_pyopencl", lambda: machine(NEW, OTHER))
    assert find_device("opencl-cpu") is OTHER
