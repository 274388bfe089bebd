"""Tensors of which some channels have 16 bits: split networks, what is chosen, and the integer network."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from tests.campaigns.foresight import say, unforeseen
from tests.lower.compiled import assert_equal
from tests.quantize.helpers import QUICK, network, picture, pictures, quantized, small_model
from toolchain.frontend import SRModel
from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.fidelity import OutputLoss, list_parts
from toolchain.quantize.fidelity.variants import Part
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.loss import Comparison
from toolchain.quantize.mixed import Finer, find_mixed_sites, fine_quantization, pieces, split_network
from toolchain.quantize.pipeline import calibrate
from toolchain.quantize.plan import make_plan
from toolchain.quantize.ranking import rank_channels
from toolchain.quantize.recipe import BoundRecipe, Recipe, TensorRecipe, WideRecipe
from toolchain.quantize.stand_in import stand_in
from toolchain.reference.network import describe_network
from toolchain.reference.pairs import largest_pairs
from toolchain.reference.program import parse
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import ConvStep

FLOAT_ERROR = 1e-5


@cache
def calibrated(name: str) -> Calibrated:
    sr = network(name)
    return calibrate(sr, pictures(sr.channels), QUICK)


@cache
def plain(name: str) -> Rounded:
    return calibrated(name).rounded()


def every_site(name: str) -> dict[str, tuple[int, ...]]:
    """Four channels of each tensor that may have finer ones, not the first four."""
    return dict.fromkeys(calibrated(name).sites, (1, 2, 5, 7))


@pytest.mark.parametrize("name", ["espcn", "fsrcnn"])
def test_the_float_network_stays_the_same(name: str) -> None:
    given_network = calibrated(name)
    mixed = split_network(given_network.sr, given_network.plan, every_site(name))
    assert mixed.whole
    image = to_float(picture(11, 9, given_network.sr.channels), given_network.sr.value_range)
    before, after = (FloatModel(sr.model).run(image) for sr in (given_network.sr, mixed.sr))
    np.testing.assert_allclose(after, before, atol=FLOAT_ERROR)


def test_before_and_after() -> None:
    rng = np.random.default_rng(0)
    constants = {
        "first": rng.normal(size=(6, 3, 1, 1)).astype(np.float32),
        "first_bias": rng.normal(size=6).astype(np.float32),
        "slope": rng.uniform(0.1, 0.5, (6, 1, 1)).astype(np.float32),
        "second": rng.normal(size=(3, 6, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input", "first", "first_bias"], ["made"]),
        helper.make_node("PRelu", ["made", "slope"], ["bent"]),
        helper.make_node("Conv", ["bent", "second"], ["output"]),
    ]
    sr = small_model(nodes, constants)
    made = split_network(sr, make_plan(sr), {"bent": (0, 2, 3, 5)}).sr
    assert [(node.op_type, list(node.input), list(node.output)) for node in made.model.graph.node] == [
        ("Conv", ["input", "made_fine_weight", "made_fine_bias"], ["made_fine"]),
        ("Conv", ["input", "made_coarse_weight", "made_coarse_bias"], ["made_coarse"]),
        ("PRelu", ["made_fine", "bent_fine_slope"], ["bent_fine"]),
        ("PRelu", ["made_coarse", "bent_coarse_slope"], ["bent_coarse"]),
        ("Concat", ["bent_fine", "bent_coarse"], ["bent"]),
        ("Conv", ["bent", "output_weight"], ["output"]),
    ]
    assert made.coarse == ("bent_coarse",)
    plan = make_plan(made)
    assert plan.group["bent_fine"] == plan.group["bent"] != plan.group["bent_coarse"]


def refused(*nodes: object, more: int = 0) -> dict[str, object]:
    weights = {"a": np.ones((8, 3, 1, 1), np.float32), "b": np.ones((3, 8, 1, 1), np.float32)}
    grouped = {"g": np.ones((8, 4, 1, 1), np.float32)} if more else {}
    sr = small_model(list(nodes), {**weights, **grouped})
    return dict(find_mixed_sites(sr, make_plan(sr)))


def test_what_cannot_have_some_channels_finer() -> None:
    conv = helper.make_node
    first, last = conv("Conv", ["input", "a"], ["x"]), conv("Conv", ["y", "b"], ["output"])
    assert set(refused(first, conv("Relu", ["x"], ["y"]), last)) == {"y"}
    assert not refused(first, conv("Add", ["x", "x"], ["y"]), last)
    assert not refused(first, conv("Relu", ["x"], ["z"]), conv("Add", ["z", "x"], ["y"]), last)
    assert not refused(first, conv("Conv", ["x", "g"], ["y"], group=2), last, more=1)


def test_weights_are_split_and_joined_again() -> None:
    found, made = calibrated("fsrcnn"), plain("fsrcnn")
    mixed = split_network(found.sr, found.plan, every_site("fsrcnn"))
    weights, biases = mixed.joined(*mixed.split(made.weights, made.biases))
    assert weights.keys() == made.weights.keys()
    for output, weight in made.weights.items():
        np.testing.assert_array_equal(weights[output].codes, weight.codes)
        np.testing.assert_array_equal(weights[output].scale, weight.scale)
        np.testing.assert_array_equal(biases[output], made.biases[output])


def test_pairs_of_new_neighbours_are_safe_too() -> None:
    """Also of channels that lie in their own order again."""
    found, several = calibrated("fsrcnn"), every_site("fsrcnn")
    mixed = found.rounded(several)
    for made in (found.rewritten(several, plain("fsrcnn")), mixed, found.rewritten({}, mixed)):
        steps = [step for step in parse(made.model).steps if isinstance(step, ConvStep)]
        assert max(largest_pairs(step.convolution.weight).max() for step in steps) <= 128


@given(st.floats(1e-4, 10), st.integers(0, 255), st.integers(0, 255))
def test_coarse_codes_are_codes_of_16_bits(scale: float, zero_point: int, code: int) -> None:
    coarse = Quantization(float(np.float32(scale)), zero_point)
    fine = fine_quantization(coarse)
    real = coarse.dequantize(np.asarray([code], np.uint8))
    assert fine.quantize(real)[0] == 256 * code + zero_point
    assert fine.dequantize(fine.quantize(real)) == real


@given(st.integers(5, 70))
def test_pieces_are_all_channels(count: int) -> None:
    order = list(np.random.default_rng(count).permutation(count))
    found = pieces(order)
    assert sorted(channel for piece in found for channel in piece) == list(range(count))
    assert set(found[0]) == set(order[:4])


def errors(name: str, *several: Finer) -> list[float]:
    found = calibrated(name)
    comparison = Comparison(found.sr, [crop.pixels for crop in found.judges])
    return [comparison.mean(comparison.errors(found.rewritten(finer, plain(name)).model)) for finer in several]


def test_some_channels_are_worth_a_part_of_what_all_are() -> None:
    tensors = list(calibrated("espcn").sites)
    order = rank_channels(quantized("espcn"), list(calibrated("espcn").sites.values()), pictures(1))
    best, worst = ({name: pieces(order[name])[place] for name in tensors} for place in (0, -1))
    none, some, others, every = errors("espcn", {}, best, worst, dict.fromkeys(tensors))
    assert every < some < others < none


def test_a_channel_that_counts_comes_first() -> None:
    found, name = calibrated("espcn"), next(iter(calibrated("espcn").sites))
    start = found.described(plain("espcn"))
    order = rank_channels(start, [found.sites[name]], pictures(1))[name]
    error = OutputLoss(start, [crop[:48, :48] for crop in pictures(1)])
    alone = [error([Part("activation", name, "", (name,), (channel,), len(order))]) for channel in order]
    assert alone[0] > 2 * alone[-1] > 0


def test_a_part_is_what_it_says() -> None:
    model = quantized("espcn")
    (part,) = [part for part in list_parts(model) if part.name == next(iter(calibrated("espcn").sites))]
    error = OutputLoss(model, pictures(1)[:1])
    halves = [Part(part.kind, part.name, "", part.tensors, half, 8) for half in ((0, 1, 2, 3), (4, 5, 6, 7))]
    assert error(halves) == error([part])
    assert 0 < error(halves[:1]) < error([part])


def test_the_library_gives_the_reference_s_pixels_for_the_work_of_the_fine_channels() -> None:
    found, finer = calibrated("fsrcnn"), every_site("fsrcnn")
    made = found.rounded(finer)
    library = assert_equal(made.model, sizes=((1, 1), (9, 81)))
    fine = [kernel.conv.low_inputs for kernel in library.kernels if kernel.conv.source.wide]
    assert fine == [1] * len(finer)
    figures, plan = describe_network(made.model), found.plan
    work = {layer.name: layer.macs_per_pixel for layer in describe_network(found.sr.model).layers}
    wanted = sum(work[site.output] * 4 / 8 for site in plan.convolutions.values() if site.source in finer)
    assert figures.doubled_per_pixel == pytest.approx(wanted)
    recipe = {tensor.name: tensor.dtype for tensor in found.described(made).recipe.tensors}
    for name in finer:
        assert (recipe[name], recipe[f"{name}_fine"], recipe[f"{name}_coarse"]) == ("uint16", "uint16", "uint8")


def test_channels_that_are_no_whole_words_cost_what_all_do() -> None:
    found = calibrated("fsrcnn")
    made = found.rounded({"prelu_20": (3,)})
    assert_equal(made.model, sizes=((9, 81),))
    work = {layer.name: layer.macs_per_pixel for layer in describe_network(found.sr.model).layers}
    (reader,) = (site.output for site in found.plan.convolutions.values() if site.source == "prelu_20")
    assert describe_network(made.model).doubled_per_pixel == pytest.approx(work[reader])


def test_a_target_runs_what_it_was_said_to_run_of_the_network_that_is_not_split() -> None:
    found, finer = calibrated("fsrcnn"), every_site("fsrcnn")
    before, after = stand_in(found.sr), found.rounded(finer).model
    counts = [sum(node.op_type == "Conv" for node in model.graph.node) for model in (before, after)]
    assert counts[1] == counts[0] + len(finer)
    assert unforeseen(said := say(before), after) == ""
    assert unforeseen({**said, "cortex-a7": "all in float"}, after).startswith("cortex-a7: said 'all in float', found")


def test_people_read_how_many_channels() -> None:
    chosen = (WideRecipe("a", 1.0, 40, (3, 1, 2, 0)), WideRecipe("b", 2.0, 41), WideRecipe("a", 1.5, 42, (4, 5)))
    bound = BoundRecipe(0.05, 0.2, 0.04, 4.5, chosen)
    assert "16 bits for a (6 channels, 2.5 %), b (2.0 %); 4.5 % more work" in str(bound)
    words = ["--bits", "c*=16:1-2", "--bits", "a=16:0-5", "--bits", "b=16", "--budget", "0"]
    fine = TensorRecipe("a_fine", "activation", "uint16", (1.0,), (0,), None, "mse", "natural")
    recipe = Recipe(model="m", settings={"bits": {"c*": [1, 2]}}, tensors=(fine,), bound=bound)
    assert list(recipe.by_hand) == words
    assert replace(recipe, tensors=()).by_hand[3] == "a=16"
    assert Recipe(model="m", settings={}, tensors=()).by_hand == ()


def test_a_network_that_is_not_split_is_itself() -> None:
    sr: SRModel = network("espcn")
    assert sr.coarse == ()
    assert calibrated("espcn").rewritten({}, plain("espcn")).model == plain("espcn").model
