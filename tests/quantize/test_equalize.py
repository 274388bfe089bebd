"""Equalization: the same function, better balanced; and rounding together: less error than rounding alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.quantize.helpers import NETS, network, picture, small_model
from toolchain.frontend import SRModel
from toolchain.quantize.equalize import (
    ChannelRanges,
    Together,
    equalize,
    find_sites,
    measure_channels,
    share_ranges,
    widening,
)
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.plan import make_plan
from toolchain.quantize.rounding import round_together
from toolchain.reference.graph import GraphView
from toolchain.reference.pairs import least_scale

SITES = {"xlsr": 6, "abpn": 3, "espcn": 2, "fsrcnn": 4, "sesr": 0, "sesr_prelu_rgb": 0}


def groups_of(sr: SRModel) -> tuple[Together, ...]:
    return share_ranges(sr, make_plan(sr), find_sites(sr))


@pytest.mark.parametrize("name", sorted(NETS))
def test_the_function_is_kept(name: str) -> None:
    sr = network(name)
    sites = find_sites(sr)
    assert len(sites) == SITES[name]
    groups = groups_of(sr)
    balanced = equalize(sr, groups, measure_channels(sr, groups, [picture(40, 40, sr.channels)], "minmax"), 2.0)
    pixels = to_float(picture(21, 34, sr.channels, 3), sr.value_range)
    before, after = FloatModel(sr.model).run(pixels), FloatModel(balanced.model).run(pixels)
    np.testing.assert_allclose(after, before, atol=1e-5 * sr.value_range[1], rtol=0)
    changed = balanced.model.SerializeToString() != sr.model.SerializeToString()
    assert changed == bool(sites)


def test_channels_of_one_tensor_span_about_the_same() -> None:
    sr = network("abpn")
    sites = find_sites(sr)
    crops = [picture(40, 40, 3)]
    before = measure_channels(sr, groups_of(sr), crops, "minmax")
    balanced = equalize(sr, groups_of(sr), before, 2.0)
    after = measure_channels(balanced, groups_of(balanced), crops, "minmax")
    for site in sites:
        wide = before[site.tensor].high
        made = after[site.tensor].high
        assert made.max() / made.min() < wide.max() / wide.min()
        assert wide.max() / wide.min() > 1.5


def test_the_more_photographs_the_more_a_channel_may_be_widened() -> None:
    sr = network("abpn")
    site, crops = find_sites(sr)[0], [picture(40, 40, 3)]
    group = Together((site,), ())
    uneven = ChannelRanges(np.zeros(site.channels), np.logspace(0, np.log10(4), site.channels))
    before = measure_channels(sr, [group], crops, "minmax")[site.tensor].high
    spread = []
    for photographs in (1, 3, 9, 100):
        balanced = equalize(sr, [group], {site.tensor: uneven}, widening(photographs))
        factors = measure_channels(balanced, [group], crops, "minmax")[site.tensor].high / before
        spread.append(factors.max() / factors.min())
    assert spread == pytest.approx([2, 2, 3, 4], rel=1e-3)


def test_shifts_and_signs_are_used_only_where_they_are_exact() -> None:
    kinds = sorted((site.linear, site.movable) for site in find_sites(network("xlsr")))
    # Three Relus; one linear tensor read by a padded 3x3; two linear ones concatenated before a 1x1.
    assert kinds == [(False, False)] * 3 + [(True, False)] + [(True, True)] * 2


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 24), st.integers(0, 10_000))
@example(7, 75)
def test_rounding_together_beats_rounding_alone(taps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 1, (taps, 400)) + 2 * rng.normal(0, 1, (1, 400))
    power = data @ data.T
    rows = rng.normal(0, 1, (8, taps))
    codes, scale = round_together(rows.reshape(8, taps, 1, 1), power)
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int)).max() <= 127
    plain = least_scale(rows.reshape(8, taps, 1, 1))[:, None]
    alone = rows - np.rint(rows / plain) * plain
    together = rows - codes.reshape(8, taps) * scale[:, None].astype(float)
    loss = [float(np.einsum("ok,kl,ol->", error, power, error)) for error in (alone, together)]
    assert loss[1] <= loss[0] * 1.001


def bent(slopes: list[float], *, shared: bool = False) -> SRModel:
    """A convolution of four channels, each the mirror image of the next, a PRelu, and a convolution that reads it."""
    rng = np.random.default_rng(1)
    first, nodes = rng.normal(0, 0.4, (4, 3, 3, 3)).astype(np.float32), []
    nodes.append(helper.make_node("Conv", ["input", "w1", "b1"], ["made"], pads=[1] * 4))
    nodes.append(helper.make_node("PRelu", ["made", "slopes"], ["bent"]))
    nodes.append(helper.make_node("Conv", ["bent", "w2", "b2"], ["last" if shared else "output"], pads=[1] * 4))
    if shared:
        nodes.append(helper.make_node("PRelu", ["last", "slopes"], ["bent again"]))
        nodes.append(helper.make_node("Conv", ["bent again", "w3", "b3"], ["output"]))
    constants = {
        "w1": first,
        "b1": np.array([0.3, -0.3, 0.2, -0.2], np.float32),
        "slopes": np.array(slopes, np.float32).reshape(4, 1, 1),
        "w2": rng.normal(0, 0.4, (4 if shared else 3, 4, 3, 3)).astype(np.float32),
        "b2": np.zeros(4 if shared else 3, np.float32),
    }
    if shared:
        constants |= {"w3": rng.normal(0, 0.4, (3, 4, 1, 1)).astype(np.float32), "b3": np.zeros(3, np.float32)}
    return small_model(nodes, constants)


def ranges(sr: SRModel, low: list[float], high: list[float]) -> dict[str, ChannelRanges]:
    """These, of every site's four channels."""
    return {site.tensor: ChannelRanges(np.array(low), np.array(high)) for site in find_sites(sr)}


