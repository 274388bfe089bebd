"""The tracker, which knows the boards of a lab: asking it, and being it.

Its protocol is TVM's: frames of JSON with their length in front. It is spoken here, with time limits, because TVM's own
client waits for ever for a key that nobody has, and a minute for a port where nobody listens.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from toolchain.board.describe import Description
from toolchain.board.place import Address, Place
from toolchain.support.errors import BoardError, InputError
from toolchain.support.serialization import from_plain

LIMIT = 5.0
"""Seconds for an answer."""

_MAGIC, _REQUEST, _SUMMARY, _SUCCESS = 0x2F271, 4, 6, 0
_SERVER = "server:"
_LARGEST = 1 << 26
"""Bytes of an answer."""


@dataclass(frozen=True)
class Registration:
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
            answer = self._receive(4, time.monotonic() + LIMIT)
        except OSError:
            answer = b""
        if answer != struct.pack("<i", _MAGIC):
            self.close()
            raise BoardError(f"what answers at {address} is no tracker", hint="for a board itself use --rpc")

    def entries(self) -> tuple[Registration, ...]:
        """Return the boards that are registered, by key and address.

        Raises:
            BoardError: the tracker does not answer.
        """
        try:
            summary = self._ask([_SUMMARY], LIMIT)
        except TimeoutError as error:
            raise BoardError(f"the tracker at {self.address} does not answer", hint="start it again") from error
        servers = summary.get("server_info") if isinstance(summary, dict) else None
        if not isinstance(servers, list):
            raise self._nonsense(summary)
        found = [entry for entry in map(_entry, servers) if entry is not None]
        return tuple(sorted(found, key=lambda entry: (entry.key, str(entry.address))))

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
            offer = self._ask([_REQUEST, key, "", 1], max(wait, 0.1))
        except TimeoutError as error:
            who = "the board" if count == 1 else f"all {count} boards"
            hint = "wait longer with --wait SECONDS; `clipfree board list` shows who is free"
            raise BoardError(f"{who} called {key!r} stayed busy for {wait:.1f} s", hint=hint) from error
        try:
            found = from_plain(_Offer, dict(zip(("host", "port", "word"), offer, strict=True)))
        except (TypeError, ValueError) as error:
            raise self._nonsense(offer) from error
        return Address(found.host, found.port), found.word

    def close(self) -> None:
        """Hang up; a request that was not answered is forgotten."""
        self._socket.close()

    def _ask(self, request: list[Any], limit: float) -> Any:
        """Return what the tracker answers to a request, all of it within ``limit`` seconds."""
        end = time.monotonic() + limit
        data = json.dumps(request).encode()
        try:
            self._socket.settimeout(limit)
            self._socket.sendall(struct.pack("<i", len(data)) + data)
            size = struct.unpack("<i", self._receive(4, end))[0]
            if not 0 < size <= _LARGEST:
                raise self._nonsense(f"{size} bytes")
            answer = json.loads(self._receive(size, end))  # whose parts are checked one by one: they are of many people
        except TimeoutError:
            raise
        except OSError as error:
            raise BoardError(f"the tracker at {self.address} hung up") from error
        except (ValueError, RecursionError) as error:
            raise self._nonsense("no JSON") from error
        if not isinstance(answer, list) or len(answer) != 2 or answer[0] != _SUCCESS:
            raise self._nonsense(answer)
        return answer[1]

    def _nonsense(self, answer: object) -> BoardError:
        return BoardError(
            f"the tracker at {self.address} answers {answer!r:.80}, which is not understood",
            hint="is it a tracker of TVM?",
        )

    def _receive(self, size: int, end: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            block = self._socket.recv(min(size - len(data), 1 << 16))
            if not block:
                raise ConnectionError("the other side hung up")
            data += block
        return bytes(data)


def entries(address: Address) -> tuple[Registration, ...]:
    """Return the boards that the tracker at ``address`` knows.

    Raises:
        BoardError: no tracker answers there.
    """
    with closing(Tracker(address)) as tracker:
        return tracker.entries()


def count(place: Place) -> int:
    """Return how many boards of ``place``'s key are registered; 1 where it is the board itself.

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
        from tvm.rpc.tracker import TrackerServerHandler
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

        class Handler(TrackerServerHandler):  # type: ignore[misc]
            """TVM's, without registrations that are no board's: on some of them it fails, for everybody who asks."""

            def summary(self) -> dict[str, Any]:
                told = [connection.summary() for connection in self._connections]
                queues = {key: queue.summary() for key, queue in self._scheduler_map.items()}
                return {"queue_info": queues, "server_info": [server for server in told if _entry(server) is not None]}

        # TVM's `Tracker` would run it in a process of its own, which outlives this one if it is killed.
        asyncio.set_event_loop(asyncio.new_event_loop())
        Handler(listener, stop_key=secrets.token_hex()).run()


def reason(error: OSError) -> str:
    """Return what a socket's error means, for people."""
    if isinstance(error, TimeoutError):
        return "no answer"
    return error.strerror or str(error)


@dataclass(frozen=True)
class _Registered:
    """What a server tells a tracker of itself, as far as any kind of server does."""

    key: str
    addr: tuple[str, int]
    busy: bool | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where nothing can listen there."""
        _check_address(*self.addr)
        if not self.key.startswith(_SERVER) or self.key == _SERVER or not self.key.isprintable():
            raise ValueError("no server's name")


@dataclass(frozen=True)
class _Offer:
    """A free board: its address, and the word that it wants to hear."""

    host: str
    port: int
    word: str

    def __post_init__(self) -> None:
        """Raise ValueError where nothing can listen there."""
        _check_address(self.host, self.port)


def _check_address(host: str, port: int) -> None:
    if not host or not host.isprintable() or not 0 < port < 1 << 16:
        raise ValueError("no address")


def _entry(server: Any) -> Registration | None:
    """Return a board that is registered; None for what is none: anybody may register anything."""
    try:
        fields = {key: server[key] for key in ("key", "addr", "busy") if key in server}
        told = from_plain(_Registered, fields)
    except (TypeError, ValueError):
        return None
    try:
        description = Description.parse(server.get("board", {}))
    except BoardError:  # TVM's own server, or one of another version
        description = None
    return Registration(told.key.removeprefix(_SERVER), Address(*told.addr), told.busy, description)
