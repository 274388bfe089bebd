"""Opening a session through a helper process: every way in which there may be none, as a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.board.describe import Description
from toolchain.board.place import Address, Place
from toolchain.board.tracker import reason
from toolchain.support.errors import BoardError
from toolchain.support.worker import Died, Worker

_START = 20.0
"""Seconds for the process to start and to import TVM, and for the board to answer."""


@dataclass(frozen=True)
class Connected:
    """A session: the board's address, and what it says of itself."""

    address: str
    description: Description


def connect(worker: Worker, place: Place, wait: float) -> Connected:
    """Open a session in ``worker``, whose ``connect`` is that of `toolchain.board.session`.

    Raises:
        BoardError: the board cannot be reached, stays busy for ``wait`` seconds, or has another TVM.
    """
    address = place.address
    request = {"operation": "connect", "host": address.host, "port": address.port, "key": place.key, "wait": wait}
    try:
        answer = worker.ask(request, _START + wait)
    except Died as death:
        raise _silent(place, death) from death
    if answer.get("status") == "failed":
        raise BoardError(answer["note"], hint=answer["hint"])
    return Connected(answer["address"], Description.parse(answer["board"]))


def unreachable(address: Address, error: OSError) -> BoardError:
    """Nobody answers at ``address``."""
    return BoardError(
        f"no board answers at {address}: {reason(error)}", hint="is it on, and is `clipfree board serve` running there?"
    )


def crashed(death: Died) -> BoardError:
    """Return the error of a process that talks to a board and crashed: over what was answered, or because somebody
    ended it.
    """
    how = death.note.partition(":")[0]  # behind it stands the last line of a library
    hint = "is it a board that answers? `clipfree board serve` starts a board's server"
    return BoardError(f"the process that talks to the board ended with {how}", hint=hint)


def _silent(place: Place, death: Died) -> BoardError:
    """Why connecting did not come to an end."""
    if death.status == "crashed":
        return crashed(death)
    return BoardError(f"{place} does not answer", hint="start its server again, or look whether it is a board")
