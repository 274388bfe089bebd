"""What a backend is: it makes a network's library for one kind of target, and runs it where it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from toolchain.support.dump import Dump, no_dump

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel
    from toolchain.images.geometry import Geometry
    from toolchain.lower import Rehearsal
    from toolchain.quantize import QuantizedModel
    from toolchain.runtime.measure import KernelTimes
    from toolchain.schedules.coverage import TunedCoverage
    from toolchain.schedules.select import Tuning
    from toolchain.targets import Target
    from toolchain.targets.linker import Linker

Pixels = npt.NDArray[np.uint8]


class Compiled(Protocol):
    """What a backend makes: a library that can be written, and how much of the network runs in integers."""

    @property
    def coverage(self) -> Any: ...  # noqa: D102

    @property
    def kernels(self) -> Sequence[Any]: ...  # noqa: D102

    @property
    def choices(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def further(self) -> int: ...  # noqa: D102

    @property
    def figures(self) -> Sequence[Any]: ...  # noqa: D102

    @property
    def segments(self) -> Sequence[Any]: ...  # noqa: D102

    @property
    def tuned(self) -> TunedCoverage: ...  # noqa: D102

    def workspace(self, height: int, width: int) -> int: ...  # noqa: D102

    def line_buffers(self, width: int) -> int: ...  # noqa: D102

    def export(self, path: Path, linker: Linker | None, name: str, geometry: Geometry) -> tuple[str, ...]:
        """Write the library; returns warnings.

        Args:
            path: of the library.
            linker: None where the backend can do without.
            name: of the network, for those who ask the library.
            geometry: of its pictures.

        Raises:
            TargetError: the linker fails.
            OSError: it cannot be written.
        """

    def archive(self, path: Path, linker: Linker | None, name: str, geometry: Geometry) -> None:
        """Write the library as a static one; arguments as of `export`.

        Raises:
            TargetError: there is no such thing for the target, or a tool is not there or fails.
        """


class Runner(Protocol):
    """A library that is loaded."""

    @property
    def upscale(self) -> Callable[[Pixels], Pixels]:
        """u8 (h, w, C) to u8 (h*scale, w*scale, C)."""

    def bind(self, pixels: Pixels) -> Callable[[], Any]:
        """Prepare a call that upscales ``pixels``, u8 (h, w, C): what is timed."""


class Backend(Protocol):
    """One kind of target."""

    def file(self, target: Target) -> str:
        """Return the name of the file of a bundle that is loaded to run the network."""

    def check(self, target: Target) -> None:
        """See that the backend has kernels for ``target``.

        Raises:
            TargetError: it has none.
        """

    def linker(self, target: Target) -> tuple[Linker | None, tuple[str, ...]]:
        """Find what links for ``target``; where the backend can do without, None and a warning.

        Raises:
            TargetError: there is no linker, and none can be done without.
        """

    def obstacle(self, target: Target) -> str | None:
        """Say why this machine cannot run what is made for ``target``, and what does; None if it can."""

    def rehearse(self, model: onnx.ModelProto, target: Target) -> Rehearsal:
        """Lower an integer network as `compile` does, and stop there: which parts run in integers, which in float, and
        how.

        Args:
            model: canonical QDQ; its ranges do not matter. One that stands for a network before photographs are read
                has no tensors of 16 bits, so that convolutions are counted which may later be two.
            target: to compile for.

        Raises:
            ModelError: a part of the network has no kernel: `compile` would say the same.
            TargetError: there are no kernels for the target.
        """

    def rehearse_floats(self, model: SRModel, target: Target, precision: str) -> Rehearsal:
        """Return the same of a float network: lower it as `compile_floats` does, and stop there.

        Raises:
            ModelError: a part of the network has no kernel: `compile_floats` would say the same.
            TargetError: there are no kernels of this precision for the target.
        """

    def compile(
        self, model: QuantizedModel, target: Target, tuning: Tuning, *, layers: bool = False, dump: Dump = no_dump
    ) -> Compiled:
        """Compile an integer network with the schedules that ``tuning`` knows.

        Args:
            model: canonical QDQ.
            target: to compile for.
            tuning: schedules of kernels.
            layers: run one kernel after the other on whole tensors, so that each can be timed.
            dump: where the module is written as it is after each phase.

        Raises:
            ModelError: a part of the network has no kernel.
            TargetError: there are no kernels for the target.
        """

    def compile_floats(self, model: SRModel, target: Target, precision: str, *, dump: Dump = no_dump) -> Compiled:
        """Compile a float network of ``precision`` "float32" or "float16".

        Raises:
            ModelError: a part of the network has no kernel.
            TargetError: there are no kernels of this precision for the target.
        """

    def open(self, library: Path, geometry: Geometry, threads: int | None = None) -> Runner:
        """Load the file ``library`` of a bundle, which executes its code.

        Raises:
            BundleError: it cannot be loaded.
            TargetError: there is no device that runs it.
        """

    def open_each_way(self, library: Path, geometry: Geometry, threads: int | None = None) -> tuple[Runner, ...]:
        """Load it as `open` does, and in every other way in which it may be loaded elsewhere: all make the same bytes.

        Raises:
            BundleError: it cannot be loaded.
            TargetError: there is no device that runs it.
        """

    def kernel_times(
        self, library: Path, compiled: Compiled, geometry: Geometry, size: tuple[int, int]
    ) -> KernelTimes | None:
        """Time the kernels of a library that this machine runs, one by one, on one thread; None where they run on a
        device.

        Args:
            library: that ``compiled`` was written to.
            compiled: the network.
            geometry: of its pictures.
            size: height and width of the input picture.

        Raises:
            BundleError: the library cannot be loaded, or fails.
        """
