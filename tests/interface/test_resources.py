"""The C interface with memory and threads of its caller, and at once with others."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
import threading
from ctypes import byref, c_uint32, c_uint64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interface import library
from tests.interface.formats import ALL, Kind, empty, laid_out, picture, random_planes
from tests.interface.library import STATUS, InterfaceError, Network, load, opened, random_picture
from toolchain.backends.open import load_in_tvm
from toolchain.bundle import Bundle
from toolchain.support.cpu import usable_cores

# -- memory ------------------------------------------------------------------------------------------------------------


class Allocator:
    """Counts what is taken and given, and has no more than ``most`` pieces to give."""

    def __init__(self, most: int = 10**9) -> None:
        self.pieces: dict[int, tuple[int, Any]] = {}
        self.taken, self.most, self.largest = 0, most, 0
        self.options = {"allocate": library.ALLOCATE(self.allocate), "release": library.RELEASE(self.release)}

    def allocate(self, _: int, size: int, alignment: int) -> int | None:
        if self.taken >= self.most:
            return None
        room = ctypes.create_string_buffer(size + alignment)
        address = -(-ctypes.addressof(room) // alignment) * alignment
        self.pieces[address] = (size, room)
        self.taken += 1
        self.largest = max(self.largest, self.held)
        return address

    def release(self, _: int, address: int, size: int) -> None:
        assert self.pieces.pop(address)[0] == size

    @property
    def held(self) -> int:
        return sum(size for size, _ in self.pieces.values())


@pytest.mark.parametrize("which", ["bundle", "layers"])
def test_nothing_is_allocated_after_the_first_call(which: str, request: pytest.FixtureRequest):
    found: Bundle = request.getfixturevalue(which)
    allocator = Allocator()
    path, runner = found.path / "model.so", load_in_tvm(found)
    with opened(path, threads=2, **allocator.options) as network:
        idle, most = allocator.held, 0
        for size in ((35, 21), (80, 50), (35, 21)):
            pixels = random_picture((*size, 3))
            told = network.memory(*size)
            # The same arrays each time: what is aligned otherwise may be copied, for which there must be room.
            result = network.empty(pixels)
            network.call(library.picture(pixels), library.picture(result))
            before = allocator.taken
            for _ in range(3):
                result[:] = 77
                network.call(library.picture(pixels), library.picture(result))
                np.testing.assert_array_equal(result, runner.upscale(pixels))
            assert allocator.taken == before
            most = max(most, told)
            assert allocator.held - idle <= most * (1.0 if which == "bundle" else 1.1)
            assert told <= 2 * (allocator.held - idle) + 2**20
    assert allocator.pieces == {}


@pytest.mark.parametrize("which", ["bundle", "layers"])
def test_formats_take_what_is_said_and_no_more_later(which: str, request: pytest.FixtureRequest):
    found: Bundle = request.getfixturevalue(which)
    allocator, size = Allocator(), (45, 62)
    with opened(found.path / "model.so", threads=3, **allocator.options) as network:
        told = network.memory(*size)
        for before, after in itertools.product(ALL, ALL):
            kinds, idle = (Kind(before), Kind(after)), allocator.held
            source = picture(laid_out(random_planes(kinds[0], *size), kinds[0]), kinds[0])
            result = picture(empty(kinds[1], size, network.info.scale_num), kinds[1])
            network.call(source, result)
            taken = allocator.taken
            for _ in range(2):
                network.call(source, result)
            assert allocator.taken == taken
            assert allocator.held - idle <= told
        grown = allocator.taken
        for before, after in itertools.product(ALL, ALL):  # all have room by now
            kinds = Kind(before), Kind(after)
            source = picture(laid_out(random_planes(kinds[0], *size), kinds[0]), kinds[0])
            network.call(source, picture(empty(kinds[1], size, network.info.scale_num), kinds[1]))
        assert allocator.taken == grown
    assert allocator.pieces == {}


def test_an_allocator_that_has_nothing_more(bundle: Bundle, layers: Bundle):
    for found in (bundle, layers):
        pixels = random_picture((40, 40, 3))
        whole = Allocator()
        with opened(found.path / "model.so", threads=2, **whole.options) as network:
            opening = whole.taken
            network.upscale(pixels)
        for most in (*range(0, opening, 3), *range(opening, whole.taken)):
            allocator = Allocator(most)
            refused = pytest.raises(InterfaceError, match=r"NO_MEMORY.*there is not enough memory")
            if most < opening:
                with refused:
                    Network(load(found.path / "model.so"), threads=2, **allocator.options)
                assert allocator.pieces == {}
                continue
            with opened(found.path / "model.so", threads=2, **allocator.options) as network:
                with refused:
                    network.upscale(pixels)
                allocator.most = 10**9
                network.upscale(pixels)
            assert allocator.pieces == {}


def test_an_allocator_that_does_not_align(bundle: Bundle):
    class Crooked(Allocator):
        def allocate(self, allocator: int, size: int, alignment: int) -> int | None:
            return (super().allocate(allocator, size + 8, alignment) or 0) + 8

        def release(self, allocator: int, address: int, size: int) -> None:
            super().release(allocator, address - 8, size + 8)

    allocator = Crooked()
    with pytest.raises(InterfaceError, match="NO_MEMORY"):
        Network(load(bundle.path / "model.so"), **allocator.options)
    assert allocator.pieces == {}


def test_memory_of_the_largest_pictures(network: Network):
    side = 0xFFFFFF // network.info.scale_num
    assert network.memory(side, side) > 3 * side**2
    status = network.library.clipfree_memory(network.handle, side + 1, side, byref(c_uint64()))
    assert STATUS[status] == "WRONG_SIZE"


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_a_pool_of_the_caller(count: int, bundle: Bundle):
    calls: list[int] = []

    def parallel_for(_: int, task: Any, work: int, pieces: int) -> None:
        calls.append(pieces)
        others = [threading.Thread(target=task, args=(work, index)) for index in range(1, pieces)]
        for other in others:
            other.start()
        task(work, 0)
        for other in others:
            other.join()

    pixels = random_picture((50, 40, 3))
    with opened(bundle.path / "model.so", threads=count, parallel_for=library.PARALLEL(parallel_for)) as network:
        np.testing.assert_array_equal(network.upscale(pixels), load_in_tvm(bundle).upscale(pixels))
    assert calls
    assert set(calls) == {count}


@pytest.mark.skipif(usable_cores() < 2, reason="there is one core")
def test_threads_keep_off_the_core_of_their_caller(bundle: Bundle):
    given = os.sched_getaffinity(0)
    before = {path.name for path in Path("/proc/self/task").iterdir()}
    with opened(bundle.path / "model.so", threads=2) as network:
        (own,) = {path.name for path in Path("/proc/self/task").iterdir()} - before
        try:
            for core in sorted(given)[:2]:
                os.sched_setaffinity(0, {core})
                network.upscale(random_picture((50, 40, 3)))
                assert os.sched_getaffinity(int(own)) == given - {core}
        finally:
            os.sched_setaffinity(0, given)


def test_threads_are_kept_to_cores_and_end(bundle: Bundle):
    def threads() -> set[str]:
        return {path.name for path in Path("/proc/self/task").iterdir()}

    before, core = (
        threads(),
        min(Path("/proc/self/status").read_text().split("Cpus_allowed_list:")[1].split()[0].split("-")),
    )
    cores = (c_uint32 * 1)(int(core.split(",")[0]))
    with opened(bundle.path / "model.so", threads=3, core_count=1, cores=cores) as network:
        own = threads() - before
        assert len(own) == 2
        for name in own:
            status = Path("/proc/self/task", name, "status").read_text()
            assert status.split("Cpus_allowed_list:")[1].split()[0] == str(cores[0])
        network.upscale(random_picture((20, 20, 3)))
    assert not own & threads()


def test_several_networks_several_times_at_once(bundle: Bundle, layers: Bundle):
    """Each thread has an instance; results are those of one alone. TVM, which has loaded the file, runs beside."""
    work, runners = [], [load_in_tvm(found) for found in (bundle, layers)]
    for found, runner in zip((bundle, layers), runners, strict=True):
        pixels = random_picture((37, 41, 3))
        work.append((found.path / "model.so", pixels, runner.upscale(pixels)))
    wrong: list[str] = []

    def run(path: Path, pixels: np.ndarray, expected: np.ndarray) -> None:
        for _ in range(3):
            with opened(path, threads=2) as network:
                for _ in range(10):
                    if not np.array_equal(network.upscale(pixels), expected):
                        wrong.append(str(path))

    threads = [threading.Thread(target=run, args=one) for one in work * 2]
    for thread in threads:
        thread.start()
    for runner, (_, pixels, expected) in zip(runners, work, strict=True):
        for _ in range(5):
            np.testing.assert_array_equal(runner.upscale(pixels), expected)
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_second_thread_of_one_network_is_told_that_it_is_busy(bundle: Bundle):
    inside, go_on = threading.Event(), threading.Event()

    def parallel_for(_: int, task: Any, work: int, pieces: int) -> None:
        inside.set()
        go_on.wait(60)
        for index in range(pieces):
            task(work, index)

    pixels = random_picture((20, 20, 3))
    with opened(bundle.path / "model.so", threads=2, parallel_for=library.PARALLEL(parallel_for)) as network:
        first = threading.Thread(target=network.upscale, args=(pixels,))
        first.start()
        assert inside.wait(60)
        busy = STATUS.index("BUSY")
        with pytest.raises(InterfaceError, match="BUSY"):
            network.upscale(pixels)
        assert network.library.clipfree_memory(network.handle, 5, 5, byref(c_uint64())) == busy
        assert network.library.clipfree_close(network.handle) == busy
        go_on.set()
        first.join()
        np.testing.assert_array_equal(network.upscale(pixels), load_in_tvm(bundle).upscale(pixels))


ORDER = """
import sys
import numpy as np
from pathlib import Path
from tests.interface.library import opened, random_picture
from toolchain.backends.open import load_in_tvm
from toolchain.bundle import open_bundle

bundle = open_bundle(Path(sys.argv[1]))
pixels = random_picture((21, 37, bundle.manifest.channels))
with opened(bundle.path / "model.so", threads=2) as network:  # before TVM knows of the library
    first = network.upscale(pixels)
    runner = load_in_tvm(bundle)
    for _ in range(2):
        assert np.array_equal(runner.upscale(pixels), first)
        assert np.array_equal(network.upscale(pixels), first)
assert np.array_equal(runner.upscale(pixels), first)
"""


@pytest.mark.parametrize("which", ["bundle", "layers"])
def test_tvm_loads_the_library_after_the_interface_was_used(which: str, request: pytest.FixtureRequest):
    found: Bundle = request.getfixturevalue(which)
    done = subprocess.run([sys.executable, "-c", ORDER, str(found.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
