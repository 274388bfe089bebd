"""The network that is trained gives the integer reference's bytes, before and after it learns."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from tests import sr_models  # noqa: E402
from tests.campaigns.random_graph import random_graph  # noqa: E402
from tests.conftest import photograph  # noqa: E402
from toolchain.frontend import normalize  # noqa: E402
from toolchain.frontend.unit import unit_of  # noqa: E402
from toolchain.quantize import IntegerReference, Settings, quantize  # noqa: E402
from toolchain.quantize.code_set import ALL, CodeSet  # noqa: E402
from toolchain.quantize.quantized import QuantizedModel  # noqa: E402
from toolchain.reference.convolution import Convolution  # noqa: E402
from toolchain.reference.quantization import Quantization  # noqa: E402
from toolchain.training.codes import ChosenCodes, LatentCodes, Site  # noqa: E402
from toolchain.training.convolution import TrainedConvolution  # noqa: E402
from toolchain.training.network import QuantizedNetwork, code_sets, latent  # noqa: E402
from toolchain.training.straight_through import clamped, looked_up, replaced, rounded, saturated  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)

NETWORKS = {
    "convolutions, a skip": lambda: sr_models.xlsr(),
    "a skip of the picture": lambda: sr_models.abpn(),
    "slopes, a transposed convolution": lambda: sr_models.fsrcnn(),
    "functions": lambda: sr_models.espcn(),
    "products and pools of the whole picture": lambda: sr_models.attention(),
    "functions of several tensors": lambda: sr_models.span(),
    "strides, pools, an enlargement": lambda: sr_models.esa(),
    "no padding": lambda: sr_models.unpadded(),
    "at random, 11": lambda: random_graph(11).model,
    "at random, 23": lambda: random_graph(23).model,
    "at random, 47": lambda: random_graph(47).model,
}


def quantized(model: onnx.ModelProto, **settings: object) -> QuantizedModel:
    sr = normalize(model)
    photos = [photograph(64, 72, seed)[..., : sr.channels] for seed in range(2)]
    return quantize(sr, photos, Settings(crop=32, crops_per_image=2, **settings))  # type: ignore[arg-type]


def pixels(model: onnx.ModelProto, height: int, width: int) -> np.ndarray:
    unit, channels = unit_of(model), model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    sides = (-(-side // unit) * unit for side in (height, width))
    return np.random.default_rng(height).integers(0, 256, (*sides, channels), dtype=np.uint8)


def trained(net: QuantizedNetwork, low: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(low.transpose(2, 0, 1)[None].astype(np.float32)))
    return found[0].numpy().transpose(1, 2, 0).astype(np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_byte_is_the_references(name: str):
    model = quantized(NETWORKS[name]()).model
    net = QuantizedNetwork(model)
    assert net.written().SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    for height, width in ((32, 40), (37, 33)):
        low = pixels(model, height, width)
        np.testing.assert_array_equal(trained(net, low), IntegerReference(model).run(low))


@pytest.mark.parametrize("name", ["convolutions, a skip", "slopes, a transposed convolution", "functions"])
@pytest.mark.parametrize("soft", [False, True])
def test_and_so_they_are_after_it_has_learned(name: str, soft: bool):
    given = quantized(NETWORKS[name]())
    net = QuantizedNetwork(given.model, ChosenCodes if soft else LatentCodes)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.3)
    low = torch.from_numpy(pixels(given.model, 32, 32).transpose(2, 0, 1)[None].astype(np.float32))
    net.rest_at_means(low)
    assert net.eval().written().SerializeToString() == given.model.SerializeToString()
    for _ in range(3):
        net.train()(low).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    written = net.eval().written()
    onnx.checker.check_model(written, full_check=True)
    assert written.SerializeToString() != given.model.SerializeToString()
    before = pixels(given.model, 33, 35)
    found = trained(net, before)
    np.testing.assert_array_equal(found, IntegerReference(written).run(before))
    assert (found != IntegerReference(given.model).run(before)).any()


@pytest.mark.parametrize("codebook", [False, True])
def test_weights_of_few_bits_stay_so(codebook: bool):
    given = quantized(sr_models.xlsr(), weight_bits={"*": 4}, codebook=codebook)
    among = code_sets(given.recipe)
    net = QuantizedNetwork(given.model, latent(among))
    again = QuantizedNetwork(given.model, lambda site: ChosenCodes(site, among[site.name])).eval().written()
    assert again.SerializeToString(deterministic=True) == given.model.SerializeToString(deterministic=True)
    assert net.written().SerializeToString(deterministic=True) == given.model.SerializeToString(deterministic=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).to(parameter) * 0.1)
    for layer in net.convolutions:
        weight = layer.constants().weight
        body = np.sort(np.abs(weight.astype(int)).reshape(len(weight), -1), axis=1)
        body = body[:, : body.shape[1] - among[layer.site.name].outliers]
        assert len(np.unique(weight)) <= 16 if codebook else body.max() <= 7


def test_gradients_of_roundings_and_clips():
    values = torch.tensor([-3.0, 0.4, 0.5, 1.5, 9.0], requires_grad=True)
    assert rounded(values).tolist() == [-3.0, 0.0, 0.0, 2.0, 9.0]
    rounded(values).sum().backward()
    assert values.grad.tolist() == [1.0] * 5
    values.grad = None
    clamped(values, 0.0, 2.0).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    values.grad = None
    saturated(values, 0.0, 2.0).sum().backward()  # following it makes all smaller: what is too small stays
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]
    values.grad = None
    (-saturated(values, 0.0, 2.0).sum()).backward()
    assert values.grad.tolist() == [-1.0, -1.0, -1.0, -1.0, 0.0]
    exact = replaced(values, torch.zeros(5))
    assert exact.tolist() == [0.0] * 5


@given(st.lists(st.integers(-99, 99), min_size=4, max_size=4))
def test_gradients_of_tables(table: list[int]):
    codes = torch.tensor([0.0, 1.0, 3.0], requires_grad=True)
    found = looked_up(codes.reshape(1, 1, 1, 3), torch.tensor([table], dtype=torch.float32))
    assert found.reshape(-1).tolist() == [table[0], table[1], table[3]]
    found.sum().backward()
    assert codes.grad.tolist() == [table[1] - table[0], (table[2] - table[0]) / 2, table[3] - table[2]]


def chosen(weight: list[int], among: CodeSet = ALL, *, learnt: bool = False) -> ChosenCodes:
    codes = np.array(weight, np.int8).reshape(1, -1, 1, 1)
    convolution, pixels = Convolution(codes, np.zeros(1, np.int32)), Quantization(1.0, 0)
    return ChosenCodes(Site("w", "y", convolution, np.ones(1, np.float32), pixels, pixels), among, learnt=learnt)


BOOK = CodeSet(2, codebook=True, book=(-40, -3, 2, 60))


@pytest.mark.parametrize(("among", "spacing"), [(CodeSet(4), 1.0), (BOOK, 100 / 3)])
def test_choices_are_soft_and_become_hard(among: CodeSet, spacing: float):
    codes = chosen([-3, 2, -3, 2], among)
    assert codes.spacing == pytest.approx(spacing)
    assert codes().reshape(-1).tolist() == pytest.approx([-3, 2, -3, 2], abs=1e-4)
    with torch.no_grad():
        codes.steps.copy_(torch.tensor([-2.5, 1.8, -2.9, 1.9]).reshape(1, 4, 1, 1))
    torch.testing.assert_close(codes(), codes.steps, rtol=0, atol=0.05)
    hard = codes.eval()().reshape(-1)
    distances = []
    for hardness in (0.3, 0.6, 0.9, 1.0):
        codes.train().hardness = hardness
        distances.append(float((codes().detach().reshape(-1) - hard)[1:].abs().max()))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0
    codes.hardness = 0.6
    codes().sum().backward()
    slopes = codes.steps.grad.reshape(-1)
    assert (slopes > 0).all()
    assert slopes[0] == slopes.max()
    codes.settle()
    assert codes.steps.reshape(-1).tolist() == hard.tolist()


@given(st.lists(st.floats(-140, 140, width=32), min_size=6, max_size=6), st.sampled_from([ALL, CodeSet(3), BOOK]))
def test_settled_codes_are_allowed_ones(steps: list[float], among: CodeSet):
    codes = chosen([0] * 6, among)
    with torch.no_grad():
        codes.steps.copy_(torch.tensor(steps).reshape(1, 6, 1, 1))
    codes.settle()
    found = codes.eval()()
    assert found.abs().max() <= among.limit
    torch.testing.assert_close(found, codes.steps.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_changed_weight_moves_no_mean(transposed: bool):
    """Of a picture of one colour, the one that biases rest at: what is given stays, whatever weights become."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-9, 9, (4, 2, 1, 1) if not transposed else (4, 3, 2, 2)).astype(np.int8)
    strides, outputs = ((2, 2), 6) if transposed else ((1, 1), 4)
    convolution = Convolution(weight, np.zeros(outputs, np.int32), strides, group=2, transposed=transposed)
    pixels = Quantization(1.0, 0)
    site = Site("w", "y", convolution, np.ones(outputs // 2 if transposed else outputs, np.float32), pixels, pixels)
    layer = TrainedConvolution(site, LatentCodes(site)).train()
    means = torch.tensor([3.0, 7.0, 11.0, 5.0], dtype=torch.float64)
    flat = means.float().reshape(1, 4, 1, 1).expand(1, 4, 3, 3)
    before = layer(flat)
    layer.rest_at(means)
    torch.testing.assert_close(layer(flat), before)
    with torch.no_grad():
        layer.codes.steps.add_(3)
    after = layer(flat)
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)))


def test_outliers_stay():
    codes = chosen([90, -5, 2, 1, 0, 7], CodeSet(4, outliers=1))
    with torch.no_grad():
        codes.steps.add_(torch.tensor([0.0, 0.6, -0.3, 0.0, 0.0, 3.0]).reshape(1, 6, 1, 1))
    assert codes().reshape(-1)[0] == 90
    codes().sum().backward()
    assert codes.steps.grad.reshape(-1)[0] == 0
    codes.settle()
    assert codes.steps.reshape(-1).tolist() == [90, -4, 2, 1, 0, 7]
