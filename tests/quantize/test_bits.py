"""Bits of tensors and of some of their channels, as people say them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.quantize.helpers import QUICK, network, pictures
from toolchain.quantize import Settings
from toolchain.quantize.bits import read_bits, write_bits
from toolchain.quantize.calibrated import Calibrated
from toolchain.quantize.pipeline import calibrate
from toolchain.quantize.spending import within_loss
from toolchain.reference.network import describe_network
from toolchain.support.errors import CalibrationError, InputError

CHANNELS = (1, 2, 5, 7)


def decided(name: str, bits: dict[str, int | tuple[int, ...]]) -> Calibrated:
    sr = network(name)
    return calibrate(sr, pictures(sr.channels), replace(QUICK, bits=bits))


@given(st.text(min_size=1), st.sets(st.integers(0, 300), min_size=1))
def test_what_is_written_is_read(name: str, channels: set[int]) -> None:
    several = tuple(sorted(channels))
    assert read_bits(write_bits(name, several)) == (name, several)
    assert read_bits(write_bits(name, 16)) == (name, 16)


@pytest.mark.parametrize(
    ("word", "name", "bits"),
    [
        ("a=16", "a", 16),
        ("conv:0=16", "conv:0", 16),
        ("conv:0=16:3", "conv:0", (3,)),
        ("a=b=16:0-2,9,1", "a=b", (0, 1, 2, 9)),
    ],
)
def test_words(word: str, name: str, bits: int | tuple[int, ...]) -> None:
    assert read_bits(word) == (name, bits)


@pytest.mark.parametrize("word", ["16", "=16", "a=", "a=16:", "a=8:1", "a=16:1,", "a=16:x", "a=16:3-1", "a=16:-1"])
def test_words_that_are_not_understood(word: str) -> None:
    with pytest.raises(InputError, match=f"--bits {word} is not understood"):
        read_bits(word)


def test_bits_that_none_can_have() -> None:
    with pytest.raises(CalibrationError, match="'a' gets 16 bits in none of its channels"):
        Settings(bits={"a": ()})


def test_channels_asked_for_are_those_that_are_chosen() -> None:
    """The same network, whoever decides."""
    chosen = decided("fsrcnn", {}).rounded({"prelu_5": CHANNELS})
    asked = decided("fsrcnn", {"prelu_5": (7, 1, *CHANNELS)}).rounded()
    assert asked.model == chosen.model
    assert "prelu_5 (4 of 8 channels)" in describe_network(asked.model).describe_wide()


def test_a_pattern_names_channels_of_several_tensors_and_a_name_goes_before_it() -> None:
    made = decided("fsrcnn", {"prelu_*0": 16, "prelu_20": CHANNELS}).rounded().model
    said = describe_network(made).describe_wide()
    assert "prelu_10, prelu_20 (4 of 8 channels);" in said


def test_all_channels_are_the_tensor() -> None:
    every, whole = (decided("fsrcnn", {"prelu_5": bits}).rounded().model for bits in (tuple(range(8)), 16))
    assert every == whole


def test_more_is_chosen_beside_what_is_asked_for() -> None:
    calibrated = decided("fsrcnn", {"prelu_5": CHANNELS})
    bound = within_loss(calibrated, calibrated.rounded(), 0.05).bound
    assert bound is not None
    assert bound.after < bound.before
    assert "prelu_5" not in {item.name for item in bound.chosen}
    assert bound.chosen


@pytest.mark.parametrize(
    ("name", "channels", "said"),
    [
        ("prelu_5", (1, 8), "'prelu_5' has no channel 8; its channels are 0 to 7"),
        (
            "prelu_10",
            (1,),
            "'prelu_10' cannot have 16 bits in some channels only; say prelu_10=16; of prelu_5, ",
        ),
    ],
)
def test_what_cannot_be(name: str, channels: tuple[int, ...], said: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        decided("fsrcnn", {name: channels})
    assert said in str(caught.value)
