"""A bundle's library through its C interface, by ctypes: what a program has that knows nothing else."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.runtime.interface import Info, Options, Picture

GREY, RGB, BGR, PLANAR, RGBA, BGRA, NV12, NV21, I420, P010, I010 = range(1, 12)
ALLOCATE = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)
RELEASE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)
TASK = ctypes.CFUNCTYPE(None, c_void_p, c_uint32)
PARALLEL = ctypes.CFUNCTYPE(None, c_void_p, TASK, c_void_p, c_uint32)
STATUS = (
    *("OK", "NULL", "WRONG_ABI", "WRONG_OPTION", "WRONG_SIZE", "WRONG_STRIDE", "WRONG_FORMAT", "OVERLAP", "BUSY"),
    *("WRONG_CPU", "NO_MEMORY", "NO_THREADS", "NO_DEVICE", "DAMAGED", "UNSUPPORTED", "FAILED"),
)


class Region(ctypes.Structure):
    _fields_ = (("size", c_size_t), *((name, c_uint32) for name in ("top", "left", "height", "width")))


class InterfaceError(Exception):
    """A status that is not 0: its name, and what the library says."""


def load(path: Path) -> Any:
    """The functions of a library."""
    library = ctypes.CDLL(str(path))
    library.clipfree_message.restype = library.clipfree_error.restype = c_char_p
    library.clipfree_error.argtypes = library.clipfree_close.argtypes = (c_void_p,)
    library.clipfree_open.argtypes = (POINTER(c_void_p), POINTER(Options), c_char_p)
    library.clipfree_memory.argtypes = (c_void_p, c_uint32, c_uint32, POINTER(c_uint64))
    library.clipfree_upscale.argtypes = (c_void_p, POINTER(Picture), POINTER(Picture))
    library.clipfree_upscale_region.argtypes = (c_void_p, POINTER(Picture), POINTER(Region), POINTER(Picture))
    library.clipfree_result_size.argtypes = (c_uint32, c_uint32, POINTER(c_uint32), POINTER(c_uint32))
    library.clipfree_get_functions.restype = c_void_p
    return library


def options(**values: Any) -> Options:
    return Options(size=ctypes.sizeof(Options), **values)


def picture(pixels: np.ndarray, kind: int = 0) -> Picture:
    """An array (h, w, c) as it lies in memory; PLANAR: (3, h, w)."""
    kind = kind or (RGB if pixels.shape[2] == 3 else GREY)
    planes = list(pixels) if kind == PLANAR else [pixels]
    made = Picture(ctypes.sizeof(Picture), kind, *planes[0].shape[:2])
    for index, plane in enumerate(planes):
        made.planes[index], made.strides[index] = plane.ctypes.data, plane.strides[0]
    made.pixels = pixels  # which live as long
    return made


class Network:
    """A network that is open."""

    def __init__(self, library: Any, **values: Any) -> None:
        self.library, self.handle, self.kept = library, c_void_p(), values
        message = ctypes.create_string_buffer(512)
        status = library.clipfree_open(byref(self.handle), byref(options(**values)), message)
        if status:
            assert not self.handle
            raise InterfaceError(STATUS[status], message.value.decode())
        assert message.value == b""
        self.info = Info(ctypes.sizeof(Info))
        assert library.clipfree_describe(byref(self.info)) == 0

    def call(self, source: Picture, result: Picture) -> None:
        status = self.library.clipfree_upscale(self.handle, byref(source), byref(result))
        if status:
            raise InterfaceError(STATUS[status], self.library.clipfree_error(self.handle).decode())
        assert self.library.clipfree_error(self.handle) == b""

    def empty(self, pixels: np.ndarray) -> np.ndarray:
        """Room for the result of (h, w, c)."""
        height, width = c_uint32(), c_uint32()
        assert self.library.clipfree_result_size(*pixels.shape[:2], byref(height), byref(width)) == 0
        return np.full((height.value, width.value, self.info.channels), 77, np.uint8)

    def upscale(self, pixels: np.ndarray) -> np.ndarray:
        result = self.empty(pixels)
        self.call(picture(pixels), picture(result))
        return result

    def memory(self, height: int, width: int) -> int:
        found = c_uint64()
        assert self.library.clipfree_memory(self.handle, height, width, byref(found)) == 0
        return found.value

    def close(self) -> None:
        assert self.library.clipfree_close(self.handle) == 0


@contextmanager
def opened(path: Path, **values: Any) -> Iterator[Network]:
    network = Network(load(path), **values)
    try:
        yield network
    finally:
        network.close()


def random_picture(size: Sequence[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, tuple(size), dtype=np.uint8)
