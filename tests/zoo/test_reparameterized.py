"""Blocks that are one convolution when deployed: exact, bounded where they are to be, plain in the exported file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

torch = pytest.importorskip("torch", reason="the trainer needs the extra `train`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as arrays  # noqa: E402

from toolchain.frontend import load_model, normalize  # noqa: E402
from toolchain.zoo import export, photos, statistics  # noqa: E402
from toolchain.zoo import train as trainer  # noqa: E402
from toolchain.zoo.nets import NETWORKS  # noqa: E402
from toolchain.zoo.nets.norms import OutlierAwareNorm, gain_and_shift  # noqa: E402
from toolchain.zoo.nets.outliers import merged_kernels, outlier_penalty  # noqa: E402
from toolchain.zoo.nets.reparameterized import Block, Norms, Reparameterized, strengthen  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)


def used(net: Any, *, done: float = 1.0) -> Any:
    """The network after a few batches, its parameters moved away from what they start as."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.rand_like(parameter) - 0.3)
        strengthen(net, done)
        net.train()
        for _ in range(3):
            net(torch.rand(2, net.channels, 12, 12))
    return net.eval()


def blocks(net: Any) -> list[Any]:
    return [module for module in net.modules() if isinstance(module, Block)]


@pytest.mark.parametrize("norms", list(Norms))
@pytest.mark.parametrize("spatial", [1, 3])
def test_the_merged_convolution_is_the_block(norms: Norms, spatial: int):
    net = used(Reparameterized(3, norms=norms, spatial=spatial, features=8, blocks=2))
    x = torch.rand(1, 8, 7, 9)
    for block in blocks(net):
        weight, bias = block.merged()
        with torch.no_grad():
            merged = torch.nn.functional.conv2d(x, weight, bias, padding=1)
            np.testing.assert_allclose(merged.numpy(), block(x).numpy(), atol=2e-5)


@pytest.mark.parametrize("norms", list(Norms))
def test_the_exported_file_has_plain_normalizations_and_collapses(norms: Norms, tmp_path: Path):
    net = used(Reparameterized(3, norms=norms, features=8, blocks=2))
    path = export.write_onnx(net, tmp_path / "net.onnx")
    expanded = onnx.load(path)
    before = Counter(node.op_type for node in expanded.graph.node)
    assert before["BatchNormalization"] == (4 if norms is Norms.SUM else 6)
    assert before["Conv"] == 6
    assert before.keys() <= {"Conv", "BatchNormalization", "Add", "Relu", "DepthToSpace", "Identity"}
    picture = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        wanted = net(picture).numpy()
    (out,) = ReferenceEvaluator(expanded).run(None, {"input": picture.numpy()})
    np.testing.assert_allclose(out, wanted, atol=2e-5)
    network = normalize(load_model(path), value_range="0..1")
    after = Counter(node.op_type for node in network.model.graph.node)
    assert after == {"Conv": 4, "Relu": 3, "Add": 1, "DepthToSpace": 1}
    name = network.model.graph.input[0].name
    (out,) = ReferenceEvaluator(network.model).run(None, {name: picture.numpy()})
    np.testing.assert_allclose(out, wanted, atol=2e-5)


@settings(max_examples=50, deadline=None)
@given(
    gammas=arrays.arrays(np.float32, 4, elements=st.floats(-1e4, 1e4, width=32)),
    variances=arrays.arrays(np.float32, 4, elements=st.floats(2.0**-20, 1e4, width=32)),
    bound=st.floats(2.0**-6, 64.0),
)
def test_the_gain_is_bounded_and_what_it_was_below(gammas: np.ndarray, variances: np.ndarray, bound: float):
    norm = OutlierAwareNorm(4)
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(gammas))
        norm.running_var.copy_(torch.from_numpy(variances))
        norm.floor.fill_(bound**-2)
        bounded = gain_and_shift(norm)[0].numpy().astype(np.float64)
        same = gain_and_shift(norm.as_plain())[0].numpy()
    free = gammas / np.sqrt(variances.astype(np.float64) + norm.eps)
    assert (np.abs(bounded) <= bound * (1 + 1e-5)).all()
    np.testing.assert_allclose(bounded, free / np.sqrt(1 + (free / bound) ** 2), rtol=1e-4)
    np.testing.assert_allclose(same, bounded, rtol=1e-5)


