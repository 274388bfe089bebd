"""Where a board is: at an address of its own, or wherever a tracker knows one of that name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from toolchain.support.errors import InputError

PORT, TRACKER_PORT = 9090, 9190


@dataclass(frozen=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is only reached from this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Place:
    """How to get to a board.

    Attributes:
        address: of the board, or of a tracker.
        key: the name under which the tracker knows boards of this kind; empty: ``address`` is the board itself.
    """

    address: Address
    key: str = ""

    def __str__(self) -> str:
        return f"{self.key!r} at the tracker {self.address}" if self.key else f"the board at {self.address}"


def parse_address(text: str, option: str, port: int) -> Address:
    """Return the address of "host:port", or of "host" with the usual ``port``; ``option`` is where it was given.

    Raises:
        InputError: it is neither.
    """
    host, colon, number = text.rpartition(":")
    if not colon:
        host, number = text, str(port)
    if not host or not number.isascii() or not number.isdigit() or not 0 < int(number) < 1 << 16:
        raise InputError(f"{option} {text} is not understood", hint=f"give HOST:PORT, such as 192.168.0.20:{port}")
    return Address(host.strip("[]"), int(number))


def parse_place(rpc: str | None, tracker: str | None, key: str | None) -> Place | None:
    """Return what ``--rpc``, ``--tracker`` and ``--key`` say together; None if none of them is given.

    Raises:
        InputError: they do not fit together, or one is not understood.
    """
    if rpc is not None and (tracker is not None or key is not None):
        raise InputError("--rpc names a board, --tracker and --key one among several", hint="give one or the other")
    if rpc is not None:
        return Place(parse_address(rpc, "--rpc", PORT))
    if tracker is not None and key:
        return Place(parse_address(tracker, "--tracker", TRACKER_PORT), key)
    if tracker is not None or key is not None:
        raise InputError("--tracker and --key belong together", hint="`clipfree board list` shows the keys")
    return None
