"""A session with a board, in the helper process: TVM's RPC client with our errors."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.board.connect import unreachable
from toolchain.board.describe import Description
from toolchain.board.place import Address, Place
from toolchain.board.tracker import LIMIT, Tracker
from toolchain.support.cores import choose
from toolchain.support.errors import BoardError, last_line
from toolchain.support.versions import Versions
from toolchain.targets.elf import read_elf

ENDED = "the session on the board ended"
"""What a process says on stderr when it ends because the session did."""

MEMORY = "use smaller pictures, or start its server with a larger --memory"
"""What to do where a board has too little of it."""

_RETRY = 0.5
_BUSY = "is busy with another client"
_SPACE = "free some space there, or start its server with --folder elsewhere"


class BoardSession:
    """A connection to a board's server, over which code is loaded, tensors are sent and kernels run.

    Args:
        place: of the board.
        wait: seconds to wait for a busy board.

    Attributes:
        address: of the board.
        told, description: what it says of itself, as it said it and read.
        device: of tensors there.

    Raises:
        BoardError: the board cannot be reached, stays busy, or has another TVM.
    """

    def __init__(self, place: Place, wait: float) -> None:
        self.address, self._session = _connect(place, wait)
        try:
            self._describe = self._session.get_function("clipfree.board.describe")
            self.told = str(self._describe())
        except AttributeError as error:
            raise BoardError(
                f"what answers at {self.address} is TVM's own server, which tells neither version nor processor",
                hint="start `clipfree board serve` there",
            ) from error
        except Exception as error:  # TVM raises many kinds, with texts of its own
            raise _refusal(self.address, "") from error
        self.description = Description.parse(self.told)
        self.description.check_versions(Versions.installed())
        self.device = self._session.cpu(0)
        self._loaded = 0

    @contextmanager
    def guard(self) -> Iterator[None]:
        """End this process if something in the block fails because the session is over.

        Raises:
            BoardError: the board could not give as much memory as the block needed.
        """
        try:
            yield
        except Exception as error:  # TVM raises many kinds
            try:
                self._describe()
            except Exception:
                sys.exit(ENDED)
            if "bad_alloc" in str(error):
                raise BoardError(f"the board at {self.address} has too little memory for it", hint=MEMORY) from error
            raise

    @staticmethod
    def open(request: dict[str, Any]) -> tuple[BoardSession, dict[str, Any]]:
        """Return a session as ``request`` of `toolchain.board.connect` asks for it, and the answer.

        Raises:
            BoardError: as above.
        """
        session = BoardSession(Place(Address(request["host"], request["port"]), request["key"]), request["wait"])
        return session, {"address": str(session.address), "board": session.told}

    def call_seconds(self) -> float:
        """Return how long the shortest of some calls to the board takes."""
        times = []
        for _ in range(10):
            begin = time.perf_counter()
            self._describe()
            times.append(time.perf_counter() - begin)
        return min(times)

    def load(self, library: Path) -> Any:
        """Upload and load a library.

        Raises:
            BoardError: it is for another processor, or does not fit on the board.
        """
        found, size = read_elf(library), library.stat().st_size
        there = self.description.cpu.machine
        if found is None or found.machine != ("arm" if there.startswith("armv") else there):
            raise BoardError(
                f"{library.name} is {found or 'no library'}, the board at {self.address} is {there}",
                hint="deploy the model for a target that the board can run",
            )
        if size > self.description.free:
            raise BoardError(
                f"{library.name} needs {size / 1e6:.1f} MB on the board at {self.address}, "
                f"{self.description.free / 1e6:.1f} MB are free",
                hint=_SPACE,
            )
        # A name of its own: the linker there takes a file of a known name for the library it has loaded already.
        self._loaded += 1
        name = f"{self._loaded}-{library.name}"
        try:
            self._session.upload(str(library), name)
        except Exception as error:
            message = last_line(error)
            if "cannot store" not in message:
                raise
            raise BoardError(
                f"the board at {self.address} {message[message.index('cannot store') :]}", hint=_SPACE
            ) from error
        module = self._session.load_module(name)
        self._session.remove(name)
        return module

    def tensor(self, array: npt.NDArray[np.generic]) -> Any:
        """Return a copy of ``array`` on the board."""
        import tvm

        return tvm.runtime.tensor(array, self.device)

    def threads(self, count: int, cores: Sequence[int] = ()) -> None:
        """Let calls use ``count`` threads on ``cores``; none named: on the fastest."""
        chosen = cores or choose(self.description.cores, None, count, "the board")
        self._session.get_function("clipfree.board.threads")(count, ",".join(map(str, chosen)))

    def laps(self) -> str:
        """Return what the board's stopwatch measured since the last time it was asked, as JSON."""
        return str(self._session.get_function("clipfree.board.laps")())


def _connect(place: Place, wait: float) -> tuple[Address, Any]:
    end = time.monotonic() + wait
    while True:
        address, word = place.address, ""
        if place.key:
            with closing(Tracker(place.address)) as tracker:
                address, word = tracker.request(place.key, max(0.0, end - time.monotonic()))
        try:
            return address, _greet(address, word)
        except BoardError as error:
            # A tracker may offer a board that is gone, or was promised to somebody else.
            again = _BUSY in error.message or bool(place.key)
            if not again or time.monotonic() + _RETRY > end:
                raise
        time.sleep(_RETRY)


def _greet(address: Address, word: str) -> Any:
    """TVM's session with the server at ``address``. If it accepts and does not answer, an alarm ends this process.

    Raises:
        BoardError: there is none, and why.
    """
    from tvm import rpc

    try:
        socket.create_connection((address.host, address.port), LIMIT).close()
    except OSError as error:
        raise unreachable(address, error) from error
    left = signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        return rpc.connect(address.host, address.port, word)
    except Exception as error:  # TVM raises many kinds
        raise _refusal(address, last_line(error)) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)


def _refusal(address: Address, said: str) -> BoardError:
    """Why there is no session, given what TVM said."""
    if "already have key" in said:
        return BoardError(f"the board at {address} {_BUSY}", hint="wait longer with --wait SECONDS")
    if "cannot find server" in said:
        return BoardError(
            f"the board at {address} is given out by a tracker", hint="ask for it with --tracker HOST:PORT --key NAME"
        )
    return BoardError(f"what answers at {address} is no board", hint="`clipfree board serve` starts a board's server")
