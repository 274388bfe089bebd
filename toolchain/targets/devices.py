"""Devices by the names that people have for them, and the target that suits each."""

from __future__ import annotations

from collections.abc import Mapping

DEVICES: Mapping[str, str] = {
    "rpi2": "cortex-a7",
    "rpi3": "cortex-a53",
    "rpi-zero2": "cortex-a53",
    "rpi4": "cortex-a72",
    "rpi5": "cortex-a76",
    "rk3566": "cortex-a55",
    "rk3588": "cortex-a76",
    "rk3399": "cortex-a72",
    "jetson-orin": "cortex-a78",
    "graviton2": "neoverse-n1",
    "graviton3": "neoverse-v1",
    "graviton4": "neoverse-v2",
    "snapdragon-x": "windows-arm64-i8mm",
    "apple-m1": "macos-arm64",
    "apple-m2": "macos-arm64",
    "apple-m3": "macos-arm64",
    "apple-m4": "macos-arm64",
    "x86-64-v2": "x86-sse4",
    "x86-64-v3": "x86-avx2",
}
"""Raspberry Pis, systems on a chip, processors of Amazon, Apple and Qualcomm, and levels of x86-64; of chips with
large and small cores the large ones count."""


def devices_of(target: str) -> tuple[str, ...]:
    """Return the devices that the target called ``target`` suits."""
    return tuple(device for device, found in DEVICES.items() if found == target)
