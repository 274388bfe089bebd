"""The C interface and whoever calls it wrongly, at once, or with memory and threads of its own."""

from __future__ import annotations

import ctypes
import subprocess
from ctypes import byref, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np
import pytest

from tests.interface import library
from tests.interface.library import (
    BGR,
    GREY,
    PLANAR,
    RGB,
    STATUS,
    Info,
    InterfaceError,
    Network,
    Options,
    load,
    opened,
    picture,
    random_picture,
)
from toolchain.backends.open import load_in_tvm
from toolchain.bundle import Bundle

MOST = 0xFFFFFFFF


def test_what_the_library_says_of_itself(network: Network, bundle: Bundle):
    info, manifest = network.info, bundle.manifest
    assert (info.abi, info.channels, info.scale_num, info.scale_den) == (1, 3, manifest.scale, 1)
    assert (info.unit, info.smallest_height, info.smallest_width) == (manifest.unit, *manifest.smallest)
    assert (info.name.decode(), info.target.decode()) == (manifest.name, manifest.target.name)
    assert info.version.decode() == manifest.versions.clipfree
    header = (bundle.path / "clipfree.h").read_text()
    assert "#define CLIPFREE_ABI 1\n" in header
    assert set(manifest.files) > {"model.so", "clipfree.h"}


def test_every_status_has_a_sentence(network: Network):
    sentences = [network.library.clipfree_message(number).decode() for number in range(len(STATUS))]
    assert len(set(sentences)) == len(STATUS)
    for number in (-1, len(STATUS), 2**31 - 1):
        assert network.library.clipfree_message(number) == b"there is no such status"


def test_what_it_needs_and_offers(bundle: Bundle):
    """Nothing of TVM, and no function that could end the program, print or catch signals."""
    listed = subprocess.run(
        ["nm", "-D", str(bundle.path / "model.so")], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in listed.splitlines()]
    needs = {row[-1].split("@")[0] for row in rows if row[-2] in "Uw"}
    assert needs <= {
        *("memcpy", "memset", "memcmp", "memmove", "posix_memalign", "free", "vsnprintf", "syscall", "dlsym"),
        *("pthread_create", "pthread_join", "pthread_key_create", "pthread_key_delete"),
        *("pthread_getspecific", "pthread_setspecific", "getauxval"),
    }
    assert not any("@" in row[-1] for row in rows), "a version of the C library is asked for"
    offers = {row[-1] for row in rows if row[-2] in "TDBR" and not row[-1].startswith("__")}
    names = [
        "message",
        "describe",
        "result_size",
        "open",
        "close",
        "error",
        "memory",
        "upscale",
        "upscale_region",
        "get_functions",
    ]
    assert offers == {f"clipfree_{name}" for name in names}
    linked = subprocess.run(["ldd", str(bundle.path / "model.so")], capture_output=True, text=True, check=True).stdout
    assert {line.split()[0].split(".so")[0] for line in linked.splitlines() if "=>" in line} == {
        "libc",
        "libm",
        "libpthread",
    }


# -- pictures as they lie ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (9, 14), (40, 33)])
def test_rows_apart_upside_down_and_in_other_orders(size: tuple[int, int], network: Network, bundle: Bundle):
    pixels = random_picture((*size, 3))
    expected = load_in_tvm(bundle).upscale(pixels)
    height, width = expected.shape[:2]

    wide, large = random_picture((size[0], size[1] + 5, 3), 1), random_picture((height, width + 3, 3), 2)
    wide[:, 2 : size[1] + 2] = pixels
    around = large.copy()
    network.call(picture(wide[:, 2 : size[1] + 2]), picture(large[:, 1 : width + 1]))
    np.testing.assert_array_equal(large[:, 1 : width + 1], expected)
    large[:, 1 : width + 1] = around[:, 1 : width + 1]
    np.testing.assert_array_equal(large, around, err_msg="what lies around the picture")

    upside_down, result = np.ascontiguousarray(pixels[::-1]), np.empty_like(expected)
    network.call(picture(upside_down[::-1]), picture(result[::-1]))
    np.testing.assert_array_equal(result[::-1], expected)

    network.call(picture(np.ascontiguousarray(pixels[..., ::-1]), BGR), picture(result, BGR))
    np.testing.assert_array_equal(result[..., ::-1], expected)

    planes, large_planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)), np.empty((3, height, width), np.uint8)
    network.call(picture(planes, PLANAR), picture(large_planes, PLANAR))
    np.testing.assert_array_equal(large_planes.transpose(1, 2, 0), expected)


