"""A board on loopback: it gives the reference's bits, and whatever goes wrong ends soon, in a sentence."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit

import numpy as np
import pytest

from tests import boards
from tests.boards import Running, bad_bundle, until
from tests.bundle.fakes import TARGET, write
from toolchain.board.board import Board
from toolchain.board.pack import SERVER
from toolchain.board.place import Address, Place
from toolchain.bundle import LIBRARY, Bundle, open_bundle
from toolchain.runtime.measure import TimingPlan
from toolchain.support.cores import these_cores
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import BoardError, BundleError, InputError
from toolchain.support.versions import Versions


@pytest.fixture(autouse=True)
def in_seconds() -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < 60


def dead() -> Address:
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", probe.getsockname()[1])


def test_the_same_bits_and_plausible_times(board: Running, bundle: Bundle):
    picture, expected = bundle.golden()
    with Board(Place(board.address)) as there:
        there.load(bundle)
        assert np.array_equal(there.upscale(picture), expected)
        times = there.times(picture, 1, TimingPlan(repeats=4, cool_down=0.05))
        assert len(times) == 4
        assert all(0 < seconds < 1 for seconds in times)
        functions = there.functions(picture, 1, 2)
        assert all(seconds > 0 for seconds in functions.values())
        assert 0.3 * min(times) < sum(functions.values()) < 30 * max(times)
    until(lambda: not list((board.log.parent / "board").iterdir()))  # nothing is left of what was uploaded


def test_a_second_library_does_not_disturb_the_first(board: Running, bundle: Bundle):
    picture, expected = bundle.golden()
    with Board(Place(board.address)) as there:
        for _ in range(3):
            there.load(bundle)
            assert np.array_equal(there.upscale(picture), expected)


def test_it_tells_what_it_is(board: Running):
    with Board(Place(board.address)) as there:
        assert there.cpu == this_cpu()
        assert there.description.versions == dataclasses.replace(Versions.installed(), clipfree="")
        assert there.round_trip() < 1


def test_threads_stay_on_the_cores_that_were_chosen(board: Running, bundle: Bundle):
    number = these_cores()[-1].number
    with Board(Place(board.address), cpus=str(number)) as there:
        there.load(bundle)
        there.upscale(bundle.golden()[0])
        (session,) = board.children()
        threads = [int(path.name) for path in Path(f"/proc/{session}/task").iterdir()]
        assert [os.sched_getaffinity(thread) for thread in threads] == [{number}] * len(threads)
        assert there.cores(1) == (number,)
        with pytest.raises(InputError, match=rf"2 threads need as many cores, --cpus {number} names 1"):
            there.times(bundle.golden()[0], 2, TimingPlan())


def test_a_core_that_the_board_lacks(board: Running):
    with pytest.raises(InputError, match=r"the board has no core 900; it has 0"):
        Board(Place(board.address), cpus="0,900")
    with Board(Place(board.address)):
        pass


def test_nobody_there():
    with pytest.raises(BoardError, match=r"no board answers at 127\.0\.0\.1:\d+: Connection refused; is it on"):
        Board(Place(dead()))
    with pytest.raises(BoardError, match=r"no board answers at no-such-host\.invalid"):
        Board(Place(Address("no-such-host.invalid", 9090)))


def test_something_else_there():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        with pytest.raises(BoardError, match="does not answer; start its server again"):
            Board(Place(Address(*silent.getsockname())), command=IMPATIENT)
        assert time.monotonic() - begin < 10


# The real process, but for its patience: nobody wants to wait for the real limits here.
IMPATIENT = (
    sys.executable,
    "-c",
    """
import signal
from toolchain.board import session, worker

class Impatient(worker.Talk):
    def load(self, request):
        signal.setitimer(signal.ITIMER_REAL, 1)
        return super().load(request)

