"""Real candidates: compiled, compared with the integer reference, timed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tune.specs import conv, task
from toolchain.kernels.spec import DepthToSpace
from toolchain.kernels.tile import WINOGRAD, Tile
from toolchain.schedules.task import Task, normal
from toolchain.support.cpu import this_cpu
from toolchain.targets import find_target
from toolchain.tune.builder import LocalBuilder
from toolchain.tune.kernel_data import make_sample
from toolchain.tune.runner import LocalRunner, Timed

SSE4 = find_target("x86-sse4")
needs_sse4 = pytest.mark.skipif(bool(SSE4.missing_on(this_cpu())), reason="this CPU has no SSE4")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBuilder]:
    made = LocalBuilder(SSE4, tmp_path_factory.mktemp("libraries"), 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[LocalRunner]:
    made = LocalRunner("sse4")
    yield made
    made.close()


KERNELS = {
    "groups": conv(8, 16, groups=2),
    "residual": conv(4, 8, residual=True, inner=(0.0, 9.0)),
    "slopes": conv(4, 8, 1, slopes=True),
    "pixels": conv(4, 12, pixels=DepthToSpace(2, 3, tuple(range(12)))),
    "dilation": dataclasses.replace(conv(4, 4), dilation=(2, 2)),
    "Winograd": dataclasses.replace(conv(8, 8, residual=True), algorithms=(WINOGRAD,)),
}


@needs_sse4
@pytest.mark.parametrize("name", KERNELS)
def test_right_kernels_are_timed_and_wrong_ones_are_not(name: str, builder: LocalBuilder, runner: LocalRunner):
    spec = normal(KERNELS[name])
    right = Task(spec, 6, 40, 2)
    # The same kernel but for one bound: what a wrong schedule might do to a few pixels.
    requantize = dataclasses.replace(spec.requantize, high=spec.requantize.high - 100)
    wrong = dataclasses.replace(right, conv=dataclasses.replace(spec, requantize=requantize))
    tile = Tile(2, 4, algorithm=WINOGRAD if spec.algorithms else "direct")
    libraries = [builder.build(one, [tile])[0].library for one in (right, wrong)]
    assert None not in libraries
    good, bad = runner.time(right, [library for library in libraries if library is not None], 4)
    assert (good.status, len(good.seconds)) == ("ok", 4)
    assert good.best > 0
    assert (bad.status, bad.seconds) == ("wrong", ())
    assert "values differ from the reference" in bad.note


@needs_sse4
def test_what_is_no_library(tmp_path: Path, runner: LocalRunner):
    (tmp_path / "x.so").write_text("not a library")
    (timed,) = runner.time(task(), [tmp_path / "x.so"], 3)
    assert timed.status == "failed"
    assert timed.note


@needs_sse4
def test_a_tile_that_cannot_be_scheduled(builder: LocalBuilder):
    (built,) = builder.build(task(), [Tile(3, 4)])
    assert (built.library, built.status) == (None, "failed")
    assert built.note


def test_figures_look_at_the_undisturbed_rounds():
    calm, noisy = Timed("ok", (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)), Timed("ok", (0.9, 3.0, 0.9, 2.5, 9.0, 1.1))
    assert calm.best == 1.0
    assert noisy.best == pytest.approx(0.9)
    assert noisy.wins(calm) == pytest.approx(2 / 6)
    assert calm.wins(noisy) == pytest.approx(4 / 6)
    assert math.isinf(Timed("wrong").best)
    assert Timed("wrong").wins(calm) == 0


@pytest.mark.parametrize("name", KERNELS)
def test_samples_spread_over_all_codes(name: str):
    """A reference whose values are all alike would let wrong kernels pass."""
    of = Task(normal(KERNELS[name]), 9, 40, 1)
    from toolchain.kernels.intrinsics import dot_product

    sample = make_sample(of.conv, of.geometry(dot_product("sse4")), 9, 40)
    values = sample.used(sample.expected())
    codes = values.view(np.uint8) if values.dtype == np.uint8 else values[1:-1, 0].copy().view(np.uint8)
    assert len(np.unique(codes)) > 100
