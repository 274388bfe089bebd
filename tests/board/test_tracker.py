"""A tracker and a board that it knows: found, busy, gone, back again."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import boards
from tests.boards import Running, until
from toolchain.board.board import Board
from toolchain.board.place import Address, Place
from toolchain.board.tracker import Tracker, entries
from toolchain.cli import main
from toolchain.support.errors import BoardError


def test_a_board_is_found_and_seen_busy(tracker: Running, registered: Running):
    (entry,) = entries(tracker.address)
    assert (entry.key, entry.busy, entry.address.port) == ("pi", False, registered.address.port)
    assert entry.description is not None
    with Board(Place(tracker.address, "pi")) as there:
        assert there.description.cpu == entry.description.cpu
        until(lambda: entries(tracker.address)[0].busy)
        with pytest.raises(BoardError, match=r"the board called 'pi' stayed busy for 0\.5 s; wait longer with --wait"):
            Board(Place(tracker.address, "pi"), wait=0.5)
    until(lambda: not entries(tracker.address)[0].busy)
    with Board(Place(tracker.address, "pi")):
        pass


def test_an_unknown_key(tracker: Running, registered: Running):
    begin = time.monotonic()
    with pytest.raises(BoardError, match=r"knows no board called 'pie'; there are: pi"):
        Board(Place(tracker.address, "pie"))
    assert time.monotonic() - begin < 10


def test_no_board_at_all(tracker: Running):
    with pytest.raises(BoardError, match=r"knows no board called 'pi'; `clipfree board serve --tracker"):
        Board(Place(tracker.address, "pi"))


def test_no_tracker(registered: Running):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", probe.getsockname()[1])
    with pytest.raises(BoardError, match=r"no tracker answers at .*: Connection refused; is it running"):
        entries(address)
    with pytest.raises(BoardError, match="is no tracker; for a board itself use --rpc"):
        entries(registered.address)  # a board, which hangs up


def test_a_board_of_the_tracker_is_not_had_without_it(registered: Running):
    with pytest.raises(BoardError, match="is given out by a tracker; ask for it with --tracker"):
        Board(Place(registered.address))


def test_a_board_that_was_given_out_in_vain_is_offered_again(tracker: Running, registered: Running):
    taken = Tracker(tracker.address)
    taken.request("pi", 5)
    taken.close()  # and never called
    begin = time.monotonic()
    with Board(Place(tracker.address, "pi"), wait=20):
        assert time.monotonic() - begin < 20


def test_boards_outlive_their_tracker(tracker: Running, registered: Running, tmp_path: Path):
    tracker.kill()
    until(lambda: "trying again" in registered.said())
    command = [
        str(word)
        for word in (os.sys.executable, "-m", "toolchain.cli", "board", "tracker", "--port", tracker.address.port)
    ]
    with boards.listening(command, tmp_path / "second.log") as second:
        until(lambda: entries(second.address))
        with Board(Place(second.address, "pi")) as there:
            assert there.round_trip() < 1


VALUES: list[Any] = [None, -1, 0, 1.5, 10**30, "x", "", "\x1b[2J", "\ud800", [], {}, [1], True, {"a": 1}, 2**16]


def frame(value: Any) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("<i", len(text)) + text


def register(stack: ExitStack, tracker: Running, info: dict[str, Any]) -> None:
    """As a client that may be anybody registers what may be anything."""
    client = stack.enter_context(socket.create_connection((tracker.address.host, tracker.address.port), 10))
    client.sendall(struct.pack("<i", 0x2F271))
    assert client.recv(4, socket.MSG_WAITALL) == struct.pack("<i", 0x2F271)
    client.sendall(frame([5, info]))
    client.recv(4)


def test_what_anybody_registers_breaks_nobody_s_list(
    tracker: Running, registered: Running, capsys: pytest.CaptureFixture[str]
):
    good = {"key": "server:odd", "addr": ["127.0.0.1", 9090], "busy": False, "board": {"protocol": 2}}
    with ExitStack() as stack:
        register(stack, tracker, good)
        for value in VALUES:
            for change in (
                {"addr": ["127.0.0.1", value]},
                {"addr": [value, 9090]},
                {"key": value},
                {"busy": value},
                {"board": value},
            ):
                register(stack, tracker, {**good, **change})
        assert main(["board", "list", "--tracker", str(tracker.address)]) == 0
        said = capsys.readouterr().out
    assert "\x1b" not in said
    assert sum(line.startswith("pi ") for line in said.splitlines()) == 1
    assert {line.split()[0] for line in said.splitlines()} == {"pi", "odd"}


@contextmanager
def answering(*answers: bytes) -> Iterator[Address]:
    """A tracker that answers so, whatever it is asked, and then waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                for answer in (struct.pack("<i", 0x2F271), *answers):
                    client.recv(1 << 16)
                    client.sendall(answer)
                client.recv(1 << 16)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Address(*listener.getsockname())
        thread.join(10)


KNOWN = frame([0, {"server_info": [{"key": "server:pi", "addr": ["127.0.0.1", 9090]}], "queue_info": {}}])


@pytest.mark.parametrize(
    "answer",
    [frame(value) for value in (None, [], {}, 0, [0], [1, {}], [0, None], [0, []], [0, {"server_info": 3}], "text")]
    + [struct.pack("<i", size) for size in (-1, 0, -(2**31), 2**31 - 1)]
    + [struct.pack("<i", 2) + b"{x", struct.pack("<i", 3) + b"NaN", struct.pack("<i", 5000) + b"[" * 5000],
)
def test_a_tracker_that_answers_nonsense(answer: bytes):
    sentence = r"the tracker at .* answers .*, which is not understood"
    with answering(answer) as address, pytest.raises(BoardError, match=sentence):
        entries(address)


@pytest.mark.parametrize(
    "offer",
    [
        None,
        [],
        ["127.0.0.1"],
        ["127.0.0.1", "9090", "w"],
        [None, 9090, "w"],
        ["127.0.0.1", 0, "w"],
        ["127.0.0.1", 9090, 7],
        [["a"], 9090, "w"],
    ],
)
def test_a_tracker_that_offers_nonsense(offer: Any):
    with answering(KNOWN, frame([0, offer])) as address:
        tracker = Tracker(address)
        with pytest.raises(BoardError, match=r"answers .*, which is not understood"):
            tracker.request("pi", 5)
        tracker.close()
