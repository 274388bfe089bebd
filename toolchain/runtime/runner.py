"""The loaded library: u8 pixels in, u8 pixels out, on this machine's CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.images.geometry import Geometry
from toolchain.runtime.loading import fresh_path
from toolchain.support.cpu import configure_tvm_threads
from toolchain.support.errors import BundleError, last_line

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]
"""u8 (h, w, C) to u8 (h*scale, w*scale, C)."""


class Runner:
    """Runs one compiled library through TVM's Relax virtual machine.

    Made by ``Bundle.load``, which checks the file first: loading a library executes its code.

    Args:
        library: the shared object.
        geometry: of the pictures that it takes and makes.
        threads: how many threads a call may use; None leaves the choice to TVM (all cores).

    Raises:
        BundleError: the file cannot be loaded, or has no entry called ``main``.
    """

    def __init__(self, library: Path, geometry: Geometry, threads: int | None = None) -> None:
        configure_tvm_threads()
        import tvm
        from tvm import relax

        self.geometry, self.threads = geometry, threads
        self._tvm = tvm
        self._shape: tuple[int, ...] = ()
        self._device = tvm.cpu(0)
        try:
            with fresh_path(library) as path:
                module = tvm.runtime.load_module(str(path))
            self._machine = relax.VirtualMachine(module, self._device)
            self._entry: Callable[[Any], Any] = self._machine["main"]
        except Exception as error:  # TVM raises many kinds
            raise BundleError(f"{library.name} cannot be loaded: {last_line(error)}") from error

    def upscale(self, pixels: Pixels) -> Pixels:
        """Upscale u8 (h, w, C) to u8 (h*scale, w*scale, C).

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network, or they are too few.
            BundleError: the library fails, or does something else than was said of it.
            MemoryError: there is too little.
        """
        return self.geometry.of_any_size(self._upscale)(pixels)

    def _upscale(self, pixels: Pixels) -> Pixels:
        call = self.bind(pixels)
        try:
            result = np.asarray(call().numpy())
        except MemoryError:
            raise
        except Exception as error:  # TVM raises many kinds
            if "bad_alloc" in str(error):
                raise MemoryError from error
            raise BundleError(f"the library fails: {last_line(error)}", hint="deploy the model again") from error
        if result.shape != self.geometry.enlarged(pixels.shape) or result.dtype != np.uint8:
            raise BundleError(
                f"the library makes {result.dtype} {result.shape} of {pixels.shape}, not what its bundle says",
                hint="deploy the model again",
            )
        return result

    def bind(self, pixels: Pixels) -> Callable[[], Any]:
        """Return a call that upscales ``pixels``, extended to the unit, without copying them again: what
        is timed by ``measure``.

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network, or they are too few.
        """
        self.geometry.check(pixels)
        pixels = self.geometry.extend(pixels)
        if self.threads is not None:
            # The pool belongs to the calling thread, not to this runner; 1 is the mode "fastest cores first".
            self._tvm.get_global_func("runtime.config_threadpool")(1, self.threads)
        if pixels.shape != self._shape:
            # The machine keeps the memory of every size it has met, and pictures come in many.
            self._tvm.get_global_func("vm.builtin.memory_manager.clear")()
            self._shape = pixels.shape
        tensor = self._tvm.runtime.tensor(np.ascontiguousarray(pixels), self._device)
        return lambda: self._entry(tensor)

    def functions(
        self, pixels: Pixels, repeats: int, clock: Callable[[], float] = time.perf_counter
    ) -> dict[str, float]:
        """Return seconds by ``clock`` that each function of the network takes of a picture u8 (h, w, C), mean of
        ``repeats`` calls.

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network, or they are too few.
        """
        call = self.bind(pixels)
        seconds: dict[str, float] = {}
        begun: list[float] = []

        def stopwatch(_function: Any, name: str, before: bool, _result: Any, *_arguments: Any) -> int:
            if before:
                begun.append(clock())
            else:
                seconds[name] = seconds.get(name, 0.0) + clock() - begun.pop()
            return 0  # go on with the call

        self._machine.set_instrument(stopwatch)
        try:
            for _ in range(repeats):
                call()
        finally:
            self._machine.set_instrument(lambda *_: 0)
        return {name: total / repeats for name, total in seconds.items()}
