"""Whoever speaks to a board, a tracker or a client may say anything: they answer, or hang up.

Three kinds take turns: a hostile tracker before ``board list``, a hostile guest before a board's server, a hostile
server before ``board check``. All of it on loopback.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import select
import shutil
import signal
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tests import boards
from tests.boards import Running
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import change, spoil, spoil_header
from toolchain.board.pack import cached_pack

_MAGIC = struct.pack("<i", 0x2F271)
_LARGEST = 400
"""MB of memory that a session may use."""
_START = 3000
"""Bytes."""


def trial(seed: int, folder: Path) -> Outcome:
    """Say what ``seed`` says; `_KINDS` take turns."""
    rng = np.random.default_rng([seed, 8])
    if seed % len(_KINDS) and not boards.have_compiler:
        return Outcome("skipped", "there is no C++ compiler for the server")
    return _KINDS[seed % len(_KINDS)](rng, folder)


def _tracker(rng: np.random.Generator, folder: Path) -> Outcome:
    """A tracker that answers ``board list`` with spoilt frames or hostile entries."""
    entry = {"key": "server:pi", "addr": ["127.0.0.1", 9090], "busy": False, "board": json.loads(_DESCRIPTION)}
    answer, said = change([0, {"queue_info": {}, "server_info": [entry, {"key": "server:other"}]}], rng)
    with contextlib.suppress(ValueError):
        data = json.dumps(answer, allow_nan=bool(rng.random() < 0.5)).encode()
        frames = _MAGIC + struct.pack("<i", len(data)) + data
        if rng.random() < 0.4:
            frames, said = (spoil if rng.random() < 0.6 else spoil_header)(frames, rng), "bytes"
        (folder / "answer").write_bytes(frames)
        with _saying(frames, hears=4) as port:
            outcome = judge(clipfree("board", "list", "--tracker", f"127.0.0.1:{port}"))
        return Outcome(outcome.verdict, f"tracker, {said}: {outcome.note}", outcome.details)
    return Outcome("skipped", "no JSON can say it")


def _guest(rng: np.random.Generator, folder: Path) -> Outcome:
    """A guest that spoils a sound session with a board; the next one is served all the same."""
    said = _spoilt(_session().to_server, rng)
    (folder / "said").write_bytes(said)
    with _server(folder) as board:
        place = (board.address.host, board.address.port)
        with contextlib.suppress(OSError), socket.create_connection(place, 10) as guest:
            guest.settimeout(3)
            guest.sendall(said)
            if rng.random() < 0.5:
                guest.shutdown(socket.SHUT_WR)
            while guest.recv(1 << 16):
                pass
        if board.process.poll() is not None:
            raise Fault(f"the server ended with {board.process.returncode}: {board.said()[-300:]}")
        after = clipfree("board", "check", "--rpc", str(board.address), "--wait", "20")
        if after.code:
            raise Fault(f"the next client is not served: {after.sentence}\n{board.said()}")
    return Outcome("passed", f"guest, {len(said)} bytes")


def _board(rng: np.random.Generator, folder: Path) -> Outcome:
    """A server that answers ``board check`` with spoilt words of a sound one."""
    said = _spoilt(_session().to_client, rng)
    (folder / "answer").write_bytes(said)
    with _saying(said, hears=0) as port:
        outcome = judge(clipfree("board", "check", "--rpc", f"127.0.0.1:{port}", "--wait", "1"))
    return Outcome(outcome.verdict, f"board, {len(said)} bytes: {outcome.note}", outcome.details)


def _spoilt(said: bytes, rng: np.random.Generator) -> bytes:
    """Damage, mostly to the beginning, where the frames are small; a megabyte of numbers follows."""
    start, rest = said[:_START], said[_START:]
    way = rng.random()
    return spoil(said, rng) if way < 0.1 else (spoil_header(start, rng, 300) if way < 0.4 else spoil(start, rng)) + rest


_KINDS = (_tracker, _guest, _board)
_DESCRIPTION = """{"protocol": 2, "tvm": "0.27.0.post1", "tvm_ffi": "0.1.14.post1", "machine": "aarch64", "model": "Pi",
 "cpuinfo": "Features\\t: fp asimd", "cores": [[0, 1000], [1, 1000]], "free_bytes": 1000000, "millicelsius": "40000",
 "previous": ""}"""


@contextlib.contextmanager
def _saying(data: bytes, *, hears: int) -> Iterator[int]:
    """Listen on a port; whoever comes is heard for some bytes and told ``data``, however little sense it makes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    client, _ = listener.accept()
                    with client:
                        client.settimeout(2)
                        if hears:
                            client.recv(hears, socket.MSG_WAITALL)
                        client.sendall(data)
                        while client.recv(1 << 16):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def _server(folder: Path) -> contextlib.AbstractContextManager[Running]:
    """A board of this machine that ends with this process."""

    def ends_with_its_parent() -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    return boards.board(cached_pack(), folder / "board", "--memory", str(_LARGEST), preexec_fn=ends_with_its_parent)


@dataclass(frozen=True)
class _Session:
    """What was said in a sound session."""

    to_server: bytes
    to_client: bytes


@cache
def _session() -> _Session:
    """``board check`` with a sound board, overheard."""
    folder = Path(tempfile.mkdtemp(prefix="clipfree-wire-"))
    try:
        with _server(folder) as board, socket.create_server(("127.0.0.1", 0)) as listener:
            heard: list[_Session] = []
            place = (board.address.host, board.address.port)
            thread = threading.Thread(target=_overhear, args=(listener, place, heard))
            thread.start()
            judge(clipfree("board", "check", "--rpc", f"127.0.0.1:{listener.getsockname()[1]}", "--wait", "20"))
            thread.join()
        return max(heard, key=lambda session: len(session.to_server))
    finally:
        shutil.rmtree(folder)


def _overhear(listener: socket.socket, address: tuple[str, int], heard: list[_Session]) -> None:
    """Pass on what is said in each connection, until one was a session."""
    while not any(session.to_client for session in heard):
        client, _ = listener.accept()
        with client, socket.create_connection(address) as server:
            said = {client: bytearray(), server: bytearray()}
            while True:
                ready = select.select([client, server], [], [])[0]
                blocks = {one: one.recv(1 << 16) for one in ready}
                if not all(blocks.values()):
                    break
                for one, block in blocks.items():
                    said[one] += block
                    (server if one is client else client).sendall(block)
            heard.append(_Session(bytes(said[client]), bytes(said[server])))


CAMPAIGN = Campaign(
    "wire",
    "nonsense on the network: boards, trackers and clients answer or hang up",
    trial,
    limit=180,
    share=2,
    sample=range(0, 30, 3),
)
