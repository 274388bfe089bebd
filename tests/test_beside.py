"""A bundle beside onnxruntime: what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toolchain.bundle import Bundle
from toolchain.runtime.measure import TimingPlan, in_turn
from toolchain.workflows.beside import Beside, beside_onnxruntime

SEEN = Beside(360, 640, 2, 0.01, 0.1, 10.0, bytes=3000, different=0, psnr=float("inf"))


def test_what_is_said() -> None:
    assert SEEN.time == (
        "640 x 360 on 2 threads, in turn: clipfree 10.0 ms, onnxruntime INT8 100.0 ms, 10.0 times as long"
    )
    assert SEEN.picture == "the picture is that of onnxruntime's INT8, byte for byte"
    other = replace(SEEN, threads=1, different=2, psnr=79.5)
    assert "on 1 thread, " in other.time
    assert other.picture.endswith("but for 2 of 3000 bytes, 79.5 dB between them")


def test_calls_are_made_in_turn() -> None:
    made: list[str] = []
    first, second = in_turn((lambda: made.append("a"), lambda: made.append("b")), TimingPlan(warm_up=1, repeats=4))
    assert "".join(made) == "ab" * 5
    assert len(first) == len(second) == 4


def test_the_same_network_gives_nearly_the_same_bytes(real_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolchain.workflows.beside._PLAN", TimingPlan(warm_up=0, repeats=3))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    found = beside_onnxruntime(real_bundle, pixels, threads=1)
    assert (found.height, found.width, found.threads, found.bytes) == (40, 50, 1, 80 * 100 * 3)
    assert found.different < 1e-3 * found.bytes
    assert found.psnr > 70
