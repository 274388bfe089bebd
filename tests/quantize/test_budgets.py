"""Bounds of cost as people say them, and bits of weights and activations that are chosen together under them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.quantize.helpers import QUICK, network, picture, pictures, small_model
from toolchain.frontend import SRModel
from toolchain.quantize import QuantizedModel, Settings, quantize
from toolchain.quantize.bits import read_bits
from toolchain.quantize.budgets import CostBound, read_budgets
from toolchain.quantize.costs import costs_of, describe_costs
from toolchain.quantize.knapsack import Level, choose_levels
from toolchain.quantize.recipe import TradeRecipe
from toolchain.quantize.settings import for_deployment
from toolchain.quantize.weight_bits import read_weight_bits
from toolchain.reference.graph import GraphView
from toolchain.support.errors import CalibrationError, InputError

FAST = replace(QUICK, tame=False, augment=False)
ROUGH = replace(FAST, reconstruct=False, correct_bias=False, equalize=False, crop=16)
BOPS, SIZE = CostBound("bops", 100.0), CostBound("size", 60.0)


def traded(model: QuantizedModel) -> TradeRecipe:
    assert model.recipe.traded is not None
    return model.recipe.traded


@cache
def within(name: str, *costs: CostBound, max_loss: float | None = None, budget: float | None = None) -> QuantizedModel:
    sr = network(name)
    return quantize(sr, pictures(sr.channels), replace(FAST, costs=costs, max_loss=max_loss, budget=budget))


@pytest.mark.parametrize(
    ("words", "work", "costs"),
    [
        ([], None, ()),
        (["10"], 10.0, ()),
        (["work=10%"], 10.0, ()),
        (["bops=100%"], None, (BOPS,)),
        (["bops"], None, (CostBound("bops"),)),
        (["size=60%", "8"], 8.0, (SIZE,)),
        (["size=20kB"], None, (CostBound("size", 20e3, relative=False),)),
        (["size=1.5MB", "bops=75.5%"], None, (CostBound("size", 1.5e6, relative=False), CostBound("bops", 75.5))),
    ],
)
def test_words_are_read(words: list[str], work: float | None, costs: tuple[CostBound, ...]) -> None:
    assert read_budgets(words) == (work, costs)
    assert read_budgets([str(bound) for bound in costs])[1] == costs


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["flops=3%"], "there is no budget of 'flops'; say 10 (percent more work), bops=100%"),
        (["much"], "--budget much is not understood"),
        (["bops=3"], "--budget bops=3 is not understood"),
        (["size=3 kB"], "--budget size=3 kB is not understood"),
        (["size=-3%"], "--budget size=-3% is not understood"),
        (["size="], "--budget size= is not understood"),
        (["10", "work=20"], "--budget gives work two bounds"),
        (["size=3%", "size"], "--budget gives size two bounds"),
    ],
)
def test_words_that_mean_nothing_are_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        read_budgets(words)
    assert str(error.value).startswith(sentence)


def test_bounds_that_say_too_little_or_too_much_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"a budget of size=0% is none"):
        Settings(costs=(CostBound("size", 0.0),))
    with pytest.raises(CalibrationError, match=r"bops without a number needs a bound on the loss"):
        Settings(costs=(CostBound("bops"),))
    with pytest.raises(CalibrationError, match=r"--weight-bits auto and a budget of size both choose"):
        Settings(costs=(SIZE,), spare_weights=True)
    assert for_deployment(Settings(costs=(SIZE,))).max_loss is None


COSTS = st.dictionaries(st.sampled_from(["bops", "size"]), st.integers(0, 40).map(float), min_size=2, max_size=2)
LEVELS = st.lists(st.tuples(st.integers(0, 50), COSTS), min_size=1, max_size=4).map(
    lambda many: [
        Level(8 - at, float(loss), costs) for at, (loss, costs) in enumerate(sorted(many, key=lambda x: x[0]))
    ]
)


@settings(max_examples=200)
@given(st.lists(LEVELS, min_size=1, max_size=4), COSTS, COSTS, st.sets(st.sampled_from(["bops", "size"]), min_size=1))
def test_levels_keep_all_limits_and_nothing_more_fits(
    many: list[list[Level]], fixed: Mapping[str, float], limits: Mapping[str, float], kinds: set[str]
) -> None:
    items = {f"item{index}": levels for index, levels in enumerate(many)}
    limits = {kind: 3 * limits[kind] for kind in kinds}

    def kept(chosen: Mapping[str, Level]) -> bool:
        return all(fixed[k] + sum(one.costs[k] for one in chosen.values()) <= limit for k, limit in limits.items())

    chosen = choose_levels(items, fixed, limits)
    possible = [
        dict(zip(items, one, strict=True))
        for one in itertools.product(*items.values())
        if kept(dict(zip(items, one, strict=True)))
    ]
    if chosen is None:
        assert len(kinds) > 1 or not possible  # of one kind, whatever can be kept is
        return
    assert kept(chosen)
    for name, levels in items.items():
        assert not any(one.loss < chosen[name].loss and kept({**chosen, name: one}) for one in levels)
    if kept({name: levels[0] for name, levels in items.items()}):
        assert all(chosen[name].loss == levels[0].loss for name, levels in items.items())


@st.composite
def networks(draw: st.DrawFn) -> SRModel:
    """A chain of convolutions, some with an activation or a residual, of as many pixels as come in."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    nodes, constants, source, wide = [], {}, "input", 3
    depth = draw(st.integers(1, 3))
    for index in range(depth + 1):
        outputs = 3 if index == depth else draw(st.sampled_from([4, 6, 8, 12]))
        kernel = draw(st.sampled_from([1, 3]))
        name = "output" if index == depth else f"conv{index}"
        constants[f"weight{index}"] = rng.normal(0, 0.5 / (kernel * wide**0.5), (outputs, wide, kernel, kernel)).astype(
            np.float32
        )
        nodes.append(helper.make_node("Conv", [source, f"weight{index}"], [name], name, pads=[kernel // 2] * 4))
        if index < depth and draw(st.booleans()):
            nodes.append(helper.make_node("Relu", [name], [f"relu{index}"], f"relu{index}"))
            name = f"relu{index}"
        if index < depth and outputs == wide and draw(st.booleans()):
            nodes.append(helper.make_node("Add", [name, source], [f"sum{index}"], f"sum{index}"))
            name = f"sum{index}"
        source, wide = name, outputs
    return small_model(nodes, constants)


def counted(model: QuantizedModel) -> dict[str, float]:
    """Count what a network of as many pixels out as in costs, from its codes: as deployed, and with 8 bits."""
    constants = GraphView(model.model).constants
    makers = {name: node for node in model.model.graph.node for name in node.output}
    bits = {tensor.name: tensor for tensor in model.recipe.tensors if tensor.role == "weight"}
    found = {"bops": 0.0, "size": 0.0, "plain bops": 0.0, "plain size": 0.0, "work": 0.0, "macs": 0.0}
    for node in model.model.graph.node:
        if node.op_type != "Conv":
            continue
        name = makers[node.input[1]].input[0]
        codes, tensor = constants[name], bits[name.removesuffix("_quantized")]
        if tensor.codebook:
            assert set(np.unique(codes).tolist()) <= set(tensor.codebook)
            assert len(tensor.codebook) <= 2**tensor.bits
        else:
            assert np.abs(codes.astype(int)).max(initial=0) < 2 ** (tensor.bits - 1)
        reads = _reads(makers, constants, node)
        found["bops"] += codes.size * tensor.bits * reads
        found["size"] += -(-codes.size * tensor.bits // 8) + len(tensor.codebook)
        found["plain bops"] += codes.size * 64
        found["plain size"] += codes.size
        found["work"] += codes.size * (reads - 8) / 8
        found["macs"] += codes.size
    return found


def _reads(makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, np.ndarray], node: onnx.NodeProto) -> float:
    """Return the bits of the codes that a convolution reads, on average over channels that are multiplied together."""
    given = makers[node.input[0]]
    if constants[given.input[2]].dtype != np.uint16:
        return 8
    joined = makers[makers[given.input[0]].input[0]]
    if joined.op_type != "Concat":
        return 16
    fine, coarse = (_outputs(makers, constants, name) for name in joined.input)
    return 16 if fine % 4 else (16 * fine + 8 * coarse) / (fine + coarse)


def _outputs(makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, np.ndarray], name: str) -> int:
    while (node := makers[name]).op_type != "Conv":
        name = node.input[0]
    return len(constants[makers[node.input[1]].input[0]])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    networks(),
    st.lists(
        st.builds(CostBound, st.sampled_from(["bops", "size"]), st.floats(50.5, 140.0)),
        min_size=1,
        max_size=2,
        unique_by=lambda bound: bound.kind,
    ),
    st.sampled_from([None, 0.0, 20.0]),
    st.sampled_from([None, 0.01, 0.5]),
)
def test_no_network_costs_more_than_its_bounds(
    sr: SRModel, costs: list[CostBound], budget: float | None, max_loss: float | None
) -> None:
    asked = replace(ROUGH, costs=tuple(costs), budget=budget, max_loss=max_loss)
    try:
        model = quantize(sr, [picture(24, 30, 3, 1), picture(24, 30, 3, 2)], asked)
    except CalibrationError as error:
        if "no choice of bits" not in str(error):  # half a byte in a layer of odd size, or two bounds
            raise
        return
    found = counted(model)
    for bound in costs:
        assert bound.most is not None
        assert found[bound.kind] <= bound.most / 100 * found[f"plain {bound.kind}"] * (1 + 1e-6)
    if budget is not None:
        assert found["work"] <= budget / 100 * found["macs"] * (1 + 1e-6)
    record = traded(model)
    for cost in record.costs:
        assert cost.spent == pytest.approx(found[cost.kind])
        assert cost.least <= cost.spent * (1 + 1e-9)
    assert not record.kept or max_loss is None or record.after <= max_loss


def test_8_bits_are_traded_for_what_loses_less() -> None:
    plain = quantize(network("fsrcnn"), pictures(1), FAST)
    model = within("fsrcnn", BOPS)
    found = traded(model)
    assert found.chosen
    assert found.bits
    assert found.after < found.before
    (cost,) = found.costs
    assert cost.spent <= cost.plain == costs_of(describe_costs(plain))["bops"]
    assert cost.spent == costs_of(describe_costs(model))["bops"]
    assert "of 8 bits (100 % allowed, 50.0 % the least)" in str(found)
    assert json.loads(model.recipe.to_json())["traded"]["bits"] == dict(found.bits)


def test_bytes_do_not_buy_bits_of_activations() -> None:
    found = traded(within("espcn", SIZE))
    assert not found.chosen
    (cost,) = found.costs
    assert cost.spent <= 0.6 * cost.plain
    assert "60.0% of 8 bits" in str(found) or "kB allowed" in str(found)


def test_the_least_cost_within_a_bound_on_the_loss_is_found() -> None:
    costs = []
    for loss in (0.03, 10.0):
        found = traded(within("sesr", CostBound("bops"), max_loss=loss))
        assert found.kept
        assert found.after <= loss
        costs.append(found.costs[0].spent)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == found.costs[0].least == found.costs[0].plain / 2
    assert "(10 dB allowed)" in str(found)


def test_what_cannot_be_kept_is_said() -> None:
    found = traded(within("espcn", CostBound("bops", 60.0), max_loss=0.001))
    assert not found.kept
    assert found.demanded
    assert found.costs[0].spent <= 0.6 * found.costs[0].plain
    assert str(found).endswith("; 0.001 dB cannot be kept") or "; 0.001 dB cannot be kept; 16 bits for" in str(found)


@pytest.mark.parametrize(
    ("bound", "least"),
    [
        (CostBound("bops", 40.0), "bops=50%"),
        (CostBound("size", 30.0), "size=50"),
        (CostBound("size", 5.0, relative=False), "size="),
    ],
)
def test_what_nothing_can_keep_is_refused_with_the_least_that_can(bound: CostBound, least: str) -> None:
    with pytest.raises(
        CalibrationError, match=rf"no choice of bits keeps --budget {bound}: the least is {least}"
    ) as error:
        within("espcn", bound)
    said = str(error.value).partition("the least is ")[2].partition(";")[0]
    _, (again,) = read_budgets([said])
    assert traded(within("espcn", again)).costs[0].spent == traded(within("espcn", again)).costs[0].least


def test_what_was_decided_by_hand_stays_and_what_was_chosen_can_be_asked_for() -> None:
    sr = network("fsrcnn")
    first = next(node.output[0] for node in sr.model.graph.node if node.op_type == "Conv")
    made = quantize(sr, pictures(sr.channels), replace(FAST, costs=(BOPS,), weight_bits={first: 7}))
    assert first not in traded(made).bits
    words = made.recipe.by_hand
    asked = list(itertools.pairwise(words))
    wide = dict(read_bits(word) for option, word in asked if option == "--bits")
    few, _ = read_weight_bits([word for option, word in asked if option == "--weight-bits"])
    assert few == {first: 7, **traded(made).bits}
    again = quantize(sr, pictures(sr.channels), replace(FAST, bits=wide, weight_bits=few))
    assert costs_of(describe_costs(again)) == costs_of(describe_costs(made))
    assert bool(wide) == bool(traded(made).chosen)


def test_codebooks_count_their_entries() -> None:
    sr = network("sesr")
    made = quantize(sr, pictures(sr.channels), replace(FAST, costs=(CostBound("size", 65.0),), codebook=True))
    weights = [tensor for tensor in made.recipe.tensors if tensor.role == "weight"]
    books = sum(len(tensor.codebook) for tensor in weights)
    assert books > 0
    constants = GraphView(made.model).constants
    codes = sum(-(-constants[f"{tensor.name}_quantized"].size * tensor.bits // 8) for tensor in weights)
    assert traded(made).costs[0].spent == codes + books <= 0.65 * traded(made).costs[0].plain