@pytest.mark.parametrize("shift", [1, 16, 63])
def test_pixels_at_any_address(shift: int, bundle: Bundle, layers: Bundle):
    for one in (bundle, layers):
        size = (11, 13)
        pixels = random_picture((*size, 3))
        expected = load_in_tvm(one).upscale(pixels)
        room, large = np.zeros(pixels.size + 128, np.uint8), np.zeros(expected.size + 128, np.uint8)
        source = room[shift : shift + pixels.size].reshape(pixels.shape)
        result = large[shift : shift + expected.size].reshape(expected.shape)
        source[:] = pixels
        with opened(one.path / "model.so") as network:
            network.call(picture(source), picture(result))
        np.testing.assert_array_equal(result, expected)


def test_the_source_is_not_written_to(network: Network):
    pixels = random_picture((30, 31, 3))
    before = pixels.copy()
    pixels.flags.writeable = False
    network.upscale(pixels)
    np.testing.assert_array_equal(pixels, before)


# -- what cannot be meant ----------------------------------------------------------------------------------------------


def changed(made: library.Picture, **values: Any) -> library.Picture:
    for name, value in values.items():
        if name in ("planes", "strides"):
            for index, one in enumerate(value):
                getattr(made, name)[index] = one
        else:
            setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"size": 0}, "WRONG_ABI"),
        ({"size": 8}, "WRONG_ABI"),
        ({"size": 2**62}, "WRONG_ABI"),
        ({"format": 0}, "WRONG_FORMAT"),
        ({"format": -5}, "WRONG_FORMAT"),
        ({"format": 2**31 - 1}, "WRONG_FORMAT"),
        ({"format": PLANAR}, "NULL"),
        ({"height": 0}, "WRONG_SIZE"),
        ({"width": 0}, "WRONG_SIZE"),
        ({"height": 2**31}, "WRONG_SIZE"),
        ({"width": 2**31}, "WRONG_SIZE"),
        ({"height": MOST, "width": MOST}, "WRONG_SIZE"),
        ({"height": 9}, "WRONG_SIZE"),  # the other picture does not fit to it then
        ({"planes": [0]}, "NULL"),
        ({"strides": [0]}, "WRONG_STRIDE"),
        ({"strides": [1]}, "WRONG_STRIDE"),
        ({"strides": [-1]}, "WRONG_STRIDE"),
        ({"strides": [2**62]}, "WRONG_STRIDE"),
        ({"strides": [-(2**62)]}, "WRONG_STRIDE"),
        ({"strides": [-(2**63)]}, "WRONG_STRIDE"),
    ],
)
@pytest.mark.parametrize("which", ["source", "result"])
def test_pictures_that_are_none(which: str, change: dict[str, Any], status: str, network: Network):
    pixels = random_picture((8, 10, 3))
    result = network.empty(pixels)
    pictures = {"source": picture(pixels), "result": picture(result)}
    changed(pictures[which], **change)
    with pytest.raises(InterfaceError) as caught:
        network.call(pictures["source"], pictures["result"])
    assert caught.value.args[0] == status
    assert caught.value.args[1]
    assert (result == 77).all()
    assert network.upscale(pixels).any()  # and all is well afterwards