session.LIMIT, worker.Talk = 1, Impatient
worker.main()
""",
)


def test_two_clients(board: Running):
    with Board(Place(board.address)) as first:
        with pytest.raises(BoardError, match="is busy with another client; wait longer with --wait"):
            Board(Place(board.address), wait=0.7)
        assert first.round_trip() < 1
    with Board(Place(board.address)):
        pass


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("__builtin_trap();", "loading the library on the board at .* ended with: (Illegal instruction|Trace.*)"),
        ("_exit(3);", "ended with: exit code 3"),
    ],
)
def test_a_library_that_crashes(board: Running, bundle: Bundle, tmp_path: Path, code: str, sentence: str):
    bad = bad_bundle(tmp_path / "bad.clipfree", code)
    with Board(Place(board.address)) as there, pytest.raises(BoardError, match=sentence):
        there.load(bad)
    works(board, bundle)


def works(board: Running, bundle: Bundle) -> None:
    picture, expected = bundle.golden()
    with Board(Place(board.address)) as there:
        there.load(bundle)
        assert np.array_equal(there.upscale(picture), expected)


def test_a_library_that_hangs(board: Running, bundle: Bundle, tmp_path: Path):
    bad = bad_bundle(tmp_path / "bad.clipfree", "for (;;) pause();")
    sentence = r"loading the library on the board at .* took more than"
    with Board(Place(board.address), command=IMPATIENT) as there, pytest.raises(BoardError, match=sentence):
        there.load(bad)
    works(board, bundle)


def test_what_is_no_network(board: Running, tmp_path: Path):
    bad = bad_bundle(tmp_path / "bad.clipfree", "")
    with Board(Place(board.address)) as there, pytest.raises(BoardError, match="vm_load_executable"):
        there.load(bad)


def test_a_library_of_another_processor(board: Running, tmp_path: Path):
    foreign = dataclasses.replace(TARGET, name="cortex-a76", triple="aarch64-linux-gnu")
    opened = open_bundle(write(tmp_path / "a.clipfree", target=foreign), for_this_machine=False)
    with Board(Place(board.address)) as there:
        with pytest.raises(BundleError, match=r"is for aarch64, the board is .*; deploy the model again with --target"):
            there.load(opened)
        # A file that is not what its manifest says is found before it is sent.
        wrong = bad_bundle(tmp_path / "b.clipfree", "")
        library = wrong.path / LIBRARY
        data = library.read_bytes()
        library.write_bytes(data[:18] + (183).to_bytes(2, "little") + data[20:])
        with pytest.raises(BundleError, match=r"model\.so is a library for aarch64, 64 bits, not for x86_64-linux-gnu"):
            there.load(wrong)
        library.write_bytes(data[:-100])
        with pytest.raises(BundleError, match=r"model\.so is cut off or damaged"):
            there.load(wrong)


def test_a_processor_without_a_feature(board: Running, tmp_path: Path):
    target = dataclasses.replace(TARGET, triple=f"{this_cpu().machine}-linux-gnu", requires=("a_feature",))
    opened = open_bundle(write(tmp_path / "a.clipfree", target=target), for_this_machine=False)
    with Board(Place(board.address)) as there, pytest.raises(BundleError, match="CPU of the board lacks a_feature"):
        there.load(opened)


def test_no_space_on_the_board(pack: Path, bundle: Bundle, tmp_path: Path):
    limits = (8192, 8192)  # no file larger than that
    sentence = r"cannot store 1-model\.so: File too large; free some space there"
    with (
        boards.board(pack, tmp_path / "board", preexec_fn=lambda: setrlimit(RLIMIT_FSIZE, limits)) as running,
        Board(Place(running.address)) as there,
        pytest.raises(BoardError, match=sentence),
    ):
        there.load(bundle)


@pytest.mark.parametrize("whom", ["server", "session"])
def test_the_board_goes_away(board: Running, bundle: Bundle, whom: str):
    with Board(Place(board.address)) as there:
        there.load(bundle)
        if whom == "server":
            board.kill()
        else:
            os.kill(board.children()[0], 9)
        sentence = "was lost while running the library: no board answers" if whom == "server" else "ended with: Killed"
        with pytest.raises(BoardError, match=sentence):
            there.upscale(bundle.golden()[0])


def test_a_client_that_is_killed_leaves_the_board_free(board: Running, bundle: Bundle):
    code = (
        "import time; from toolchain.board.board import Board; from toolchain.board.place import Address, Place\n"
        f"Board(Place(Address('127.0.0.1', {board.address.port}))); print('in', flush=True); time.sleep(60)"
    )
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert client.stdout is not None
    assert client.stdout.readline() == b"in\n"
    os.killpg(client.pid, 9)
    client.communicate()
    works(board, bundle)


def test_a_server_that_is_stopped_takes_its_session_along(board: Running):
    with Board(Place(board.address)):
        session = board.children()[0]
        board.process.terminate()
        assert board.process.wait(10) == 0
        assert not Path(f"/proc/{session}").exists()
    assert not list((board.log.parent / "board").iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port"], "usage: clipfree-board"),
        (["--tracker", "lab:9190"], "usage: clipfree-board"),
        (["--tracker", "lab:first", "--key", "pi"], "usage: clipfree-board"),
        (["--port", "65536"], "usage: clipfree-board"),
        (["--memory", "2 GB"], "usage: clipfree-board"),
        (["--memory", "-1"], "usage: clipfree-board"),
        (["--tracker", "lab:9190", "--key", "pi"], "could not reach 127.0.0.1; give the address they see"),
        (["--folder", "/absent"], "clipfree-board: /absent: No such file or directory"),
        (["--listen", "192.0.2.1"], "WARNING: whoever can reach 192.0.2.1:9090 can run any code here"),
        (["--listen", "192.0.2.1"], "ssh -N -L 9090:127.0.0.1:9090"),
        (["--listen", "192.0.2.1"], "192.0.2.1:9090: Cannot assign requested address"),
    ],
)
def test_what_the_server_says_before_it_serves(pack: Path, words: list[str], sentence: str):
    done = subprocess.run([pack / SERVER, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr


def test_a_library_s_last_words_are_nobody_s_sentence():
    code = "import os; input(); os.write(2, b'what(): std::bad_alloc'); os.abort()"
    with pytest.raises(BoardError, match=r"^the process that talks to the board ended with SIGABRT; is it a board"):
        Board(Place(Address("127.0.0.1", 9)), command=(sys.executable, "-c", code))
