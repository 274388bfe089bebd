"""What a contestant is: a runtime in one precision, and how it is made ready to run a network on a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from networks import Network, Pixels


class UnsupportedError(Exception):
    """A contestant cannot take part here; the message says why."""


@dataclass(frozen=True)
class Ready:
    """A network loaded for one picture.

    Attributes:
        call: runs it once; this is timed.
        pixels: turns what ``call`` returned into u8 (h*scale, w*scale, C); not timed.
        note: what was found on the way, such as how many convolutions run in integers.
    """

    call: Callable[[], Any]
    pixels: Callable[[Any], Pixels]
    note: str = ""


class Prepare(Protocol):
    """Converts and loads a network. Called in a process of its own, which may crash."""

    def __call__(self, network: Network, pixels: Pixels, threads: int) -> Ready:
        """Make ready to upscale u8 (h, w, C) ``pixels`` on ``threads`` threads; raises anything."""


@dataclass(frozen=True)
class Contestant:
    """A runtime in one precision.

    Attributes:
        name: as it is printed; unique.
        package: the Python distribution it comes with.
        setting: how the runtime is set up, and what a timed call includes.
        prepare: a function of a module, since it is sent to another process by its name.
        integer: computes with 8 bits: its share of the dot products' ceiling means something.
        clips: with the final clip (True), without (False), or both, one after the other.
        held: that it uses no more instructions than clipfree's target is seen to, or is known.
        foreign: it runs another network's weights, and its picture is held against a bicubic enlargement.
    """

    name: str
    package: str
    setting: str
    prepare: Prepare
    integer: bool = False
    clips: tuple[bool, ...] = (True, False)
    foreign: bool = False
    held: bool = False

    def version(self) -> str | None:
        """The installed version; None if it is not installed."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    def title(self, clip: bool) -> str:
        """The name, and whether it runs without the clip."""
        return self.name if clip else f"{self.name}, no clip"
