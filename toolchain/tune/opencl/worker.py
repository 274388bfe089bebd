"""The process that writes, compiles and times candidates: ``python -m toolchain.tune.opencl.worker``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.errors import TargetError
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import SIDE
from toolchain.opencl import conv as template
from toolchain.opencl.choose import job_of
from toolchain.opencl.cut import Cut
from toolchain.opencl.device import find_device, import_pyopencl
from toolchain.opencl.driver import Driver
from toolchain.opencl.plan import Extent, Launch
from toolchain.process import answer, within
from toolchain.targets import Target
from toolchain.tune.bench import Bench, Entrant, difference
from toolchain.tune.opencl.candidate import NAME, Written, read, write
from toolchain.tune.sample import Sample, make_sample
from toolchain.tune.task import Task
from toolchain.tune.values import from_plain

_SMALL = 19, 67
"""Height and width of the picture on which candidates are compared with the reference: no work-group divides it."""


def write_candidate(request: dict[str, Any]) -> dict[str, Any]:
    """``task``, ``tile``, ``target``, ``path``: write a kernel."""
    gpu = from_plain(Target, request["target"]).gpu
    assert gpu is not None
    write(from_plain(Task, request["task"]), from_plain(Cut, request["tile"]), gpu, Path(request["path"]))
    return {"status": "ok"}


class DeviceRig:
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
        self._small, self._timed = (self._data(task, *size) for size in (_SMALL, (task.height, task.width)))
        self._task = task

    def load(self, library: Path) -> Entrant:
        """The candidate of a file, compiled by the driver."""
        assert self._driver is not None
        written = read(library)
        kernel = self._driver.build(NAME, written.source, written.cut.group)
        constants = self._constants(written)

        def seconds(number: int) -> float:
            events = [self._launch(kernel, written, constants, self._timed) for _ in range(number)]
            return float(sum(event.profile.end - event.profile.start for event in events)) * 1e-9 / number

        def wrong() -> str:
            self._launch(kernel, written, constants, self._small)
            return self._small.difference(self._cl, self._driver)

        return Entrant(wrong, seconds)

    def _data(self, task: Task, height: int, width: int) -> _Data:
        assert self._driver is not None
        sample = make_sample(task.conv, task.geometry(dot_product("opencl")), height, width, picture=task.picture,
                             anchor=task.anchor)
        return _Data(task, sample, self._cl, self._driver)

    def _constants(self, written: Written) -> dict[str, Any]:
        """The small picture's weights and what goes with them, in the candidate's order; values do not touch speed."""
        assert self._driver is not None
        task, sample = self._small.task, self._small.sample
        arrays = sample.inputs(dot_product("opencl"))[2 if sample.residual is not None else 1:]
        laid = template.arrange(job_of(task), written.cut, *arrays)
        return {name: _buffer(self._cl, self._driver, array) for name, array in laid.items()}

    def _launch(self, kernel: Any, written: Written, constants: dict[str, Any], data: _Data) -> Any:
        """Run a candidate on ``data``; the alarm ends a process whose launch does not."""
        assert self._driver is not None
        job, cut = job_of(data.task), written.cut
        work = (Extent("width", cut.pixels), Extent("height"), Extent("one", 1, len(job.order) // cut.channels))
        height, width = data.sample.size
        sizes = Launch(NAME, written.arguments, work, cut.group).sizes(height, width)
        kernel.set_args(*({**data.arguments, **constants}[name] for name in written.arguments))
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

    def __init__(self, task: Task, sample: Sample, cl: Any, driver: Driver) -> None:
        self.task, self.sample = task, sample
        (x, *others), (height, width) = sample.inputs(dot_product("opencl")), sample.size
        self.result = sample.output()
        if task.conv.pixels is None:    # kernels write inside of the picture only
            self.result[:] = task.conv.requantize.zero_point * 0x01010101
        pitch = sample.geometry.tiles(width) * sample.geometry.columns + 2 * SIDE
        given = {"x": _pixels(sample.codes, task.picture) if task.picture else x, "y": self.result}
        if sample.residual is not None:
            given["r"] = _pixels(sample.residual, task.anchor) if task.anchor else others[0]
        self.arguments: dict[str, Any] = {name: _buffer(cl, driver, array) for name, array in given.items()}
        self.arguments |= {"height": np.int32(height), "width": np.int32(width), "pitch": np.int32(pitch)}

    @cached_property
    def _expected(self) -> npt.NDArray[Any]:
        return self.sample.used(self.sample.expected())

    def difference(self, cl: Any, driver: Driver | None) -> str:
        """How what a kernel wrote differs from the reference, in words; empty if it does not."""
        assert driver is not None
        found = np.empty_like(self.result)
        cl.enqueue_copy(driver.queue, found, self.arguments["y"])
        cl.enqueue_copy(driver.queue, self.arguments["y"], self.result)    # for the next one
        return difference(self.sample.used(found), self._expected)


def _pixels(codes: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """A picture (h, w, channels) of codes (c, h, w)."""
    return np.ascontiguousarray(np.moveaxis(codes[:channels], 0, -1))


def _buffer(cl: Any, driver: Driver, array: npt.NDArray[Any]) -> Any:
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    return cl.Buffer(driver.context, flags, hostbuf=np.ascontiguousarray(array))


def main() -> None:
    """Answer the requests on stdin until it ends."""
    answer({"compile": write_candidate, "time": Bench(DeviceRig()).time})


if __name__ == "__main__":
    main()
