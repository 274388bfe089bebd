"""Codebooks that are learnt: whole numbers, nearest entries, gradients that are the members', the reference's bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from tests import sr_models  # noqa: E402
from tests.training.test_network import chosen, pixels, quantized, trained  # noqa: E402
from toolchain.quantize import IntegerReference  # noqa: E402
from toolchain.quantize.code_set import CodeSet  # noqa: E402
from toolchain.training.codes import ChosenCodes  # noqa: E402
from toolchain.training.network import QuantizedNetwork, code_sets  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)


def codes_of(weight: list[int], book: tuple[int, ...]) -> ChosenCodes:
    return chosen(weight, CodeSet(4, True, book), learnt=True)


def test_an_entry_has_the_sum_of_its_members_gradients():
    codes = codes_of([-30, 0, 0, 30], (-30, 0, 30))
    codes.hardness = 1.0
    found = codes()
    assert found.flatten().tolist() == [-30, 0, 0, 30]
    (found.flatten() * torch.tensor([1.0, 2.0, 4.0, 8.0])).sum().backward()
    assert codes.book.grad.tolist() == [1.0, 6.0, 8.0]
    assert codes.steps.grad is None, "choices are made"


def test_entries_stand_still_while_choices_are_soft():
    codes = codes_of([0, 0], (-30, 0, 30))
    codes.hardness = 0.5
    with torch.no_grad():
        codes.steps.copy_(torch.tensor([15.0, 15.0]).reshape(1, 2, 1, 1))
    codes().sum().backward()
    assert (codes.steps.grad > 0).all()
    assert codes.book.grad is None


def test_only_books_are_learnt_and_only_when_asked():
    assert len(codes_of([0], (-30, 0, 30)).groups()) == 2
    for among in (CodeSet(4), CodeSet(4, True, (-30, 0, 30))):
        assert [name for name, _ in chosen([0], among).named_parameters()] == ["steps"]
        assert len(chosen([0], among).groups()) == 1
    assert len(chosen([0], CodeSet(4), learnt=True).groups()) == 1


def test_entries_that_meet_or_cross_stay_in_order():
    codes = codes_of([-3, 2, 60, -40], (-40, -3, 2, 60))
    with torch.no_grad():
        codes.book.copy_(torch.tensor([-40.0, 5.0, 5.0, -90.0]))
    found = codes().detach()
    assert torch.isfinite(found).all()
    codes().sum().backward()
    assert torch.isfinite(codes.steps.grad).all()
    codes.settle()
    assert codes.book.tolist() == [-64.0, -40.0, 5.0, 5.0]
    assert codes.steps.flatten().tolist() == [5.0, 5.0, 5.0, -40.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-99, 99, width=32), min_size=4, max_size=4, unique=True),
    st.lists(st.floats(-99, 99, width=32), min_size=6, max_size=6),
)
def test_codes_are_the_nearest_of_whole_entries(book: list[float], steps: list[float]):
    codes = codes_of([0] * 6, (-60, -20, 20, 60))
    with torch.no_grad():
        codes.book.copy_(torch.tensor(book))
        codes.steps.copy_(torch.tensor(steps).reshape(1, 6, 1, 1))
    found = codes.eval()().detach().flatten().numpy()
    entries = np.clip(np.rint(np.float32(book)), -64, 64)
    assert set(found) <= set(entries)
    distances = np.abs(np.float64(steps)[:, None] - entries)
    assert (np.abs(np.float64(steps) - found) <= distances.min(1) + 1e-4).all()
    codes.settle()
    np.testing.assert_array_equal(codes().detach().flatten().numpy(), found)


def test_learnt_books_give_the_references_bytes_and_keep_their_size():
    given_ = quantized(sr_models.xlsr(), weight_bits={"*": 3}, codebook=True)
    among = code_sets(given_.recipe)
    net = QuantizedNetwork(given_.model, lambda site: ChosenCodes(site, among[site.name], learnt=True))
    optimizer = torch.optim.Adam([group for layer in net.convolutions for group in layer.codes.groups()], lr=1.0)
    low = torch.from_numpy(pixels(given_.model, 32, 32).transpose(2, 0, 1)[None].astype(np.float32))
    for hardness in (0.0, 0.3, 0.6, 1.0):
        for layer in net.convolutions:
            layer.codes.hardness = hardness
        net.train()(low).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    written = net.eval().written()
    assert written.SerializeToString() != given_.model.SerializeToString()
    assert all(len(np.unique(found.weight)) <= 8 for found in net.constants().values())
    assert all(np.abs(found.weight).max() <= 64 for found in net.constants().values())
    before = pixels(given_.model, 33, 35)
    np.testing.assert_array_equal(trained(net, before), IntegerReference(written).run(before))
