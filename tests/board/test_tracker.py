"""A tracker and a board that it knows: found, busy, gone, back again."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from tests import boards
from tests.boards import Running, until
from toolchain.board.board import Board
from toolchain.board.place import Address, Place
from toolchain.board.tracker import entries
from toolchain.errors import BoardError


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
    from toolchain.board.tracker import Tracker

    taken = Tracker(tracker.address)
    taken.request("pi", 5)
    taken.close()  # and never called
    begin = time.monotonic()
    with Board(Place(tracker.address, "pi"), wait=20):
        assert time.monotonic() - begin < 20


def test_boards_outlive_their_tracker(tracker: Running, registered: Running, tmp_path: Path):
    tracker.kill()
    until(lambda: "trying again" in registered.said())
    command = [str(word) for word in (os.sys.executable, "-c", "from toolchain.cli import main; main()", "board",
                                      "tracker", "--port", tracker.address.port)]  # fmt: skip
    with boards.listening(command, tmp_path / "second.log") as second:
        until(lambda: entries(second.address))
        with Board(Place(second.address, "pi")) as there:
            assert there.round_trip() < 1
