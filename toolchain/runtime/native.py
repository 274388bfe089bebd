"""The loaded library through its own C interface: u8 pixels in, u8 pixels out, without TVM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolchain.bundle.library import INTERFACE
from toolchain.images.geometry import Geometry
from toolchain.runtime.interface import NO_MEMORY, UNSUPPORTED, WRONG_SIZE, InterfaceError, Network
from toolchain.runtime.loading import fresh_path
from toolchain.support.errors import BundleError, InputError, last_line
from toolchain.targets.elf import read_library

Pixels = npt.NDArray[np.uint8]


class NativeRunner:
    """Runs one compiled library by the functions that it has for programs in C.

    Args:
        network: of the library, open.
        geometry: of the pictures that it takes and makes.

    Raises:
        BundleError: the library is for other pictures.
    """

    def __init__(self, network: Network, geometry: Geometry) -> None:
        self._network, self.geometry = network, geometry
        info = network.info
        found = (info.channels, info.scale_num, info.scale_den, info.unit)
        if found != (geometry.channels, geometry.scale.numerator, geometry.scale.denominator, geometry.unit):
            raise BundleError(
                "the library is for other pictures, not what its bundle says", hint="deploy the model again"
            )

    def upscale(self, pixels: Pixels) -> Pixels:
        """Upscale u8 (h, w, C) to u8 (h*scale, w*scale, C).

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network, or they are too few.
            BundleError: the library fails.
            MemoryError: there is too little.
        """
        return self.bind(pixels)()

    def bind(self, pixels: Pixels) -> Callable[[], Pixels]:
        """Return a call that upscales ``pixels``, each time into the same memory: what is timed.

        Raises:
            InputError: the shape or the type of ``pixels`` does not fit the network, or they are too few.
        """
        self.geometry.check(pixels)
        given, result = np.ascontiguousarray(pixels), np.empty(self.geometry.enlarged(pixels.shape), np.uint8)

        def call() -> Pixels:
            try:
                self._network.upscale(given, result)
            except InterfaceError as error:
                if error.status == NO_MEMORY:
                    raise MemoryError from error
                if error.status == WRONG_SIZE:
                    raise InputError(str(error)) from error
                raise BundleError(f"the library fails: {error}", hint="deploy the model again") from error
            return result

        return call


def open_native(library: Path, geometry: Geometry, threads: int | None = None) -> NativeRunner | None:
    """Load a library for its C interface; None where it has none, or its network needs what only TVM's runtime has.

    Args:
        library: the shared object, which was checked: loading it executes its code.
        geometry: of its pictures.
        threads: how many a call may use; None for all cores.

    Raises:
        BundleError: it cannot be loaded, or is for other pictures.
        MemoryError: there is too little.
    """
    if INTERFACE not in read_library(library).defines:
        return None
    try:
        with fresh_path(library) as path:
            network = Network(path, threads or 0)
        return NativeRunner(network, geometry)
    except InterfaceError as error:
        if error.status == UNSUPPORTED:
            return None
        if error.status == NO_MEMORY:
            raise MemoryError from error
        raise BundleError(f"{library.name} cannot be opened: {error}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{library.name} cannot be loaded: {last_line(error)}") from error
