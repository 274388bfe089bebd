"""Pictures of two folders that belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import photograph
from toolchain.images.pairs import match, read_pairs
from toolchain.support.errors import InputError


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("baby.png", "baby.png"),
        ("baby.jpg", "baby.png"),
        ("babyx2.png", "baby.png"),
        ("baby_x2.png", "baby.png"),
        ("0801x2m.png", "0801.png"),
        ("baby_LR.png", "baby_HR.png"),
        ("baby_LRBI_x2.png", "baby_HR_x2.png"),
        ("img_001_SRF_2_LR.png", "img_001_SRF_2_HR.png"),
        ("img_noisy.png", "img_clean.png"),
        ("img_noise25.png", "img.png"),
        ("img_q10.png", "img_GT.png"),
        ("x2.png", "x2.png"),
    ],
)
def test_names_that_belong_together(low: str, high: str):
    assert match([low, "other.png"], ["another.png", high], 2) == {high: low}


def test_the_scale_in_the_name_decides():
    names = [f"{stem}x{scale}.png" for stem in ("a", "b") for scale in (2, 3, 4)]
    assert match(names, ["a.png", "b.png"], 3) == {"a.png": "ax3.png", "b.png": "bx3.png"}
    assert match(["a.png", "a_x2.png"], ["a.png"], 2) == {"a.png": "a_x2.png"}


def test_what_cannot_be_told_apart_is_left_out():
    assert match(["a_LR.png", "a_small.png"], ["a.png"], 2) == {}
    assert match(["a.png"], ["a.png", "a_HR.png"], 2) == {"a.png": "a.png"}


def write(folder: Path, **sizes: tuple[int, int]) -> Path:
    folder.mkdir()
    for seed, (name, size) in enumerate(sizes.items()):
        Image.fromarray(photograph(*size, seed)).save(folder / f"{name}.png")
    return folder


def test_pictures_are_read_cropped_and_what_is_left_out_is_named(tmp_path: Path):
    low = write(tmp_path / "low", a_x2=(20, 30), b_x2=(20, 30), c_x2=(9, 9), d_x2=(8, 8))
    high = write(tmp_path / "high", a=(40, 60), b=(41, 61), c=(30, 30), e=(10, 10))
    found = read_pairs(low, high, 2)
    assert [(pair.name, pair.low.shape, pair.high.shape) for pair in found.pairs] == [
        ("a.png", (20, 30, 3), (40, 60, 3)),
        ("b.png", (20, 30, 3), (40, 60, 3)),
    ]
    np.testing.assert_array_equal(found.pairs[1].high, photograph(41, 61, 1)[:40, :60])
    assert {one.name: one.reason for one in found.skipped} == {
        "c.png": "has 30 x 30 pixels, not 2 times 9 x 9 of c_x2.png",
        "e.png": f"has no picture of its name in {low}",
        "d_x2.png": f"has no picture of its name in {high}",
    }
    assert (found.origin, found.text) == ("pairs", f"low-resolution pictures are those of {low}")


def test_two_files_need_no_names(tmp_path: Path):
    low, high = write(tmp_path / "low", some=(20, 30)), write(tmp_path / "high", other=(60, 90))
    (pair,) = read_pairs(low / "some.png", high / "other.png", 3).pairs
    assert pair.name == "other.png"


def test_nothing_belongs_together(tmp_path: Path):
    low, high = write(tmp_path / "low", a=(20, 30)), write(tmp_path / "high", b=(40, 60))
    with pytest.raises(InputError, match=r"no picture of .*low belongs to one of .*high: b\.png has no picture"):
        read_pairs(low, high, 2)
