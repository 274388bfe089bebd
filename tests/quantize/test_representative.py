"""Tamed representative images: their outputs stay in range, touch both ends, and that is proved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.quantize.helpers import network, picture
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.representative import Reading, contract, represent
from toolchain.support.errors import CalibrationError

Pixels = NDArray[np.uint8]


def sharpener(strength: float, peak: float, offset: float = 0.0):
    """A stand-in for a network: it overshoots at edges, the more the stronger."""

    def run(pixels: Pixels) -> NDArray[np.float32]:
        plane = pixels.astype(np.float32).mean(axis=2)
        around = np.pad(plane, 1, mode="edge")
        soft = sum(around[y : y + plane.shape[0], x : x + plane.shape[1]] for y in range(3) for x in range(3)) / 9
        return ((plane + strength * (plane - soft)) / 255 * peak + offset).astype(np.float32)

    return run


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 4), st.sampled_from([1.0, 255.0]), st.integers(0, 99))
def test_outputs_stay_in_range_and_the_proof_can_be_repeated(strength: float, peak: float, seed: int) -> None:
    run = sharpener(strength, peak)
    images = [picture(24, 20, 3, seed + index) for index in range(2)]
    made = represent(run, images, (0.0, peak))
    for image in made.images:
        out = run(image.pixels)
        assert image.pixels.dtype == np.uint8
        assert (float(out.min()), float(out.max())) == image.after
        assert out.min() >= 0
        assert out.max() <= peak
        assert (image.kind == "natural") == (image.factor == 1 and image.source >= 0)
    assert made.rejected == ()
    assert made.coverage.proved
    assert made.coverage.low == min(image.after[0] for image in made.images)


def test_the_recorded_range_rounds_to_the_pixels() -> None:
    sr = network("xlsr")
    model = FloatModel(sr.model)
    images = [picture(32, 32, 3, seed) for seed in range(3)]
    run = lambda pixels: model.run(to_float(pixels, sr.value_range))  # noqa: E731
    natural = [run(image) for image in images]
    assert min(out.min() for out in natural) < 0 or max(out.max() for out in natural) > 1
    made = represent(run, images, sr.value_range)
    assert made.coverage.proved
    quantization = made.coverage.quantization()
    assert quantization.zero_point == 0
    assert np.rint(quantization.high * 255) == 255


def test_contraction_is_the_largest_that_fits() -> None:
    run = sharpener(2.0, 1.0)
    pixels = picture(24, 20, 3, 1)
    tamed = represent(run, [pixels], (0.0, 1.0)).images[0]
    assert tamed.kind == "contracted"
    np.testing.assert_array_equal(tamed.pixels, contract(pixels, tamed.factor))
    more = run(contract(pixels, tamed.factor + 0.05))
    assert more.min() < 0 or more.max() > 1


@given(st.integers(0, 255), st.floats(0, 1))
def test_contracting_moves_towards_grey_and_never_past_it(value: int, factor: float) -> None:
    moved = int(contract(np.full((1, 1, 1), value, np.uint8), factor)[0, 0, 0])
    assert abs(moved - 127.5) <= abs(value - 127.5)
    assert abs(moved - (127.5 + factor * (value - 127.5))) <= 0.5


def test_what_cannot_be_tamed_is_rejected_and_the_proof_says_so() -> None:
    made = represent(sharpener(0.0, 1.0, offset=2.0), [picture(9, 9, 3)], (0.0, 1.0))
    assert [left.source for left in made.rejected] == [0]
    assert made.rejected[0].before == (pytest.approx(2, abs=1), pytest.approx(3, abs=1))
    assert made.images == ()
    assert not made.coverage.proved


@pytest.mark.parametrize("offset", [0.3, -0.3])
def test_an_end_that_is_out_of_reach_is_not_claimed(offset: float) -> None:
    coverage = represent(sharpener(0.0, 0.5, offset=offset), [picture(9, 9, 3)], (0.0, 1.0)).coverage
    assert coverage.inside
    assert not coverage.proved
    assert (coverage.touches_low, coverage.touches_high) == (offset < 0, False)


def test_an_output_that_is_no_number_is_an_error_that_names_the_image() -> None:
    def run(pixels: Pixels) -> NDArray[np.float32]:
        return np.where(pixels.mean() > 200, np.float32(np.nan), pixels.astype(np.float32))

    with pytest.raises(CalibrationError, match="NaN or infinite on calibration image 2"):
        represent(run, [picture(9, 9, 3), np.full((9, 9, 3), 255, np.uint8)], (0.0, 255.0))


def test_frames_made_of_patches_name_their_image() -> None:
    images = [picture(24, 20, 3, seed) // 2 + 60 for seed in range(2)]
    made = represent(sharpener(1.0, 1.0), images, (0.0, 1.0), Reading(frames=("edge",), patch=10))
    ends = [image for image in made.images if image.kind == "end"]
    assert len(ends) == 2
    assert {image.source for image in ends} <= {0, 1}
    assert made.coverage.proved


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 4), st.sampled_from([("flat", "edge"), ("edge",), ()]), st.integers(0, 99))
def test_parts_of_a_picture_tell_the_same_as_the_whole(strength: float, frames: tuple[str, ...], seed: int) -> None:
    run, looked_at = sharpener(strength, 1.0), [0]

    def counted(pixels: Pixels) -> NDArray[np.float32]:
        looked_at[0] += pixels.size
        return run(pixels)

    images = [picture(40, 32, 3, seed + index) for index in range(3)]
    whole = represent(counted, images, (0.0, 1.0), Reading(frames=frames))
    by_whole, looked_at[0] = looked_at[0], 0
    parts = represent(counted, images, (0.0, 1.0), Reading(frames=frames), halo=1, at_once=2)
    tamed = sum(image.kind == "contracted" for image in whole.images)
    assert looked_at[0] < 0.7 * by_whole or tamed < 2
    assert whole.coverage == parts.coverage
    assert whole.rejected == parts.rejected
    for one, other in zip(whole.images, parts.images, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.factor, one.after, one.kind) == (other.factor, other.after, other.kind)


def test_less_than_an_output_depends_on_tells_the_same() -> None:
    run, looked_at = sharpener(3.0, 1.0), [0]

    def counted(pixels: Pixels) -> NDArray[np.float32]:
        looked_at[0] += pixels.size
        return run(pixels)

    images = [picture(128, 128, 3, seed) for seed in range(3)]
    whole = represent(counted, images, (0.0, 1.0), Reading(frames=()))
    by_whole, looked_at[0] = looked_at[0], 0
    parts = represent(counted, images, (0.0, 1.0), Reading(frames=()), halo=60)
    assert looked_at[0] < 0.7 * by_whole
    assert [image.factor for image in parts.images] == [image.factor for image in whole.images]
    assert all(image.kind == "contracted" for image in whole.images)


def test_a_network_that_contraction_does_not_tame_everywhere_at_once_is_asked_as_a_whole() -> None:
    """The place that decides differs from factor to factor, more often than is tried."""

    def run(pixels: Pixels) -> NDArray[np.float32]:
        found = np.full(pixels.shape[:2], 0.5, np.float32)
        spread = int(np.ptp(pixels))
        if spread > 40:
            found[spread % found.shape[0], spread // 3 % found.shape[1]] = 2.0
        return found

    image = np.zeros((40, 32, 3), np.uint8)
    image[1:] = 255
    whole = represent(run, [image], (0.0, 1.0), Reading(frames=()))
    parts = represent(run, [image], (0.0, 1.0), Reading(frames=()), halo=1)
    assert parts.images[0].factor == whole.images[0].factor < 0.2
