"""Timing in rounds, each contestant in a process of its own; and what the times mean."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from contestants.base import Prepare, UnsupportedError
from networks import Network, Pixels
from toolchain.images.metrics import psnr

PAUSE = 0.1
"""Seconds before each call: the threads of the one before may still spin, waiting for work, and would keep a core."""

PATIENCE = 900.0
"""Seconds after which a process that says nothing is given up."""


class GoneError(Exception):
    """A contestant cannot go on; the message says why."""


@dataclass(frozen=True)
class Effort:
    """What it takes until a picture is there.

    Attributes:
        made: seconds to make what a contestant keeps of a network: conversion, quantization, compilation; None if
            that was there already.
        loaded: seconds to load it, and to compile it where that is done in memory.
        grown: megabytes by which the process grows from before that until a picture is done, the picture included;
            None where the system does not tell.
    """

    made: float | None
    loaded: float
    grown: float | None


@dataclass(frozen=True)
class _Made:
    """Something was made on the way: another process is to show what loading takes."""

    seconds: float


@dataclass(frozen=True)
class Figures:
    """Milliseconds of one contestant; how many times as long as the first contestant it takes (median, quartiles)."""

    name: str
    threads: int
    fastest: float
    median: float
    p90: float
    ratio: float
    ratio_quartiles: tuple[float, float]


class Worker:
    """A contestant in a process of its own, ready to be timed.

    A crash, an exit or a foreign thread pool then concern nobody else. What it prints goes to ``log``.

    Args:
        prepare: of the contestant.
        network, pixels, threads: what it is given.
        expected: u8 (h*scale, w*scale, C); the picture its result is compared with.
        log: a file.

    Attributes:
        psnr: dB between its result and ``expected``.
        note: what it said when it was ready.
        effort: until then.

    Raises:
        UnsupportedError: it cannot take part, and says why.
        GoneError: it failed or its process ended.
    """

    def __init__(
        self, prepare: Prepare, network: Network, pixels: Pixels, threads: int, expected: Pixels, log: Path
    ) -> None:
        self._log = log
        given = prepare, network, pixels, threads, expected, log
        answer, made = self._begin(*given), None
        if isinstance(answer, _Made):
            self.close()
            answer, made = self._begin(*given), answer.seconds
            if isinstance(answer, _Made):  # it makes something every time
                self._pipe.send("go on")
                answer = self._receive()
        self.psnr, self.note, effort = answer
        self.effort = replace(effort, made=made)

    def _begin(self, *given: object) -> Any:
        """Start a process; returns its first answer."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *given), daemon=True)
        self._process.start()
        theirs.close()
        try:
            return self._receive()
        except Exception:
            self.close()
            raise

    def time(self) -> float:
        """Milliseconds of one call, after a pause and an untimed call.

        Raises:
            GoneError: the call failed or the process ended.
        """
        try:
            self._pipe.send("time")
        except OSError as error:
            raise GoneError(self._died()) from error
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self) -> object:
        try:
            if not self._pipe.poll(PATIENCE):
                raise GoneError(f"no answer within {PATIENCE:.0f} s")
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise GoneError(self._died()) from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _died(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"code {code}"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = f"; it had said: {lines[-1].strip()[:120]}" if lines and not how.startswith("signal") else ""
        return f"its process ended with {how}{said}"


def measure(times: Mapping[str, Callable[[], float]], rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Each call of ``times`` once a round, in turn, so that all see the same drift; returns milliseconds.

    Those that raise GoneError are left out from then on; the second value says why.
    """
    series: dict[str, list[float]] = {name: [] for name in times}
    gone: dict[str, str] = {}
    for _ in range(rounds):
        for name, time_once in times.items():
            if name not in gone:
                try:
                    series[name].append(time_once())
                except GoneError as error:
                    gone[name] = str(error)
    return {name: values for name, values in series.items() if name not in gone}, gone


def summarize(series: Mapping[str, Sequence[float]], threads: int) -> list[Figures]:
    """Figures of each series; ratios are taken round by round to the first."""
    first = next(iter(series.values()), ())
    figures = []
    for name, values in series.items():
        lower, middle, upper = spread(values, first)
        fastest, median, p90 = min(values), statistics.median(values), float(np.quantile(values, 0.9))
        figures.append(Figures(name, threads, fastest, median, p90, middle, (lower, upper)))
    return figures


def spread(values: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of ``values`` / ``base``, round by round."""
    ratios = np.asarray(values) / np.asarray(base)
    lower, middle, upper = np.quantile(ratios, [0.25, 0.5, 0.75])
    return float(lower), float(middle), float(upper)


def held(what: str) -> int | None:
    """Bytes of this process: VmRSS now, VmHWM at most; None where Linux does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = status.read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def _serve(
    pipe: Connection, prepare: Prepare, network: Network, pixels: Pixels, threads: int, expected: Pixels, log: Path
) -> None:
    """The life of a worker's process: make ready, then answer each message with a time, until the pipe closes."""
    with log.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    try:
        before, start, known = held("VmRSS"), time.perf_counter(), network.kept()
        ready = prepare(network, pixels, threads)
        seconds = time.perf_counter() - start
        if network.kept() != known:
            pipe.send(_Made(seconds))
            pipe.recv()
        result = ready.call()
        after = held("VmHWM")
        effort = Effort(None, seconds, None if None in (before, after) else (after - before) / 1e6)
        found = ready.pixels(result)
        if found.shape != expected.shape:
            raise UnsupportedError(f"the result has the shape {found.shape}, not {expected.shape}")
        pipe.send((psnr(found, expected), ready.note, effort))
        while pipe.recv():
            time.sleep(PAUSE)
            ready.call()
            start = time.perf_counter()
            ready.call()
            pipe.send((time.perf_counter() - start) * 1e3)
    except UnsupportedError as error:
        pipe.send(error)
    except EOFError:
        pass
    except Exception as error:  # contestants raise what they like
        lines = str(error).strip().splitlines() or [""]
        pipe.send(GoneError(f"{type(error).__name__}: {lines[0][:300]}"))
