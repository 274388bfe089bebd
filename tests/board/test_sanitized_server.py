"""The server of boards under AddressSanitizer and UBSan: on what is right, and on a wire of nonsense."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import boards, watching
from tests.boards import Running, until
from toolchain.board import pack as packing
from toolchain.board.board import Board
from toolchain.board.pack import LIBRARIES, SERVER, compile_program
from toolchain.board.place import Place
from toolchain.board.session import BoardSession
from toolchain.bundle import Bundle

pytestmark = pytest.mark.sanitizer

MAGIC, TRACKER = 0xFF271, 0x2F271
ENVIRONMENT = {**os.environ, **watching.SETTINGS}


@pytest.fixture(scope="module")
def watched_pack(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> Path:
    watching.need()
    folder = tmp_path_factory.mktemp("watched")
    for name in LIBRARIES:
        shutil.copyfile(pack / name, folder / name)
    words = (*packing._definitions(), *watching.FLAGS)
    compile_program(f"{os.uname().machine}-linux-gnu", packing._SOURCES / "server.cc", folder / SERVER, folder, words)
    return folder


def said(running: Running) -> str:
    """What a server printed, in which names of guests may be any bytes."""
    return running.log.read_text(errors="replace")


@pytest.fixture(scope="module")
def running(watched_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that is watched; what is watched needs more address space than sessions have."""
    folder = tmp_path_factory.mktemp("running") / "board"
    with boards.board(watched_pack, folder, "--memory", "0", env=ENVIRONMENT) as running:
        yield running


@pytest.fixture
def watched(running: Running) -> Iterator[Running]:
    """The server of all these tests, which complains of none."""
    yield running
    assert running.process.poll() is None
    assert watching.complaints(said(running)) == []


def test_a_session(watched: Running, bundle: Bundle):
    picture, expected = bundle.golden()
    with Board(Place(watched.address)) as there:
        there.load(bundle)
        assert np.array_equal(there.upscale(picture), expected)
        assert there.functions(picture, 1, 1)
        assert there.round_trip() < 60


def test_what_only_a_hostile_session_asks(watched: Running):
    session = BoardSession(Place(watched.address), 10)
    for cores in ((10**9,), (-1,), (1024,)):
        with pytest.raises(Exception, match="cannot run on cores"):
            session.threads(1, cores)
    watch = session._session.get_function("clipfree.board.stopwatch")()
    watch(None, "main", False, 0)  # a call ends that never began
    assert session.laps() == "{}"


def talk(running: Running, *said: bytes) -> bytes:
    """What the server answers to some bytes, sent one after the other, as far as it answers at once."""
    with socket.create_connection((running.address.host, running.address.port), 20) as client:
        client.settimeout(0.05)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in said:
                client.sendall(part)
            client.shutdown(socket.SHUT_WR)
            return client.recv(64)
        except OSError:
            return b""


def opened(running: Running) -> socket.socket:
    """A connection whose session has begun: whatever was said before, the next guest is served."""
    clients: list[socket.socket] = []

    def begun() -> bool:
        client = socket.create_connection((running.address.host, running.address.port), 20)
        client.sendall(greeting(b"client:"))
        if client.recv(4, socket.MSG_WAITALL) == struct.pack("<I", MAGIC):
            clients.append(client)
        else:
            client.close()
        return bool(clients)

    until(begun)
    return clients[0]


def greeting(name: bytes, size: int | None = None, magic: int = MAGIC) -> bytes:
    return struct.pack("<II", magic, len(name) if size is None else size) + name


def packet(body: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(body) if size is None else size) + body


def mutated(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del changed[at:]
            case 2:
                changed[at:at] = rng.randbytes(rng.choice((1, 4, 300, 9000)))
            case _:
                changed[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 4096, 4097, 2**31 - 1, 2**31, 2**32 - 1)))
        changed = changed or bytearray(b"\0")
    return bytes(changed)


@pytest.mark.parametrize(
    "said",
    [
        greeting(b"client:" + bytes(4090)),  # one more than there is room for
        greeting(b"client:" + bytes(9000)),
        greeting(b"client:" + bytes(9000), size=4097),
        *(greeting(bytes(9000), size=size) for size in (0, 1, 4096, 2**31 - 1, 2**31, 2**32 - 1)),
        *(greeting(b"client:", magic=magic) for magic in (0, MAGIC + 1, 2**32 - 1)),
        *(greeting(b"client:")[:end] for end in range(15)),
    ],
    ids=lambda said: f"{len(said)} bytes",
)
def test_a_greeting_that_is_none(watched: Running, said: bytes):
    for parts in ([said], [said[at : at + 3000] for at in range(0, len(said), 3000)], [said[:8], said[8:]]):
        assert talk(watched, *parts)[:4] != struct.pack("<I", MAGIC) or said[:8] == greeting(b"", size=0)
    opened(watched).close()


def test_greetings_that_are_none(watched: Running):
    rng = random.Random(0)
    names = (b"client:", b"client: -timeout=3", b"client:pi -timeout=1e400 x", b"", b"client:" + bytes(9000))
    for _ in range(150):
        talk(watched, mutated(greeting(rng.choice(names)), rng))
    opened(watched).close()


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("rest", [0, 5000])
def test_a_packet_that_claims_another_size(watched: Running, size: int, rest: int):
    before = len(said(watched))
    with opened(watched) as client:
        client.sendall(packet(bytes(rest), size))
        if size >= 2**31:
            until(lambda: "a session ended: more than 1000 MB in one packet" in said(watched)[before:])
    opened(watched).close()


def test_packets_that_are_none(watched: Running):
    """They may end their session, which TVM's code reads; not the server, and not the next session."""
    rng = random.Random(0)
    for _ in range(12):
        code = struct.pack("<i", rng.choice((0, 1, 2, 3, 4, 7, 12, 13, -1, 2**31 - 1)))
        whole = packet(code + rng.randbytes(rng.choice((0, 4, 40, 400))))
        with opened(watched) as client, contextlib.suppress(OSError):
            for _ in range(3):
                client.sendall(mutated(whole, rng))
            client.shutdown(socket.SHUT_WR)
    opened(watched).close()


def test_trackers_that_are_none(watched_pack: Path, tmp_path: Path):
    """The server asks a tracker again and again, whatever that says."""
    sizes = (2**20 + 1, 2**31, 2**32 - 1, 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        words = ("--memory", "0", "--key", "pi", "--tracker", place)
        with boards.board(watched_pack, tmp_path / "board", *words, env=ENVIRONMENT) as running:
            for size in sizes:
                client, _ = listener.accept()
                with client, contextlib.suppress(ConnectionResetError):  # it does not hear a frame to its end
                    client.sendall(struct.pack("<II", TRACKER, size) + bytes(8))
                    with contextlib.suppress(OSError):  # not connected: it has hung up already
                        client.shutdown(socket.SHUT_WR)
                    client.settimeout(20)
                    while client.recv(1 << 16):  # what it asks
                        pass
            assert running.process.poll() is None
    assert "tracker: a frame of 1048577 bytes" in said(running)
    assert watching.complaints(said(running)) == []
