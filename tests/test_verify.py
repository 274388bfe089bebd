"""Verification notices a single wrong value, and its pictures are worth comparing on."""

from __future__ import annotations

import numpy as np
import pytest

from toolchain.runtime.verify import agreeing, compare, make_cases, verify
from toolchain.support.errors import TooSmallError, VerificationError


def doubled(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_cases_hold_what_finds_mistakes(channels: int):
    natural = np.random.default_rng(0).integers(0, 256, (70, 80, channels), dtype=np.uint8)
    cases = make_cases(channels, natural)
    shapes = [case.pixels.shape for case in cases]
    assert all(shape[2] == channels for shape in shapes)
    assert (1, 1, channels) in shapes
    assert any(height % 2 and width % 2 and height > 16 and width > 16 for height, width, _ in shapes)
    assert any((case.pixels == 0).all() for case in cases)
    assert any((case.pixels == 255).all() for case in cases)
    assert any(set(np.unique(case.pixels)) == {0, 255} for case in cases)
    assert len(verify(doubled, doubled, cases)) == len(cases)


def test_small_photographs_do():
    cases = make_cases(3, np.zeros((4, 5, 3), np.uint8))
    assert cases[-1].pixels.shape == (4, 5, 3)


@pytest.mark.parametrize("place", [(0, 0, 0), (37, 50, 2), (65, 93, 1)])
def test_one_wrong_value_is_named(place: tuple[int, int, int]):
    def wrong(pixels: np.ndarray) -> np.ndarray:
        result = doubled(pixels)
        if result.shape[:2] == (66, 94):
            result[place] ^= 3
        return result

    row, column, channel = place
    with pytest.raises(VerificationError, match=f"noise: .*first at row {row}, column {column}, channel {channel}"):
        verify(wrong, doubled, make_cases(3))


def test_a_wrong_shape_is_named():
    with pytest.raises(VerificationError, match=r"gives a picture of \(4, 4, 3\), the reference \(6, 6, 3\)"):
        compare("x", np.zeros((4, 4, 3), np.uint8), np.zeros((6, 6, 3), np.uint8))


def test_progress_names_each_case():
    seen: list[str] = []
    cases = make_cases(1)
    verify(doubled, doubled, cases, progress=seen.append)
    assert seen == [case.name for case in cases]


def test_pictures_of_which_nothing_is_left_are_left_out() -> None:
    def reference(pixels: np.ndarray) -> np.ndarray:
        if min(pixels.shape[:2]) < 9:
            raise TooSmallError("nothing is left")
        return pixels

    done = verify(lambda pixels: pixels, reference, make_cases(3))
    assert [case.name for case in done] == ["noise", "black", "white", "black and white noise"]

    def never(pixels: np.ndarray) -> np.ndarray:
        raise TooSmallError("nothing is left")

    with pytest.raises(VerificationError, match="large enough"):
        verify(lambda pixels: pixels, never, make_cases(3))


def test_ways_that_differ() -> None:
    def other(pixels: np.ndarray) -> np.ndarray:
        return doubled(pixels) ^ np.uint8(pixels.shape == (9, 19, 1))

    assert len(verify(agreeing([doubled, doubled]), doubled, make_cases(1))) == len(make_cases(1))
    with pytest.raises(VerificationError, match="of 9 x 19 pixels the library makes one picture for programs in C"):
        verify(agreeing([doubled, other]), doubled, make_cases(1))
