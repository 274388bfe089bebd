"""The functions of ``clipfree.h`` (`toolchain/backends/native`) that a library holds, called by ctypes.

Nothing but NumPy is needed here: what TVM and its runtime weigh is left where it is.
"""

from __future__ import annotations

import _ctypes
import ctypes
import threading
import weakref
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int32, c_size_t, c_ssize_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

ABI = 1
MESSAGE = 512
"""Bytes of a message, its final zero included."""

MOST_THREADS = 256
GREY, RGB = 1, 2
WRONG_SIZE, NO_MEMORY, UNSUPPORTED = 4, 10, 14


class Info(ctypes.Structure):
    """``clipfree_info``."""

    _fields_ = (
        ("size", c_size_t),
        ("abi", c_uint32),
        ("channels", c_int32),
        *((name, c_uint32) for name in ("scale_num", "scale_den", "unit", "smallest_height", "smallest_width")),
        *((name, c_char_p) for name in ("name", "target", "version")),
        ("halo", c_uint32),
        ("unused", c_uint32),
    )


class Options(ctypes.Structure):
    """``clipfree_options``."""

    _fields_ = (
        ("size", c_size_t),
        ("threads", c_uint32),
        ("core_count", c_uint32),
        ("cores", POINTER(c_uint32)),
        ("allocate", CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)),
        ("release", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
        ("allocator", c_void_p),
        ("parallel_for", CFUNCTYPE(None, c_void_p, CFUNCTYPE(None, c_void_p, c_uint32), c_void_p, c_uint32)),
        ("pool", c_void_p),
        ("driver", c_char_p),
        ("device", c_int32),
    )


class Picture(ctypes.Structure):
    """``clipfree_picture``."""

    _fields_ = (
        ("size", c_size_t),
        ("format", c_int32),
        ("height", c_uint32),
        ("width", c_uint32),
        ("planes", c_void_p * 4),
        ("strides", c_ssize_t * 4),
        *((name, c_int32) for name in ("matrix", "range", "site", "unused")),
    )


class Functions(ctypes.Structure):
    """``clipfree_functions``."""

    _fields_ = (
        ("size", c_size_t),
        ("message", CFUNCTYPE(c_char_p, c_int32)),
        ("describe", CFUNCTYPE(c_int32, POINTER(Info))),
        ("result_size", CFUNCTYPE(c_int32, c_uint32, c_uint32, POINTER(c_uint32), POINTER(c_uint32))),
        ("open", CFUNCTYPE(c_int32, POINTER(c_void_p), POINTER(Options), c_char_p)),
        ("close", CFUNCTYPE(c_int32, c_void_p)),
        ("error", CFUNCTYPE(c_char_p, c_void_p)),
        ("memory", CFUNCTYPE(c_int32, c_void_p, c_uint32, c_uint32, POINTER(c_uint64))),
        ("upscale", CFUNCTYPE(c_int32, c_void_p, POINTER(Picture), POINTER(Picture))),
    )


class InterfaceError(Exception):
    """A function failed.

    Args:
        status: its ``clipfree_status``.
        text: what is wrong, as a sentence without its period.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Network:
    """A network of a library, open.

    Args:
        library: the file, which is loaded: that executes its code.
        threads: that a picture is cut among; 0 for all cores.

    Raises:
        InterfaceError: the network cannot be opened.
        OSError: the file cannot be loaded.
        ValueError: it has no interface of this version.
    """

    def __init__(self, library: Path, threads: int = 0) -> None:
        loaded, network = ctypes.CDLL(str(library.absolute())), c_void_p()
        try:
            functions = _functions(loaded)
            options = Options(size=ctypes.sizeof(Options), threads=min(threads, MOST_THREADS))
            message = ctypes.create_string_buffer(MESSAGE)
            status = functions.open(byref(network), byref(options), message)
            if status:
                raise InterfaceError(status, message.value.decode())
        except BaseException:
            _unload(loaded)
            raise
        self._functions, self._network = functions, network
        self._turn = threading.Lock()  # the library answers a second thread that it is busy
        self._end = weakref.finalize(self, _close, functions, network, loaded)
        self._end.atexit = False

    @property
    def info(self) -> Any:
        """What the library says of itself, an `Info`."""
        info = Info(size=ctypes.sizeof(Info))
        self._functions.describe(byref(info))
        return info

    def result_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of what becomes of a picture.

        Raises:
            InterfaceError: the network takes none of this size.
        """
        rows, columns = c_uint32(), c_uint32()
        status = self._functions.result_size(height, width, byref(rows), byref(columns))
        if status:
            raise InterfaceError(status, self._functions.message(status).decode())
        return rows.value, columns.value

    def upscale(self, pixels: Pixels, result: Pixels) -> None:
        """Upscale ``pixels``, u8 (h, w, C), into ``result``, of the size that it has; rows may have any distance.

        Threads that call it take turns.

        Raises:
            InterfaceError: they do not fit the network, or it fails.
        """
        with self._turn:
            status = self._functions.upscale(self._network, byref(picture(pixels)), byref(picture(result)))
            if status:
                raise InterfaceError(status, self._functions.error(self._network).decode())

    def close(self) -> None:
        """Give back all that the network holds, the library included, unless a call runs; happens by itself when nobody
        knows the network any more.
        """
        self._end()


def _functions(library: ctypes.CDLL) -> Any:
    try:
        get = library.clipfree_get_functions
    except AttributeError as error:
        raise ValueError("it has no interface for C") from error
    get.restype = POINTER(Functions)
    found = get(c_uint32(ABI))
    if not found or found.contents.size < ctypes.sizeof(Functions):
        raise ValueError("its interface for C is of another version")
    return found.contents


def _close(functions: Any, network: c_void_p, library: ctypes.CDLL) -> None:
    if not functions.close(network):
        _unload(library)  # else it would be taken for one that is written to its place


def _unload(library: ctypes.CDLL) -> None:
    unload: Any = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary")  # noqa: B009 (of Windows)
    unload(library._handle)


def picture(pixels: Pixels) -> Picture:
    """Return u8 (h, w, C) as it lies in memory, where it must stay."""
    height, width, channels = pixels.shape
    made = Picture(ctypes.sizeof(Picture), RGB if channels == 3 else GREY, height, width)
    made.planes[0], made.strides[0] = pixels.ctypes.data, pixels.strides[0]
    return made
