"""The cores of a machine, and which of them threads run on: phones and many boards have fast and slow ones.

A picture is cut into equal parts, one a thread, so the slowest core of a set decides how long all of them take.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.errors import InputError

BIG, LITTLE = "big", "little"
_SYSTEM = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Core:
    """A logical processor.

    Attributes:
        number: as Linux counts them.
        speed: compared with the others of its machine, in whatever unit the system tells; 0 if it does not.
    """

    number: int
    speed: int = 0


def these_cores(system: Path = _SYSTEM) -> tuple[Core, ...]:
    """Return the cores that this process may use; none where the system lets no program choose (macOS, Windows)."""
    try:
        numbers = sorted(os.sched_getaffinity(0))
    except AttributeError:
        return ()
    return tuple(Core(number, _speed(system / f"cpu{number}")) for number in numbers)


@contextlib.contextmanager
def pinned(numbers: Iterable[int]) -> Iterator[None]:
    """Let all threads of this process, and those that come, run on these cores only; none named: wherever they did.

    After the block all of them may use the cores that the process had before.
    """
    chosen = set(numbers)
    if not chosen:
        yield
        return
    before = os.sched_getaffinity(0)
    _pin(chosen)
    try:
        yield
    finally:
        _pin(before)


def _pin(chosen: Set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), chosen)


def big(cores: Sequence[Core]) -> tuple[Core, ...]:
    """Return those that are more than half as fast as the fastest: all of them where they are alike, or nothing is
    known.
    """
    fastest = max((core.speed for core in cores), default=0)
    return tuple(core for core in cores if 2 * core.speed > fastest or not fastest)


def choose(cores: Sequence[Core], wish: str | None, threads: int, whose: str = "this machine") -> tuple[int, ...]:
    """Return numbers of the cores that ``threads`` threads run on; empty: wherever the system puts them.

    Args:
        cores: of the machine.
        wish: "big", "little", or numbers and ranges such as "0,4-7"; None: the big ones, or all if they are too few.
        threads: how many.
        whose: the machine, for messages.

    Raises:
        InputError: the wish is not understood, the machine has no such cores, or fewer of them than threads.
    """
    if not cores and wish is None:
        return ()
    if not cores:
        raise InputError(f"the system of {whose} lets no program choose cores", hint="leave --cpus away")
    chosen = _wished(cores, wish, whose)
    if wish is None and threads > len(chosen):
        chosen = tuple(cores)
    if threads > len(chosen):
        have = f"{whose} has {len(chosen)}" if wish is None else f"--cpus {wish} names {len(chosen)}"
        raise InputError(f"{threads} threads need as many cores, {have}", hint="give fewer --threads, or other --cpus")
    return tuple(core.number for core in chosen)


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as people write them: "0, 4-7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _wished(cores: Sequence[Core], wish: str | None, whose: str) -> tuple[Core, ...]:
    fast = big(cores)
    if wish is None or wish == BIG:
        return fast
    if wish == LITTLE:
        slow = tuple(core for core in cores if core not in fast)
        if not slow:
            raise InputError(f"{whose} has no little cores, as far as it tells", hint="leave --cpus away")
        return slow
    wanted = _numbers(wish)
    absent = sorted(wanted - {core.number for core in cores})
    if absent:
        raise InputError(f"{whose} has no core {absent[0]}", hint=f"it has {ranges([core.number for core in cores])}")
    return tuple(core for core in cores if core.number in wanted)


def _numbers(wish: str) -> set[int]:
    numbers: set[int] = set()
    for part in wish.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else not last) and len(part) < 10):
            raise InputError(f"--cpus {wish} is not understood", hint="give big, little, or numbers such as 4-7")
        numbers.update(range(int(first), int(last or first) + 1))
    if not numbers:
        raise InputError(f"--cpus {wish} names no core", hint="give the smaller number first")
    return numbers


def _speed(folder: Path) -> int:
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        try:
            return int((folder / name).read_text())
        except (OSError, ValueError):
            continue
    return 0