def test_the_gain_keeps_its_gradient_at_the_bound():
    norm = OutlierAwareNorm(2).train()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([50.0, 0.1]))
        norm.floor.fill_(1.0)
    x = torch.rand(2, 2, 6, 6)
    (norm(x) * x).sum().backward()
    assert (norm.weight.grad > 0).all()


def test_training_and_evaluation_follow_one_formula():
    """A batch whose statistics the running ones are gives the same in both."""
    norm, x = OutlierAwareNorm(3), torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3.0, 1.0, 0.2]))
        norm.floor.fill_(0.25)
        norm.momentum = None
        trained = norm.train()(x)
        size = x.numel() / 3
        norm.running_var.mul_((size - 1) / size)  # what is kept is the unbiased one
        np.testing.assert_allclose(norm.eval()(x).numpy(), trained.numpy(), atol=1e-5)


def test_no_single_branch_puts_an_outlier_into_the_kernel():
    net = Reparameterized(3, norms=Norms.BOUNDED, features=8, blocks=2)
    with torch.no_grad():
        for block in blocks(net):
            for branch in block.points:
                branch.norm.weight.fill_(1e3)
    for block in blocks(used(net)):
        for branch in block.points:
            largest = branch.merged()[0].abs().amax((1, 2, 3))
            assert (largest <= block.bound * block.typical * 1.001).all()
            assert (largest > block.bound * block.typical * 0.9).any(), "a gamma of 1000 is at its bound"


def test_the_bound_grows_with_the_training():
    net = Reparameterized(3, norms=Norms.BOUNDED, features=8, blocks=1)
    floors = [float(blocks(used(net, done=done))[0].points[1].norm.floor.max()) for done in (0.05, 0.3, 0.7)]
    assert floors[0] == 0.0
    assert 0.0 < floors[1] < floors[2]


def test_the_penalty_is_of_the_merged_kernels():
    torch.manual_seed(0)
    net = NETWORKS["ecbsr_m4c16_x2"]()
    kernels = list(merged_kernels(net))
    assert [tuple(kernel.shape) for kernel in kernels] == [(16, 1, 3, 3), *[(16, 16, 3, 3)] * 4, (4, 16, 3, 3)]
    penalty = outlier_penalty(net)
    penalty.backward()
    assert float(penalty.detach()) > 0.1, "the identity stands out"
    assert net.body[2].plain.weight.grad.abs().sum() > 0


@given(st.integers(0, 2**32 - 1), st.floats(2.0**-10, 2.0**10))
@settings(max_examples=20, deadline=None)
def test_the_penalty_does_not_see_scale_and_lets_normal_weights_be(seed: int, scale: float):
    torch.manual_seed(seed)
    conv = torch.nn.Conv2d(32, 4, 3)
    with torch.no_grad():
        conv.weight.normal_().clamp_(-3, 3).mul_(scale)
        assert float(outlier_penalty(conv)) == 0.0
        conv.weight[:, 0, 1, 1] = 20 * scale
        one = float(outlier_penalty(conv))
        conv.weight.mul_(3)
        assert float(outlier_penalty(conv)) == pytest.approx(one, rel=1e-3)
    assert one > 0.1


def test_the_penalty_lowers_outliers(photo_folder: Path, tmp_path: Path):
    ends = []
    for weight in (0.0, 1.0):
        plan = trainer.TrainingPlan("sesr_m5_x2", steps=40, batch=2, patch=8, sizes=(1.0,), outlier_penalty=weight)
        ends.append(float(outlier_penalty(trainer.train(plan, photo_folder, tmp_path / str(weight)).network).detach()))
    assert ends[1] < 0.9 * ends[0]


def test_statistics_are_those_of_the_averaged_weights(photo_folder: Path, tmp_path: Path):
    plan = trainer.TrainingPlan("repvgg_oabn_x3", steps=6, batch=2, patch=8, sizes=(1.0,))
    net = trainer.train(plan, photo_folder, tmp_path).network
    norm = next(module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d))
    assert int(norm.num_batches_tracked) == 64
    assert norm.momentum == 0.1
    pairs = photos.load_pairs(photo_folder, 3)
    source = photos.batches(pairs, 3, patch=8, batch=2, rng=np.random.default_rng(0))
    seen = []
    hook = norm.register_forward_hook(lambda _module, inputs, _out: seen.append(inputs[0].detach()))
    statistics.recalibrate(net, source, 5)
    hook.remove()
    variances = torch.stack([x.var((0, 2, 3)) for x in seen])
    np.testing.assert_allclose(norm.running_var.numpy(), variances.mean(0).numpy(), rtol=1e-3, atol=1e-7)
