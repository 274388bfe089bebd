"""What there is: targets to compile for, and embedded networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipfree.notebook import Rows


@dataclass(frozen=True)
class TargetInfo:
    """A target, as ``deploy(target=...)`` takes it.

    Attributes:
        name: of it.
        devices: names of devices that stand for it, such as "rpi5".
        description: one line for people.
        runs_here: whether this machine's processor runs what is made for it.
        host: whether it is what "host" means here.
    """

    name: str
    devices: tuple[str, ...]
    description: str
    runs_here: bool
    host: bool


@dataclass(frozen=True)
class ZooNetwork:
    """An embedded network.

    Attributes:
        name: with "zoo:" in front, as ``deploy`` takes it.
        bytes: of its ONNX file.
        psnr_y: PSNR of luma in dB that the float network reaches, by the name of the set of pictures.
        path: of its ONNX file.
        card: how it was trained, and what it reaches.
    """

    name: str
    bytes: int
    psnr_y: dict[str, float]
    path: Path = field(repr=False)
    card: dict[str, Any] = field(repr=False)


def targets() -> Rows[TargetInfo]:
    """Return every target, in the order of their names.

    Raises:
        TargetError: a file of a target is broken.
    """
    from toolchain.support.cpu import this_cpu
    from toolchain.targets import best_target, devices_of, list_targets
    from toolchain.targets.linker import is_native

    cpu = this_cpu()
    host = best_target(cpu)

    def runs(target: Any) -> bool:
        return target.gpu is None and is_native(target.triple) and not target.missing_on(cpu)

    return Rows(
        TargetInfo(target.name, devices_of(target.name), target.description, runs(target), target.name == host)
        for target in list_targets()
    )


def zoo() -> Rows[ZooNetwork]:
    """Return every embedded network, in the order of their names."""
    from toolchain.zoo.embedded import PREFIX, list_models

    return Rows(
        ZooNetwork(
            PREFIX + model.name,
            model.path.stat().st_size,
            {name: value for name, value in model.card.get("psnr_y", {}).items() if name != "border"},
            model.path,
            model.card,
        )
        for model in list_models()
    )