@pytest.mark.parametrize("below", [False, True])
def test_channels_behind_a_prelu_are_turned_to_lie_on_one_side(below: bool) -> None:
    """The last two have slopes that cannot be turned: where they lie below zero, the first goes there too."""
    sr = bent([0.5, 0.5, -0.5, 0.001])
    side = ([-1.0, 0.1], [-0.1, 1.0])[not below]
    low, high = [-0.1, -1.0, side[0], side[0]], [1.0, 0.1, side[1], side[1]]
    balanced = equalize(sr, groups_of(sr), ranges(sr, low, high), 4.0)
    before, after = (GraphView(model.model).constants for model in (sr, balanced))
    # -f * x through 1 / a is -f / a times x through a; what reads it undoes that.
    turned = np.array([below, not below, False, False])
    np.testing.assert_allclose(after["slopes"].reshape(-1), np.where(turned, 2.0, [0.5, 0.5, -0.5, 0.001]), rtol=1e-6)
    made = (after["w1"] / before["w1"]).reshape(4, -1).mean(axis=1)
    read = (after["w2"] / before["w2"]).swapaxes(0, 1).reshape(4, -1).mean(axis=1)
    np.testing.assert_array_equal(made < 0, turned)
    np.testing.assert_allclose(made * read, np.where(turned, 0.5, 1.0), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.lists(st.floats(0.01, 10), min_size=8, max_size=8))
@example([0.25, 1 / 64, 0.0, 1.5], [3.0, 3.0, 3.0, 3.0, 0.1, 0.1, 0.1, 0.1])
def test_turned_or_not_the_function_is_the_same(slopes: list[float], reach: list[float]) -> None:
    sr = bent(slopes)
    balanced = equalize(sr, groups_of(sr), ranges(sr, [-low for low in reach[:4]], reach[4:]), 4.0)
    pixels = to_float(picture(9, 12, 3, 3), sr.value_range)
    before, after = FloatModel(sr.model).run(pixels), FloatModel(balanced.model).run(pixels)
    np.testing.assert_allclose(after, before, atol=2e-5, rtol=0)


def test_slopes_that_another_node_reads_stay() -> None:
    sr = bent([0.5] * 4, shared=True)
    balanced = equalize(sr, groups_of(sr), ranges(sr, [-0.1, -1.0, -1.0, -1.0], [1.0, 0.1, 0.1, 0.1]), 4.0)
    assert (GraphView(balanced.model).constants["slopes"] == 0.5).all()
    pixels = to_float(picture(9, 12, 3, 3), sr.value_range)
    np.testing.assert_allclose(FloatModel(balanced.model).run(pixels), FloatModel(sr.model).run(pixels), atol=2e-5)
