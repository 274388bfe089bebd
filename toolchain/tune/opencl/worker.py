"""The process that writes, compiles and times candidates: ``python -m toolchain.tune.opencl.worker``."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.bundle.launch_plan import Launch
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.layout import SIDE
from toolchain.runtime.opencl.device import find_device, import_pyopencl
from toolchain.runtime.opencl.driver import Driver
from toolchain.schedules.task import Task
from toolchain.support.errors import TargetError
from toolchain.support.serialization import from_plain
from toolchain.support.worker import answer, within
from toolchain.targets import Target
from toolchain.tune.bench import Bench, BoundCandidate, difference
from toolchain.tune.kernel_data import KernelData
from toolchain.tune.opencl.candidate import NAME, Written, read, write
from toolchain.tune.opencl.data import RESULT, SMALL, constants, sample_of, tensors, work


def write_candidate(request: dict[str, Any]) -> dict[str, Any]:
    """``task``, ``tile``, ``target``, ``path``: write a kernel."""
    gpu = from_plain(Target, request["target"]).gpu
    assert gpu is not None
    write(from_plain(Task, request["task"]), from_plain(LaunchConfig, request["tile"]), gpu, Path(request["path"]))
    return {"status": "ok"}


class DeviceHarness:
    """Kernels on an OpenCL device of this machine; keeps the data of the last task."""

    def __init__(self) -> None:
        self._driver: Driver | None = None
        self._task: Task | None = None

    def guard(self) -> AbstractContextManager[None]:
        """Nothing: this machine stays."""
        return nullcontext()

    def prepare(self, task: Task, request: dict[str, Any]) -> None:
        """Make the data of ``task``, on the request's ``device``; a launch may take ``launch`` seconds."""
        self._cl, self._limit = import_pyopencl(), float(request["launch"])
        self._driver = self._driver or Driver(find_device(request["device"]))
        if task == self._task:
            return
        self._small, self._timed = (self._data(task, *size) for size in (SMALL, (task.height, task.width)))
        self._task = task

    def load(self, library: Path) -> BoundCandidate:
        """Return the candidate of a file, compiled by the driver."""
        assert self._driver is not None
        written = read(library)
        kernel = self._driver.build(NAME, written.source)
        fitting = self._driver.group(kernel, written.cut.group)
        if fitting != written.cut.group:  # what would be timed is another cut
            raise TargetError(f"{self._driver.name} runs work-groups of {fitting} at most, not {written.cut.group}")
        weights = self._constants(written)

        def seconds(number: int) -> float:
            return sum(self._seconds(kernel, written, weights) for _ in range(number)) / number

        def wrong() -> str:
            self._launch(kernel, written, weights, self._small)
            return self._small.difference(self._cl, self._driver)

        return BoundCandidate(wrong, seconds)

    def _data(self, task: Task, height: int, width: int) -> _Data:
        assert self._driver is not None
        return _Data(task, sample_of(task, height, width), self._cl, self._driver)

    def _constants(self, written: Written) -> dict[str, Any]:
        """Return the small picture's weights and what goes with them; values do not touch speed."""
        assert self._driver is not None
        laid = constants(self._small.task, written.cut, self._small.sample)
        return {name: _buffer(self._cl, self._driver, array) for name, array in laid.items()}

    def _seconds(self, kernel: Any, written: Written, weights: dict[str, Any]) -> float:
        assert self._driver is not None
        began = time.perf_counter()
        event = self._launch(kernel, written, weights, self._timed)
        return self._driver.seconds(event, time.perf_counter() - began)

    def _launch(self, kernel: Any, written: Written, weights: dict[str, Any], data: _Data) -> Any:
        """Run a candidate on ``data``; the alarm ends a process whose launch does not."""
        assert self._driver is not None
        cut = written.cut
        height, width = data.sample.size
        sizes = Launch(NAME, written.arguments, work(data.task, cut), cut.group).items(
            {"height": height, "width": width}
        )
        kernel.set_args(*({**data.arguments, **weights}[name] for name in written.arguments))
        try:
            with within(self._limit):
                event = self._cl.enqueue_nd_range_kernel(self._driver.queue, kernel, sizes, cut.group)
                event.wait()
        except self._cl.Error as error:
            raise TargetError(f"{self._driver.name} cannot run it: {error}") from error
        return event


class _Data:
    """A sample on the device.

    Attributes:
        task, sample: what it is for, and the arrays.
        arguments: of kernels, by name, but for the constants.
    """

    def __init__(self, task: Task, sample: KernelData, cl: Any, driver: Driver) -> None:
        self.task, self.sample = task, sample
        height, width = sample.size
        given = tensors(task, sample)
        self.result = given[RESULT]
        pitch = sample.geometry.tiles(width) * sample.geometry.columns + 2 * SIDE
        self.arguments: dict[str, Any] = {name: _buffer(cl, driver, array) for name, array in given.items()}
        self.arguments |= {"height": np.int32(height), "width": np.int32(width), "pitch": np.int32(pitch)}

    @cached_property
    def _expected(self) -> npt.NDArray[Any]:
        return self.sample.used(self.sample.expected())

    def difference(self, cl: Any, driver: Driver | None) -> str:
        """Return how what a kernel wrote differs from the reference, in words; empty if it does not."""
        assert driver is not None
        found = np.empty_like(self.result)
        cl.enqueue_copy(driver.queue, found, self.arguments["y"])
        cl.enqueue_copy(driver.queue, self.arguments["y"], self.result)  # for the next one
        return difference(self.sample.used(found), self._expected)


def _buffer(cl: Any, driver: Driver, array: npt.NDArray[Any]) -> Any:
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    return cl.Buffer(driver.context, flags, hostbuf=np.ascontiguousarray(array))


def main() -> None:
    """Answer the requests on stdin until it ends."""
    answer({"compile": write_candidate, "time": Bench(DeviceHarness()).time})


if __name__ == "__main__":
    main()
