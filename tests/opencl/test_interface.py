"""The host part speaks the interface of all libraries: pixels as they lie, and a status for what cannot be meant."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ctypes import byref, c_uint64
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests import sr_models
from tests.boards import have_compiler
from tests.interface.formats import ALL, Kind, laid_out, random_planes
from tests.interface.library import (
    BGR,
    NV12,
    P010,
    STATUS,
    InterfaceError,
    Network,
    load,
    opened,
    picture,
    random_picture,
)
from tests.interface.test_formats import check
from tests.interface.test_regions import upscale
from tests.opencl.devices import environment
from tests.standin import QUICK
from toolchain.bundle import Bundle, open_bundle
from toolchain.quantize import IntegerReference
from toolchain.workflows.deploy import Request, deploy

pytestmark = pytest.mark.skipif(not have_compiler, reason="there is no C compiler here")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Bundle:
    out = tmp_path_factory.mktemp("interface")
    onnx.save(sr_models.espcn(2, 3, width=8), out / "net.onnx")
    done = deploy(Request(out / "net.onnx", out, photo_folder, target="opencl-cpu", settings=QUICK))
    return open_bundle(done.path, for_this_machine=False)


@pytest.fixture(scope="module")
def driver() -> bytes:
    return environment()["CLIPFREE_OPENCL"].encode()


@pytest.fixture(scope="module")
def network(bundle: Bundle, driver: bytes) -> Iterator[Network]:
    with opened(bundle.path / "model.so", driver=driver) as found:
        yield found


def test_what_the_library_says_of_itself(network: Network, bundle: Bundle):
    info = network.info
    assert (info.channels, info.scale_num, info.scale_den, info.unit) == (3, 2, 1, 1)
    assert (info.name, info.target) == (b"net", b"opencl-cpu")
    assert info.version.decode() == bundle.manifest.versions.clipfree
    assert (bundle.path / "clipfree.h").read_bytes() == (bundle.path / "opencl" / "host" / "clipfree.h").read_bytes()


def test_the_reference_s_pixels_however_they_lie(network: Network, bundle: Bundle):
    reference = IntegerReference(bundle.model())
    for size in ((1, 1), (7, 20), (20, 7)):
        pixels = random_picture((*size, 3))
        expected = reference.run(pixels)
        np.testing.assert_array_equal(network.upscale(pixels), expected)
        wide, result = random_picture((size[0], size[1] + 3, 3)), random_picture((expected.shape[0], 50, 3))
        wide[::-1, : size[1], ::-1] = pixels
        network.call(picture(wide[::-1, : size[1]], BGR), picture(result[:, : expected.shape[1]]))
        np.testing.assert_array_equal(result[:, : expected.shape[1]], expected)
        assert network.memory(*size) > 3 * 5 * size[0] * size[1]


def test_every_format_and_regions(network: Network, bundle: Bundle):
    run = IntegerReference(bundle.model()).run
    assert network.info.halo == bundle.manifest.halo
    for seed, (before, after) in enumerate(itertools.product(ALL, ALL)):
        check(network, run, (Kind(before, "bt709", True), Kind(after)), ((5, 8), (1, 1), (7, 6))[seed % 3], seed)
    kinds = Kind(P010), Kind(NV12)
    given = laid_out(random_planes(kinds[0], 40, 33), kinds[0])
    whole = upscale(network, given, kinds, None)
    part = upscale(network, given, kinds, (30, 9, 5, 20))
    np.testing.assert_array_equal(part[0], whole[0][60:70, 18:58])
    np.testing.assert_array_equal(part[1], whole[1][30:35, 9:29])


def test_what_cannot_be_meant(network: Network, bundle: Bundle, driver: bytes):
    pixels = random_picture((4, 5, 3))
    source, result = picture(pixels), picture(network.empty(pixels))
    source.strides[0] = 3
    with pytest.raises(InterfaceError, match="WRONG_STRIDE"):
        network.call(source, result)
    with pytest.raises(InterfaceError, match="WRONG_SIZE"):
        network.call(picture(pixels), picture(pixels.copy()))
    with pytest.raises(InterfaceError, match="WRONG_SIZE"):
        network.call(picture(pixels[:0]), result)
    null = STATUS.index("NULL")
    assert network.library.clipfree_upscale(None, byref(source), byref(result)) == null
    assert network.library.clipfree_memory(network.handle, 4, 4, None) == null
    assert STATUS[network.library.clipfree_memory(network.handle, 0, 4, byref(c_uint64()))] == "WRONG_SIZE"
    library = load(bundle.path / "model.so")
    for values, status in (
        ({"driver": b"libabsent.so"}, "NO_DEVICE.*the OpenCL driver libabsent.so cannot be loaded"),
        ({"driver": driver, "device": 1}, "NO_DEVICE.*OpenCL finds no GPU on this device"),
        ({"driver": driver, "device": 7}, "WRONG_OPTION.*no kind of device of this number"),
    ):
        with pytest.raises(InterfaceError, match=status):
            Network(library, **values)


def test_a_picture_that_no_device_holds(network: Network):
    pixels = random_picture((4, 5, 3))
    source, result = picture(pixels), picture(network.empty(pixels))
    source.height = source.width = 2**22
    result.height = result.width = 2**23
    source.strides[0], result.strides[0] = 3 * source.width, 3 * result.width
    result.planes[0] = pixels.ctypes.data + 2**50
    with pytest.raises(InterfaceError, match=r"NO_MEMORY.*cannot hold a tensor of \d+ MB; use smaller tiles"):
        network.call(source, result)
    assert network.upscale(pixels).any()
