"""A board as the rest of the toolchain sees it: open it, load a bundle, run it, time it. All within time limits."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.backends.opencl.host import kind_of
from toolchain.board.connect import connect, crashed
from toolchain.board.place import Place
from toolchain.board.session import ENDED, MEMORY
from toolchain.bundle import Bundle, Manifest
from toolchain.images.geometry import Geometry
from toolchain.runtime.measure import TimingPlan
from toolchain.runtime.opencl.files import read_plan
from toolchain.support.cores import choose
from toolchain.support.cpu import Cpu
from toolchain.support.errors import BoardError
from toolchain.support.files import scratch_folder
from toolchain.support.worker import Died, Worker
from toolchain.targets import best_target

Pixels = npt.NDArray[np.uint8]

WORKER = (sys.executable, "-m", "toolchain.board.worker")
"""The command of the process that talks to a board; tests put others in its place."""

WAIT = 10.0
"""Seconds to wait for a busy board."""

_SLOWEST_LINK = 100e3  # bytes a second below which a connection counts as dead
_SLOWEST_BUILD = 20.0  # seconds for a kernel, beyond which a driver counts as hanging
_SLOWEST_BOARD = 2e6  # multiply-accumulates a second below which a network counts as hanging; emulators reach some 1e7


class Board:
    """A session with a board, which nobody else can use meanwhile.

    Args:
        place: where it is.
        wait: seconds to wait if it is busy.
        threads: of ``upscale``; None for one on each core.
        cpus: which of its cores threads run on, see `toolchain.support.cores.choose`.
        command: of the process that talks to it.

    Attributes:
        description: what it says of itself.

    Raises:
        BoardError: it cannot be reached, stays busy, or has another TVM.
        InputError: it has no such cores, or too few of them.
    """

    def __init__(
        self,
        place: Place,
        *,
        wait: float = WAIT,
        threads: int | None = None,
        cpus: str | None = None,
        command: Sequence[str] = WORKER,
    ) -> None:
        self.place, self._threads, self._cpus = place, threads, cpus
        self._worker = Worker(command)
        self._macs = 0.0
        self._geometry = Geometry(3, 1)
        self._device: Cpu | None = None
        self._folder = contextlib.ExitStack()
        try:
            opened = connect(self._worker, place, wait)
            self.address, self.description = opened.address, opened.description
            self.cores(threads or 1)
            self._files = self._folder.enter_context(scratch_folder())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Board:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the board back."""
        self._worker.close()
        self._folder.close()

    @property
    def cpu(self) -> Cpu:
        """Its processor, or the OpenCL device that runs the loaded network: one core, whatever it has."""
        return self._device or self.description.cpu

    @property
    def threads(self) -> int:
        """How many are worth a try: one for each of the cores that they may run on, or each big one."""
        return len(self.cores(1)) or 1

    def cores(self, threads: int) -> tuple[int, ...]:
        """Return numbers of the cores that so many threads run on; none with an OpenCL device, whose driver puts them.

        Raises:
            InputError: there are too few.
        """
        return () if self._device else choose(self.description.cores, self._cpus, threads, "the board")

    def round_trip(self) -> float:
        """Send a megabyte there and back; returns the seconds that a call takes.

        Raises:
            BoardError: it came back otherwise, or not at all.
        """
        size = 1 << 20
        found = self._ask("echo", 10 + 2 * size / _SLOWEST_LINK, "sending data", size=size)
        if not found["whole"]:
            raise BoardError(f"data come back from the board at {self.address} with errors", hint="do not use it")
        return float(found["seconds"])

    def load(self, bundle: Bundle) -> None:
        """Send a bundle's library and load it.

        Raises:
            BundleError: it is not for this board's processor, or another TVM made it.
            BoardError: the library does not fit, cannot be loaded, or the board was lost.
        """
        cpu = self.description.cpu
        bundle.check_machine(cpu, self.description.versions, name="the board", target=best_target(cpu) or "TARGET")
        library = bundle.path / bundle.manifest.library
        self._load("load", library, 10.0)
        self._device = None
        self._know(bundle.manifest)

    def load_opencl(self, bundle: Bundle, device: str | None = None) -> None:
        """Send the host part of a bundle with OpenCL kernels, which builds them on a device.

        Args:
            bundle: for an OpenCL device.
            device: "opencl-cpu" or "opencl-gpu"; None for a GPU, or where there is none, for what there is.

        Raises:
            BundleError: the bundle has no host part, or not for this board's processor.
            TargetError: devices are not called so.
            BoardError: the board has no such device, it cannot run the kernels, or the board was lost.
        """
        library = bundle.host_library(self.description.cpu, name="the board")
        plan = read_plan(bundle.path / bundle.manifest.library)
        kernels = [launch.kernel for launch in plan.launches]
        answer = self._load(
            "load_opencl",
            library,
            10 + _SLOWEST_BUILD * len(kernels),
            kind=kind_of(device),
            scale=[plan.scale, plan.over],
            kernels=kernels,
        )
        self._device = replace(self.description.cpu, name=answer["device"], cores=1)
        self._know(bundle.manifest)

    def _know(self, manifest: Manifest) -> None:
        self._macs, self._geometry = manifest.macs_per_pixel, manifest.geometry

    def _load(self, operation: str, library: Path, limit: float, **values: Any) -> dict[str, Any]:
        return self._ask(
            operation,
            limit + library.stat().st_size / _SLOWEST_LINK,
            "loading the library",
            library=str(library.resolve()),
            **values,
        )

    def upscale(self, pixels: Pixels) -> Pixels:
        """Run the loaded network on u8 (h, w, C).

        Raises:
            TooSmallError: the network takes larger pictures only.
            BoardError: the library failed or crashed, or the board was lost.
        """
        return self._geometry.of_any_size(self._upscale)(pixels)

    def _upscale(self, pixels: Pixels) -> Pixels:
        output = self._files / "output.npy"
        self._run("run", pixels, self._threads or self.threads, self._once(pixels), output=str(output))
        return np.asarray(np.load(output, allow_pickle=False))

    def times(self, pixels: Pixels, threads: int, plan: TimingPlan) -> list[float]:
        """Return seconds of each repeat on u8 (h, w, C), by the board's own clock: the network to it does not count.

        Raises:
            TooSmallError: the network takes larger pictures only.
            BoardError: the library failed or crashed, or the board was lost.
        """
        self._geometry.check(pixels)
        once = self._once(pixels)
        first = self._run(
            "time", pixels, threads, (plan.warm_up + 2) * once, repeats=max(1, plan.warm_up), cool_down=0.0
        )
        estimate = float(first["seconds"][-1])
        repeats = max(min(3, plan.repeats), min(plan.repeats, int(plan.seconds / max(estimate, 1e-9))))
        limit = 10 + (repeats + 2) * (20 * estimate + 0.1 + plan.cool_down)
        found = self._run("time", pixels, threads, limit, repeats=repeats, cool_down=plan.cool_down)
        return [float(seconds) for seconds in found["seconds"]]

    def functions(self, pixels: Pixels, threads: int, repeats: int) -> dict[str, float]:
        """Return seconds that each function of the network takes of a picture u8 (h, w, C), mean of ``repeats``.

        Raises:
            TooSmallError: the network takes larger pictures only.
            BoardError: the library failed or crashed, or the board was lost.
        """
        self._geometry.check(pixels)
        found = self._run("functions", pixels, threads, repeats * self._once(pixels), repeats=repeats)
        return {name: float(seconds) for name, seconds in found["seconds"].items()}

    def _once(self, pixels: Pixels) -> float:
        height, width, channels = (int(extent) for extent in pixels.shape)
        return 10 + height * width * (channels / _SLOWEST_LINK + self._macs / _SLOWEST_BOARD)

    def _run(self, operation: str, pixels: Pixels, threads: int, limit: float, **values: Any) -> dict[str, Any]:
        path = self._files / "input.npy"
        np.save(path, self._geometry.extend(pixels))
        return self._ask(
            operation,
            limit,
            "running the library",
            input=str(path),
            threads=threads,
            cores=self.cores(threads),
            **values,
        )

    def _ask(self, operation: str, limit: float, doing: str, **values: Any) -> dict[str, Any]:
        try:
            return self._checked(self._worker.ask({"operation": operation, **values}, limit))
        except Died as death:
            if death.status == "hung":
                raise BoardError(
                    f"{doing} on the board at {self.address} took more than {limit:.0f} s",
                    hint="is the connection good? `clipfree board check` tells",
                ) from death
            if not death.note.endswith(ENDED):
                raise crashed(death) from death
            raise self._ended(doing) from death

    def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("status") == "failed":
            raise BoardError(answer["note"], hint=answer["hint"])
        return answer

    def _ended(self, doing: str) -> BoardError:
        """Why the session ended while ``doing`` something: the board knows, if it is still there."""
        try:
            again = connect(self._worker, self.place, WAIT)
        except BoardError as error:
            return BoardError(f"the board at {self.address} was lost while {doing}: {error.message}", hint=error.hint)
        if again.address != self.address or not again.description.previous:
            return BoardError(f"the board at {self.address} was lost while {doing}", hint="try again")
        why = again.description.previous
        other = "does it have enough memory, and is the bundle for its processor?"
        return BoardError(
            f"{doing} on the board at {self.address} ended with: {why}",
            hint=MEMORY if why.startswith("more than") else other,
        )
