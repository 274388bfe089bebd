"""Codebooks that are learnt: whole numbers, nearest entries, gradients that are the members', the reference's bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from tests import sr_models  # noqa: E402
from tests.training.test_network import pixels, quantized, trained  # noqa: E402
from toolchain.quantize import IntegerReference  # noqa: E402
from toolchain.quantize.code_set import CodeSet  # noqa: E402
from toolchain.training.clusters import ClusteredCodes, clustered, harden, refresh  # noqa: E402
from toolchain.training.codes import LatentCodes  # noqa: E402
from toolchain.training.network import QuantizedNetwork, code_sets  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)


class _Site:
    """What `ClusteredCodes` reads of a site."""

    def __init__(self, weight: list[int]) -> None:
        self.convolution = type("Convolution", (), {"weight": np.array(weight, np.int8).reshape(1, -1, 1, 1)})


def codes_of(weight: list[int], book: tuple[int, ...]) -> Any:
    return ClusteredCodes(_Site(weight), CodeSet(4, True, book))  # type: ignore[arg-type]


def test_an_entry_has_the_sum_of_its_members_gradients():
    codes = codes_of([-30, 0, 0, 30], (-30, 0, 30))
    harden(codes, 0.8)
    found = codes()
    assert found.flatten().tolist() == [-30, 0, 0, 30]
    (found.flatten() * torch.tensor([1.0, 2.0, 4.0, 8.0])).sum().backward()
    assert codes.book.grad.tolist() == [30.0, 180.0, 240.0]  # in distances of 30
    assert codes.steps.grad is None, "choices are made"


def test_choices_harden():
    codes = codes_of([0, 0, 0, 0], (-30, 0, 30))
    with torch.no_grad():
        codes.steps.copy_(torch.tensor([-0.4, 0.2, 0.4, 0.6]).reshape(1, 4, 1, 1))
    found = []
    for done in (0.0, 0.4, 0.79, 0.8):
        harden(codes, done)
        found.append(codes().detach().flatten().numpy())
    np.testing.assert_allclose(found[0], [-12, 6, 12, 18], atol=0.2)  # the weights themselves
    assert 0 < found[1][1] < 6
    assert 18 < found[1][3] < 30
    np.testing.assert_allclose(found[2], [0, 0, 0, 30], atol=0.4)
    np.testing.assert_array_equal(found[3], codes.eval()().detach().flatten().numpy())


def test_soft_choices_have_gradients_for_weights_and_entries():
    codes = codes_of([0, 0], (-30, 0, 30))
    harden(codes, 0.4)
    with torch.no_grad():
        codes.steps.copy_(torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1))
    codes().sum().backward()
    assert (codes.steps.grad > 0).all()
    assert (codes.book.grad != 0).tolist() == [False, True, True]


def test_a_refresh_makes_entries_the_means_of_their_members():
    codes = codes_of([-30, 0, 0, 30], (-30, 0, 30, 60))
    with torch.no_grad():
        codes.steps.add_(torch.tensor([-4.0, 3.0, 6.0, 9.0]).reshape(1, 4, 1, 1) / 30)
    codes.refresh()
    assert codes.eval()().flatten().tolist() == [-34.0, 4.0, 4.0, 39.0]  # 4.5 is rounded to even
    assert torch.round(codes.book * 30).tolist() == [-34.0, 4.0, 39.0, 60.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4, unique=True),
    st.lists(st.floats(-99, 99, width=32), min_size=6, max_size=6),
)
def test_codes_are_the_nearest_of_whole_entries(book: list[float], steps: list[float]):
    codes = codes_of([0] * 6, (-60, -20, 20, 60))
    with torch.no_grad():
        codes.book.copy_(torch.tensor(book))
        codes.steps.copy_(torch.tensor(steps).reshape(1, 6, 1, 1))
    found = codes.eval()().detach().flatten().numpy()
    entries = np.clip(np.rint(np.float32(book) * np.float32(40)), -64, 64)
    assert set(found) <= set(entries)
    latent = np.float32(steps) * np.float32(40)
    distances = np.abs(latent[:, None].astype(np.float64) - entries)
    assert (np.abs(latent - found.astype(np.float64)) <= distances.min(1) + 1e-4).all()


def test_learnt_books_give_the_references_bytes_and_keep_their_size():
    given_ = quantized(sr_models.xlsr(), weight_bits={"*": 3}, codebook=True)
    net = QuantizedNetwork(given_.model, clustered(code_sets(given_.recipe)))
    assert net.eval().written().SerializeToString(deterministic=True) == given_.model.SerializeToString(
        deterministic=True
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    low = torch.from_numpy(pixels(given_.model, 32, 32).transpose(2, 0, 1)[None].astype(np.float32))
    for step in range(4):
        harden(net, step / 4)
        net.train()(low).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        if step == 1:
            refresh(net)
    written = net.eval().written()
    assert written.SerializeToString() != given_.model.SerializeToString()
    assert all(len(np.unique(found.weight)) <= 8 for found in net.constants().values())
    assert all(np.abs(found.weight).max() <= 64 for found in net.constants().values())
    before = pixels(given_.model, 33, 35)
    np.testing.assert_array_equal(trained(net, before), IntegerReference(written).run(before))


def test_layers_without_a_book_learn_their_nearest_codes():
    given_ = quantized(sr_models.xlsr(), weight_bits={"*": 8})
    net = QuantizedNetwork(given_.model, clustered(code_sets(given_.recipe)))
    assert all(isinstance(layer.codes, LatentCodes) for layer in net.convolutions)
