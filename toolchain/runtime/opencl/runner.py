"""Executes a launch plan with pyopencl: the very kernels of a bundle, on whatever OpenCL device there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.bundle.launch_plan import PICTURE, RESULT, SCALARS, Launch, LaunchPlan
from toolchain.images.geometry import Geometry
from toolchain.images.scale import plain
from toolchain.runtime.opencl.device import import_pyopencl
from toolchain.runtime.opencl.driver import Driver
from toolchain.support.errors import BundleError, TargetError, TooSmallError

Pixels = npt.NDArray[np.uint8]


class OpenClRunner:
    """Runs one network. Buffers are kept from one picture to the next of the same size.

    Args:
        plan: what to launch.
        sources: OpenCL C of every kernel, by its name.
        constants: the bytes of all constants.
        device: from `toolchain.runtime.opencl.device.find_device`.

    Attributes:
        name: of the device, and what it lacks.

    Raises:
        BundleError: the plan does not fit the kernels.
        TargetError: the driver cannot build a kernel.
    """

    def __init__(self, plan: LaunchPlan, sources: Mapping[str, str], constants: bytes, device: Any) -> None:
        self._cl = import_pyopencl()
        driver = self._driver = Driver(device)
        self.plan, self.device, self.name = plan, device, driver.name
        if plan.stores_halves and not driver.halves:
            self.plan, self.name = plan.in_float32(), f"{driver.name}, without cl_khr_fp16: tensors are float32"
        self._geometry = Geometry(plan.channels, plain(Fraction(plan.scale, plan.over)), plan.unit)
        self._context, self._queue = driver.context, driver.queue
        self._launches: list[tuple[Launch, Any, tuple[int, int, int]]] = []
        for launch in plan.launches:
            kernel = driver.build(launch.kernel, sources[launch.kernel])
            if kernel.num_args != len(launch.arguments):
                raise BundleError(
                    f"the launch plan gives kernel {launch.kernel} {len(launch.arguments)} arguments, it "
                    f"takes {kernel.num_args}",
                    hint="deploy the model again",
                )
            self._launches.append((launch, kernel, driver.group(kernel, launch.group)))
        flags = self._cl.mem_flags
        self._constants = {
            c.name: self._cl.Buffer(
                self._context,
                flags.READ_ONLY | flags.COPY_HOST_PTR,
                hostbuf=np.frombuffer(constants, c.dtype, c.count, c.offset),
            )
            for c in plan.constants
        }
        self._size: tuple[int, int] | None = None
        self._buffers: dict[str, Any] = {}

    def upscale(self, pixels: Pixels) -> Pixels:
        """Upscale u8 (h, w, C) to u8 (h*scale, w*scale, C).

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network.
            TargetError: the device has too little memory, or a launch fails.
        """
        return self._geometry.of_any_size(lambda given: self.bind(given)())(pixels)

    def bind(self, pixels: Pixels) -> Callable[[], Pixels]:
        """Return a call that upscales ``pixels``, extended to the network's unit, with their transfer to the
        device and back: what is timed.

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network.
            TargetError: the device has too little memory.
        """
        self._geometry.check(pixels)
        plan = self.plan
        given = np.ascontiguousarray(self._geometry.extend(pixels))
        height, width = given.shape[:2]

        def call() -> Pixels:
            self._allocate(height, width)
            result = np.empty(plan.made(height, width), np.uint8)
            try:
                self._cl.enqueue_copy(self._queue, self._buffers[PICTURE], given, is_blocking=False)
                self._enqueue(height, width)
                self._cl.enqueue_copy(self._queue, result, self._buffers[RESULT])
            except self._cl.Error as error:
                raise TargetError(f"{self.name} cannot run the network: {error}", hint="use smaller tiles") from error
            return result

        return call

    def functions(self, pixels: Pixels, repeats: int) -> dict[str, float]:
        """Return seconds of each kernel on u8 (h, w, C) as the device counts them, mean of ``repeats`` pictures."""
        self.upscale(pixels)
        size = self._geometry.extend(pixels).shape[:2]
        seconds = {launch.kernel: 0.0 for launch in self.plan.launches}
        for _ in range(repeats):
            began = time.perf_counter()
            for launch, event in zip(self.plan.launches, self._enqueue(*size), strict=True):
                event.wait()
                now = time.perf_counter()
                seconds[launch.kernel] += self._driver.seconds(event, now - began) / repeats
                began = now
        return seconds

    def _enqueue(self, height: int, width: int) -> list[Any]:
        memory = {**self._constants, **self._buffers}
        events = []
        for launch, kernel, group in self._launches:
            scalars = self.plan.scalars(launch, height, width)
            kernel.set_args(
                *(np.int32(scalars[name]) if name in SCALARS else memory[name] for name in launch.arguments)
            )
            events.append(self._cl.enqueue_nd_range_kernel(self._queue, kernel, launch.items(scalars, group), group))
        return events

    def _allocate(self, height: int, width: int) -> None:
        """Buffers for a picture's size, filled with what surrounds the picture."""
        if self._size == (height, width):
            return
        plan, flags = self.plan, self._cl.mem_flags
        if not plan.fits(height, width):
            raise TooSmallError(
                f"of {width} x {height} pixels nothing is left within this network", hint="use a larger picture"
            )
        self._size, self._buffers = None, {}
        sizes = {PICTURE: height * width * plan.channels, RESULT: int(np.prod(plan.made(height, width)))}
        sizes |= {buffer.name: plan.size(buffer, height, width) for buffer in plan.buffers}
        largest = max(sizes.values())
        if largest > self.device.max_mem_alloc_size or largest >= 2**31:
            raise TargetError(f"{self.name} cannot hold a tensor of {largest / 1e6:.0f} MB", hint="use smaller tiles")
        try:
            self._buffers = {
                name: self._cl.Buffer(self._context, flags.READ_WRITE, size) for name, size in sizes.items()
            }
            for buffer in plan.buffers:
                for byte, start, count in plan.fills(buffer, height, width):
                    memory = self._buffers[buffer.name]
                    self._cl.enqueue_fill_buffer(self._queue, memory, np.uint8(byte), start, count)
        except self._cl.Error as error:
            self._buffers = {}
            raise TargetError(
                f"{self.name} has too little memory for {width} x {height} pixels: {error}", hint="use smaller tiles"
            ) from error
        self._size = height, width
