"""A device at work: its context, its queue and its compiler."""

from __future__ import annotations

import warnings
from typing import Any

from toolchain.bundle.launch_plan import fitting
from toolchain.runtime.opencl.device import device_name, import_pyopencl, last_words
from toolchain.support.errors import TargetError

_ORDINALS = 3
"""Nanoseconds in which no launch ends: moments that are no further apart are numbers, not times."""


def stores_halves(device: Any) -> bool:
    """Return whether float16 is worth storing: a GPU without the extension would convert every number by a program."""
    gpu = import_pyopencl().device_type.GPU
    return not device.type & gpu or "cl_khr_fp16" in device.extensions.split()


class Driver:
    """What kernels run through.

    Args:
        device: from `toolchain.runtime.opencl.device.find_device`.

    Attributes:
        name: of the device and its driver.
        context, queue: pyopencl's; the queue takes times.
        halves: whether kernels are built to store float16 where they say so; else it is float32.
    """

    def __init__(self, device: Any) -> None:
        self._cl = import_pyopencl()
        self.device, self.name = device, device_name(device)
        self.context = self._cl.Context([device])
        self.queue = self._cl.CommandQueue(self.context, properties=self._cl.command_queue_properties.PROFILING_ENABLE)
        # Integer dot products exist in OpenCL C 3.0 only, which every device of OpenCL 3 has; the default is 1.2.
        major = int(device.version.split()[1].split(".")[0])
        self._options = ["-cl-std=CL3.0"] if major >= 3 else []
        self.halves = stores_halves(device)
        if not self.halves:
            self._options.append("-DFLOAT32_TENSORS")

    def build(self, name: str, source: str) -> Any:
        """Return the kernel ``name`` of ``source``.

        Raises:
            TargetError: the driver cannot build it.
        """
        cl = self._cl
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # compilers talk; what they say matters when they fail
            try:
                return cl.Kernel(cl.Program(self.context, source).build(self._options), name)
            except cl.Error as error:
                raise TargetError(
                    f"{self.name} cannot build the kernel {name}: {last_words(error)}", hint="please report it"
                ) from error

    def seconds(self, event: Any, spent: float) -> float:
        """Return how long the kernel of a finished ``event`` took, as the device counts it.

        Args:
            event: pyopencl's.
            spent: seconds that passed here; taken where the device has no clock: Mesa's rusticl on a processor numbers
                the moments of an event 0, 1, 2, 3.
        """
        moments = event.profile
        return float(moments.end - moments.start) * 1e-9 if moments.end - moments.queued > _ORDINALS else spent

    def group(self, kernel: Any, planned: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the work-group that a kernel runs in, where ``planned`` may be more than the device can: see
        `fitting`.
        """
        most = kernel.get_work_group_info(self._cl.kernel_work_group_info.WORK_GROUP_SIZE, self.device)
        return fitting(planned, most, self.device.max_work_item_sizes)
