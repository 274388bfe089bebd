"""Seconds of the processor that the kernels of a compiled network take, one by one, in its library on this machine.

Where rows stream through a network, one function runs all its kernels, and nobody sees them from outside. But each is
a function of the library: here it is called as `toolchain.kernels.driver` calls it, on a band of as many rows, so that
tensors lie in the caches as they do then, and its time is that of all bands of the picture. What the data are plays no
part. Kernels on whole tensors are timed by TVM's virtual machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain.lower.stream import ENTRY
from toolchain.runtime.measure import KernelTimes

if TYPE_CHECKING:
    from toolchain.images.geometry import Geometry
    from toolchain.kernels.bands import Bands, StepBand
    from toolchain.kernels.network import Call, Stream

_SECONDS = 0.8  # of the processor, for all kernels, about
_SAMPLE = 5e-4  # seconds of a sample at least
_LEAST, _MOST = 3, 30  # samples of a kernel, of which the fastest counts
_CALLS = 3  # of the whole network
_NO_KERNELS = ENTRY, "vm.", "shape_func", "compute_symbolic_expr"  # what names of other functions begin with
_DRIVER = "run_"  # what names of functions begin with that run a kernel on whole tensors
_GUARD = 4096  # bytes before and after what a kernel is given: instructions load whole vectors


def time_kernels(library: Path, segments: Sequence[Stream], geometry: Geometry, size: tuple[int, int]) -> KernelTimes:
    """Time the kernels of a library that this machine can run, on one thread.

    Args:
        library: shared object of a compiled network.
        segments: how rows stream through it.
        geometry: of its pictures.
        size: height and width of the input picture, multiples of the network's unit.

    Raises:
        BundleError: the library cannot be loaded, or fails.
    """
    # The number of threads belongs to the thread that sets it: here, one of its own.
    with ThreadPoolExecutor(1) as one:
        return one.submit(_time_kernels, library, segments, geometry, size).result()


def _time_kernels(library: Path, segments: Sequence[Stream], geometry: Geometry, size: tuple[int, int]) -> KernelTimes:
    import tvm

    from toolchain.runtime.runner import Runner

    runner = Runner(library, geometry, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, geometry.channels), dtype=np.uint8)
    call = runner.bind(pixels)
    call()
    whole = min(_seconds(call) for _ in range(_CALLS))
    module = tvm.runtime.load_module(str(library.resolve()))
    calls = [(made, count) for segment in segments for made, count in _calls(segment, size)]
    found: dict[str, float] = {}
    for made, count in calls:
        kernel, arguments = made
        function = module.get_function(kernel, query_imports=True)
        seconds = _fastest(_bound(function, arguments), _SECONDS / len(calls))
        found[kernel] = found.get(kernel, 0.0) + count * seconds
    # What the virtual machine calls beside the streams: kernels on whole tensors. Its own functions are no kernels.
    for driver, seconds in runner.functions(pixels, _CALLS, time.thread_time).items():
        name = driver.removeprefix(_DRIVER)
        if not name.startswith(_NO_KERNELS) and name not in found:
            found[name] = seconds
    return KernelTimes(size, found, whole)


def _bound(function: Any, arguments: Sequence[Any]) -> Callable[[], object]:
    import tvm

    given = [tvm.runtime.from_dlpack(one) if isinstance(one, np.ndarray) else one for one in arguments]
    return lambda: function(*given)


def _seconds(call: Callable[[], object]) -> float:
    # Time of the processor: what other programs take between is not counted. One thread does it all.
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


def _fastest(call: Callable[[], object], budget: float) -> float:
    """Return the seconds of a call: the mean of the fastest sample, as many as fit the budget."""
    _seconds(call)
    number = max(1, math.ceil(_SAMPLE / max(_seconds(call), 1e-7)))

    def several() -> None:
        for _ in range(number):
            call()

    fastest, end = math.inf, time.thread_time() + budget
    for done in range(_MOST):
        if done >= _LEAST and time.thread_time() > end:
            break
        fastest = min(fastest, _seconds(several) / number)
    return fastest


def _calls(segment: Stream, size: tuple[int, int]) -> Iterator[tuple[tuple[str, list[Any]], float]]:
    """Yield each kernel of a segment with its arguments for a band, and how many bands a picture of ``size`` has."""
    plan = segment.plan()
    rows = min(segment.band_rows(size[1]), size[0])
    for call, band in zip(segment.calls, plan.steps, strict=True):
        yield (call.kernel, _arguments(segment, plan, call, band, rows, size)), size[0] / rows


def _arguments(segment: Stream, plan: Bands, call: Call, band: StepBand, rows: int, size: tuple[int, int]) -> list[Any]:
    """Return what the driver gives a kernel for a band of ``rows`` rows of the picture, see `driver`."""
    geometry, step = segment.geometry, call.step
    count = max(int(rows * band.rate), 1)

    def sides(rate: Fraction) -> tuple[int, int]:
        width = max(int(size[1] * rate), 1)
        return width, geometry.tiles(width)

    def tensor(number: int, tall: int) -> npt.NDArray[Any]:
        what = segment.tensors[number]
        tiles = 1 if what.single else sides(plan.rates[number])[1]
        return _filled(geometry.window(what.blocks, 1 if what.single else tall, tiles), what.dtype)

    width, tiles = sides(band.rate)
    given: list[Any] = []
    for read in step.reads:
        if read.buffer is None:
            assert segment.source is not None  # or nothing would read it
            scale = segment.source.scale
            given.append(_filled((count * scale, width * scale, segment.source.channels), "uint8"))
        else:
            given.append(tensor(read.buffer, (count - 1) * read.stride + 1 + read.above + read.below))
    given += [_filled(shape, dtype, zero=True) for shape, dtype in call.constants]
    given += [0, max(int(size[0] * band.rate), 1)] if call.placed else []
    given += [count, tiles, width]
    if step.writes is None:
        assert segment.result is not None  # or nothing would write it
        scale = segment.result.scale
        given.append(_filled((count * scale, width * scale, segment.result.channels), "uint8"))
    else:
        given.append(tensor(step.writes, count * step.scale))
    return given


def _filled(shape: Sequence[int], dtype: str, *, zero: bool = False) -> npt.NDArray[Any]:
    """Return an array as kernels take it, with room around it; of chance codes or values, or of zeros."""
    kind = np.dtype(dtype)
    length = math.prod(shape) * kind.itemsize
    room = np.zeros(length + 2 * _GUARD + 64, np.uint8)
    start = _GUARD + -(room.ctypes.data + _GUARD) % 64
    made = room[start : start + length].view(kind).reshape(shape)
    if not zero:
        random = np.random.default_rng(0)
        made[...] = random.random(shape) if kind.kind == "f" else random.integers(0, np.iinfo(kind).max, shape, kind)
    return made
