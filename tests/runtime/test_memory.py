"""What a picture takes is known before it is enlarged, and kept to where that is possible."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from toolchain.images import PictureFile, format_of, header_for, open_picture
from toolchain.runtime.memory import check_free, plan_cut
from toolchain.runtime.tiles import Tiling
from toolchain.support.errors import InputError


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "a.png"
    Image.new("RGB", (8000, 3000)).save(path)
    return path


@pytest.fixture(scope="module")
def opened(wide: Path) -> PictureFile:
    return open_picture(wide)  # which looks at every pixel


LEAST_MEGABYTES = 160
"""A little above what the smallest bands of that picture take, with the widest halo and the hungriest network below."""


@given(megabytes=st.integers(LEAST_MEGABYTES, 2000), per_pixel=st.floats(10, 60), halo=st.integers(1, 20))
@example(megabytes=LEAST_MEGABYTES, per_pixel=60.0, halo=20)
def test_a_format_that_streams_keeps_to_the_budget(opened: PictureFile, megabytes: int, per_pixel: float, halo: int):
    picture, kind = opened, format_of(Path("x.png"))
    header, _ = header_for(picture, 3, kind)
    tiling = Tiling(3, halo, per_pixel, None, megabytes * 10**6)
    cut = plan_cut(picture, header, kind, tiling, channels=3, budget=megabytes * 10**6)
    assert cut.bytes <= megabytes * 10**6
    assert 1 <= cut.rows <= 3000


def test_less_than_the_smallest_bands_take_is_refused(wide: Path):
    picture, kind = open_picture(wide), format_of(Path("x.png"))
    header, _ = header_for(picture, 3, kind)
    least = plan_cut(picture, header, kind, Tiling(3, 20, 60.0, None, 10**8), channels=3).bytes
    assert 10**8 < least < LEAST_MEGABYTES * 10**6
    with pytest.raises(InputError, match="--memory allows 100") as refused:
        plan_cut(picture, header, kind, Tiling(3, 20, 60.0, None, 10**8), channels=3, budget=10**8)
    assert refused.value.hint == f"allow --memory {-(-least // 10**6)}"


def test_a_format_that_does_not_says_what_it_takes(wide: Path):
    picture, kind = open_picture(wide), format_of(Path("x.webp"))
    header, _ = header_for(picture, 2, kind)
    tiling = Tiling(2, 5, 30.0, None, 200 * 10**6)
    with pytest.raises(InputError, match=r"takes \d+ MB of memory to become 16000 x 6000 pixels, --memory allows 200"):
        plan_cut(picture, header, kind, tiling, channels=3, budget=200 * 10**6)
    cut = plan_cut(picture, header, kind, tiling, channels=3)
    assert cut.bytes > 16000 * 6000 * 8
    with pytest.raises(InputError, match="GB are free; cut the picture into parts"):
        check_free(picture, cut, header, 500 * 10**6)
    check_free(picture, cut, header, None)


def test_line_buffers_of_wide_pictures_are_counted(wide: Path):
    """They are said for pictures 1920 wide, and lie beside what grows with the picture's rows."""
    picture, kind = open_picture(wide), format_of(Path("x.png"))
    header, _ = header_for(picture, 2, kind)
    plain, lined = (Tiling(2, 5, 30.0, None, None, lines) for lines in (0, 12_000_000))
    found = [plan_cut(picture, header, kind, tiling, channels=3).bytes for tiling in (plain, lined)]
    assert found[1] - found[0] == 12_000_000 * 8000 // 1920
    tiling = Tiling(2, 5, 30.0, None, 200 * 10**6, 12_000_000)
    cut = plan_cut(picture, header, kind, tiling, channels=3, budget=200 * 10**6)
    assert cut.bytes <= 200 * 10**6
    assert cut.columns is not None, "narrow tiles have small line buffers"


def test_what_is_asked_for_is_kept_to(wide: Path):
    picture, kind = open_picture(wide), format_of(Path("x.png"))
    header, _ = header_for(picture, 3, kind)
    assert plan_cut(picture, header, kind, Tiling(3, 5, 30.0), channels=3).rows == 3000
    cut = plan_cut(picture, header, kind, Tiling(3, 5, 30.0, 64), channels=3)
    assert (cut.rows, cut.columns) == (64, 64)
    whole = plan_cut(picture, header, kind, Tiling(3, 1 << 20, 30.0, None, 10**6), channels=3)
    assert (whole.rows, whole.columns) == (3000, None)
