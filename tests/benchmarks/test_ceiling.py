"""What a core can do at most: each instruction set's products are summed up, and a CPU without them is told so."""

from __future__ import annotations

import dataclasses

import pytest

import ceiling
import dots
from contestants.base import UnsupportedError
from tests.instruction_sets import AVX2, SSE4, TARGETS, param
from toolchain.support.cpu import this_cpu
from toolchain.targets import Target


@pytest.mark.parametrize("target", [param(AVX2), param(SSE4)])
def test_every_way_runs(target: Target) -> None:
    found = ceiling.measured(target)
    assert list(found) == ["direct", "byte pairs", "Winograd"]
    assert all(speed > 0 for speed in found.values())


def test_winograd_counts_for_four_products() -> None:
    direct, *_, winograd = dots.ways("avx2")
    assert winograd.macs == 4 * direct.macs
    direct, winograd = dots.ways("avx512vnni")
    assert (direct.macs, winograd.macs) == (64, 128)


def test_a_cpu_without_any_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bare = dataclasses.replace(this_cpu(), features=frozenset())
    monkeypatch.setattr(ceiling, "this_cpu", lambda: bare)
    with pytest.raises(UnsupportedError, match="nothing is known"):
        ceiling.dot_products()
    with pytest.raises(UnsupportedError, match="nothing is known"):
        ceiling.dot_products(TARGETS[0].instruction_set)
    assert ceiling.main(["nowhere.clipfree"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [f"{name}: this CPU has it not" for name in ceiling.SETS]
    assert said[4].startswith("nowhere.clipfree: ")