def test_null_pointers(network: Network):
    functions, handle = network.library, network.handle
    pixels = random_picture((4, 4, 3))
    source, result = picture(pixels), picture(network.empty(pixels))
    null = STATUS.index("NULL")
    assert functions.clipfree_upscale(None, byref(source), byref(result)) == null
    assert functions.clipfree_upscale(handle, None, byref(result)) == null
    assert functions.clipfree_error(handle) == b"source is a null pointer"
    assert functions.clipfree_upscale(handle, byref(source), None) == null
    assert (
        functions.clipfree_memory(handle, 4, 4, None)
        == functions.clipfree_memory(None, 4, 4, byref(c_uint64()))
        == null
    )
    assert functions.clipfree_result_size(4, 4, None, byref(c_uint32())) == null
    assert functions.clipfree_result_size(0, 4, byref(c_uint32()), byref(c_uint32())) == STATUS.index("WRONG_SIZE")
    assert functions.clipfree_describe(None) == functions.clipfree_open(None, None, None) == null
    assert functions.clipfree_describe(byref(Info(8))) == STATUS.index("WRONG_ABI")
    assert functions.clipfree_close(None) == 0
    assert functions.clipfree_error(None)


def test_a_result_in_the_memory_of_its_source(network: Network):
    room = np.zeros(4000, np.uint8)
    source, scale = room[:300].reshape(10, 10, 3), network.info.scale_num
    for start, fits in ((0, False), (299, False), (300, True)):
        result = room[start : start + 300 * scale**2].reshape(10 * scale, 10 * scale, 3)
        if fits:
            network.call(picture(source), picture(result))
            continue
        with pytest.raises(InterfaceError, match="OVERLAP"):
            network.call(picture(source), picture(result))


@pytest.mark.parametrize(
    ("wishes", "status"),
    [
        ({"threads": 257}, "WRONG_OPTION"),
        ({"threads": MOST}, "WRONG_OPTION"),
        ({"core_count": 1}, "NULL"),
        ({"core_count": MOST}, "NULL"),
        ({"threads": 2, "core_count": 1, "cores": (c_uint32 * 1)(1023)}, "WRONG_OPTION"),
        ({"threads": 2, "core_count": 1, "cores": (c_uint32 * 1)(MOST)}, "WRONG_OPTION"),
        ({"allocate": library.ALLOCATE(lambda *_: None)}, "WRONG_OPTION"),
        ({"release": library.RELEASE(lambda *_: None)}, "WRONG_OPTION"),
        ({"allocate": library.ALLOCATE(lambda *_: None), "release": library.RELEASE(lambda *_: None)}, "NO_MEMORY"),
    ],
)
def test_options_that_cannot_be_meant(wishes: dict[str, Any], status: str, bundle: Bundle):
    with pytest.raises(InterfaceError) as caught:
        Network(load(bundle.path / "model.so"), **wishes)
    assert caught.value.args[0] == status
    assert caught.value.args[1]


def test_structures_of_other_versions(bundle: Bundle):
    functions, handle = load(bundle.path / "model.so"), c_void_p()

    class Newer(ctypes.Structure):
        _fields_ = (("options", Options), ("further", c_uint64))

    newer = Newer()
    newer.options.size = ctypes.sizeof(Newer)
    assert functions.clipfree_open(byref(handle), byref(newer.options), None) == 0  # it does not use what is new
    assert functions.clipfree_close(handle) == 0
    newer.further = 1
    assert functions.clipfree_open(byref(handle), byref(newer.options), None) == STATUS.index("WRONG_ABI")
    assert not handle
    assert functions.clipfree_get_functions(2) is None


def test_formats_are_those_of_the_header(bundle: Bundle):
    header = (bundle.path / "clipfree.h").read_text()
    for name, value in (("GREY", GREY), ("RGB", RGB), ("BGR", BGR), ("PLANAR", PLANAR)):
        assert f"CLIPFREE_{name} = {value}" in header
    for number, name in enumerate(STATUS):
        assert f"CLIPFREE_{name} = {number}" in header
