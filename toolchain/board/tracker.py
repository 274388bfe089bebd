"""The tracker, which knows the boards of a lab: asking it, and being it.

Its protocol is TVM's: frames of JSON with their length in front. It is spoken here, with time limits, because TVM's own
client waits for ever for a key that nobody has, and a minute for a port where nobody listens.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from toolchain.board.describe import Description
from toolchain.board.place import Address, Place
from toolchain.errors import BoardError, InputError

LIMIT = 5.0
"""Seconds for an answer."""

_MAGIC, _REQUEST, _SUMMARY, _SUCCESS = 0x2F271, 4, 6, 0


@dataclass(frozen=True)
class Entry:
    """A board that a tracker knows.

    Attributes:
        key: its name, which boards of one kind share.
        address: where it listens.
        busy: whether it serves somebody; None if it does not tell.
        description: what it says of itself; None for servers that are not of this clipfree.
    """

    key: str
    address: Address
    busy: bool | None
    description: Description | None


class Tracker:
    """A connection to a tracker.

    Raises:
        BoardError: nobody answers there, or it is no tracker.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        try:
            self._socket = socket.create_connection((address.host, address.port), LIMIT)
        except OSError as error:
            hint = "is it running? `clipfree board tracker` starts one"
            raise BoardError(f"no tracker answers at {address}: {reason(error)}", hint=hint) from error
        try:
            self._socket.sendall(struct.pack("<i", _MAGIC))
            answer = self._receive(4)
        except OSError:
            answer = b""
        if answer != struct.pack("<i", _MAGIC):
            self.close()
            raise BoardError(f"what answers at {address} is no tracker", hint="for a board itself use --rpc")

    def entries(self) -> tuple[Entry, ...]:
        """The boards that are registered, by key and address.

        Raises:
            BoardError: the tracker does not answer.
        """
        try:
            servers = self._ask([_SUMMARY], LIMIT)[1]["server_info"]
        except TimeoutError as error:
            raise BoardError(f"the tracker at {self.address} does not answer", hint="start it again") from error
        return tuple(sorted(map(_entry, servers), key=lambda entry: (entry.key, str(entry.address))))

    def request(self, key: str, wait: float) -> tuple[Address, str]:
        """Address of a free board called ``key``, and the word it wants to hear.

        Raises:
            BoardError: no board is called so, or all are busy for ``wait`` seconds, or the tracker does not answer.
        """
        known = self.entries()
        count = sum(entry.key == key for entry in known)
        if not count:
            names = ", ".join(sorted({entry.key for entry in known}))
            register = f"`clipfree board serve --tracker {self.address} --key {key}` on the board registers it"
            hint = f"there are: {names}" if names else register
            raise BoardError(f"the tracker at {self.address} knows no board called {key!r}", hint=hint)
        try:
            host, port, word = self._ask([_REQUEST, key, "", 1], max(wait, 0.1))[1]
        except TimeoutError as error:
            who = "the board" if count == 1 else f"all {count} boards"
            hint = "wait longer with --wait SECONDS; `clipfree board list` shows who is free"
            raise BoardError(f"{who} called {key!r} stayed busy for {wait:.1f} s", hint=hint) from error
        return Address(str(host), int(port)), str(word)

    def close(self) -> None:
        """Hang up; a request that was not answered is forgotten."""
        self._socket.close()

    def _ask(self, request: list[Any], limit: float) -> Any:
        self._socket.settimeout(limit)
        data = json.dumps(request).encode()
        try:
            self._socket.sendall(struct.pack("<i", len(data)) + data)
            size = struct.unpack("<i", self._receive(4))[0]
            answer = json.loads(self._receive(size))
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:
            raise BoardError(f"the tracker at {self.address} hung up") from error
        if not isinstance(answer, list) or answer[0] != _SUCCESS:
            raise BoardError(f"the tracker at {self.address} answers {answer!r}")
        return answer

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            block = self._socket.recv(size - len(data))
            if not block:
                raise ConnectionError("the other side hung up")
            data += block
        return data


def entries(address: Address) -> tuple[Entry, ...]:
    """The boards that the tracker at ``address`` knows.

    Raises:
        BoardError: no tracker answers there.
    """
    with closing(Tracker(address)) as tracker:
        return tracker.entries()


def count(place: Place) -> int:
    """How many boards of ``place``'s key are registered; 1 where it is the board itself.

    Raises:
        BoardError: no tracker answers there.
    """
    return sum(entry.key == place.key for entry in entries(place.address)) if place.key else 1


def serve(address: Address, ready: Callable[[Address], None]) -> None:
    """Be a tracker until interrupted; ``ready`` is told the address, whose port the system chose if 0 was given.

    Raises:
        InputError: TVM's tracker needs a package that is not installed.
        BoardError: the address cannot be listened on.
    """
    try:
        from tvm.rpc.tracker import _tracker_server
    except ImportError as error:
        hint = "`pip install tornado`, or clipfree with the extra board"
        raise InputError("the tracker needs tornado", hint=hint) from error
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
            listener.listen()
        except OSError as error:
            raise BoardError(f"cannot listen on {address}: {reason(error)}", hint="choose another --port") from error
        ready(Address(address.host, listener.getsockname()[1]))
        # TVM's `Tracker` would run it in a process of its own, which outlives this one if it is killed.
        _tracker_server(listener, stop_key=str(time.time_ns()))


def reason(error: OSError) -> str:
    """What a socket's error means, for people."""
    if isinstance(error, TimeoutError):
        return "no answer"
    return error.strerror or str(error)


def _entry(server: dict[str, Any]) -> Entry:
    host, port = server["addr"]
    try:
        description = Description.parse(server.get("board", {}))
    except BoardError:  # TVM's own server, or one of another version
        description = None
    name = str(server["key"]).removeprefix("server:")
    return Entry(name, Address(str(host), int(port)), server.get("busy"), description)
