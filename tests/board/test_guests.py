"""Clients that say nothing, little by little, or nonsense: they take neither the board's time nor its memory."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests import boards
from tests.boards import Running, until
from toolchain.board.board import Board
from toolchain.board.place import Place
from toolchain.bundle import Bundle
from toolchain.support.errors import BoardError

WELCOME, BUSY, MISMATCH = 0xFF271, 0xFF272, 0xFF273


def greeting(name: bytes = b"client:", magic: int = WELCOME, size: int | None = None) -> bytes:
    return struct.pack("<iI", magic, len(name) if size is None else size) + name


def guest(board: Running) -> socket.socket:
    return socket.create_connection((board.address.host, board.address.port), 20)


def answered(client: socket.socket) -> int | None:
    """The first word of the answer; None: it hung up."""
    try:
        got = client.recv(4, socket.MSG_WAITALL)
    except ConnectionResetError:
        return None
    return struct.unpack("<i", got)[0] if got else None


def test_whoever_is_slow_keeps_nobody_waiting_and_has_one_deadline_for_all_its_words(board: Running):
    with ExitStack() as stack:
        silent = [stack.enter_context(guest(board)) for _ in range(20)]
        slow = stack.enter_context(guest(board))
        words = iter(greeting(b"client:" + bytes(100)))
        slow.send(bytes([next(words)]))
        with Board(Place(board.address)) as there:  # it need not wait until they are given up
            assert there.round_trip() < 20

        def given_up() -> bool:
            try:
                slow.send(bytes([next(words)]))
                slow.settimeout(0.2)
                return slow.recv(4) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until(given_up, 20)
        assert next(words, None) is not None
        assert [answered(one) for one in silent] == [None] * 20


def test_a_crowd(board: Running):
    with ExitStack() as stack:
        crowd = [stack.enter_context(guest(board)) for _ in range(70)]
        crowd[-1].sendall(greeting())
        assert answered(crowd[-1]) == WELCOME
        crowd[-2].sendall(greeting())
        assert answered(crowd[-2]) == BUSY
        assert answered(crowd[0]) is None


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (greeting(size=4097), None),
        (greeting(size=2**31), None),
        (greeting(size=2**32 - 1), None),
        (greeting(b""), MISMATCH),
        (greeting(b"client:somebody"), MISMATCH),
        (greeting(b"client:" + bytes(3000)), MISMATCH),
        (greeting(b"client: -timeout=nan"), WELCOME),
        (greeting(b"client: -timeout=1e300 -timeout=-1e999"), WELCOME),
    ],
)
def test_what_is_said(board: Running, said: bytes, answer: int | None):
    with guest(board) as client:
        client.sendall(said)
        assert answered(client) == answer
    with Board(Place(board.address), wait=20):
        pass


@pytest.fixture
def narrow(pack: Path, tmp_path: Path) -> Iterator[Running]:
    """A board whose sessions may use 300 MB."""
    with boards.board(pack, tmp_path / "board", "--memory", "300") as running:
        yield running


@pytest.mark.parametrize("claim", [2**29, 2**31, 2**40])
def test_who_claims_a_packet_does_not_get_the_memory_for_it(narrow: Running, claim: int):
    with guest(narrow) as client:
        client.sendall(greeting())
        assert answered(client) == WELCOME
        client.sendall(struct.pack("<Q", claim) + bytes(1000))
        until(lambda: "a session ended: more than 100 MB in one packet" in narrow.said())
    with Board(Place(narrow.address), wait=20) as there:
        assert there.description.previous == "more than 100 MB in one packet"


def test_a_picture_for_which_there_is_too_little_memory(narrow: Running, bundle: Bundle):
    fits, *too_large = (np.zeros((side, side, 3), np.uint8) for side in (100, 5000, 8000))
    told = (
        "(has too little memory for it|ended with: more than 300 MB of memory)",
        "ended with: more than 100 MB in one",
    )
    for picture, what in zip(too_large, told, strict=True):
        with Board(Place(narrow.address), wait=20) as there:
            there.load(bundle)
            with pytest.raises(BoardError, match=f"{what}.*; use smaller pictures, or start its server with a larger"):
                there.upscale(picture)
    with Board(Place(narrow.address), wait=20) as there:
        there.load(bundle)
        assert there.upscale(fits).shape == (200, 200, 3)
