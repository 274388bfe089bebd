"""A whole comparison between contestants that need nothing installed, most of which go wrong."""

from __future__ import annotations

import contextlib
import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import compare
import contestants
from compare import Setting
from contestants import CONTESTANTS, Contestant
from result import Result, Standing, table
from tests.benchmarks import fakes
from timing import GoneError
from toolchain.support.cpu import Cpu


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """No ceiling, which would load TVM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "start_ceiling", lambda race, stack: {})
        yield


@pytest.fixture(scope="module")
def setting(model_file: Path, photo_folder: Path) -> Setting:
    return Setting(str(model_file), photo_folder, size=(24, 40), threads=(1,), rounds=2)


@pytest.fixture(scope="module")
def result(setting: Setting) -> Result:
    with at_once():
        return compare.compare(setting, fakes.CONTESTANTS)


def standing(result: Result, name: str) -> Standing:
    (found,) = (standing for standing in result.standings if standing.name == name)
    return found


def test_those_that_work_are_timed(result: Result) -> None:
    assert [figures.name for figures in result.figures] == ["own INT8", "rival FP32", "rival FP32, no clip"]
    for figures in result.figures:
        assert 0 < figures.fastest <= figures.median <= figures.p90
        assert figures.ratio_quartiles[0] <= figures.ratio <= figures.ratio_quartiles[1]
    assert result.figures[0].ratio == 1.0
    assert standing(result, "own INT8").psnr == float("inf")
    assert standing(result, "own INT8").version
    # A clip of what is saturated anyway changes no pixel, and each has got its own network.
    assert standing(result, "rival FP32").note == "clip True"
    assert standing(result, "rival FP32, no clip").note == "clip False"
    assert standing(result, "rival FP32, no clip").psnr == float("inf")
    assert [(cost.name, cost.threads) for cost in result.clip_costs] == [("rival FP32", 1)]


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("absent", "not installed", ""),
        ("wrong", "implausible", "dB to the float network's result"),
        ("small", "unsupported", "the result has the shape (24, 40, 3), not (48, 80, 3)"),
        ("failing", "failed", "ValueError: no kernel for Conv"),
        ("unsupported", "unsupported", "not on this CPU"),
        ("leaving", "failed", "its process ended with code 3; it had said: cannot allocate"),
        ("crashing", "failed", "its process ended with signal SIGKILL"),
    ],
)
def test_nobody_is_left_out_silently(result: Result, name: str, status: str, reason: str) -> None:
    found = standing(result, name)
    assert found.status == status
    assert reason in found.reason
    assert found.sentence() in table(result)


def test_json_holds_everything(result: Result) -> None:
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert data["size"] == [24, 40]
    assert data["reference"] == "own INT8"
    assert {row["status"] for row in data["standings"]} == {
        "timed",
        "not installed",
        "unsupported",
        "failed",
        "implausible",
    }
    own = data["standings"][0]
    assert (own["psnr"], own["equal"], own["setting"]) == (None, True, "as it is")
    assert set(data["figures"][0]) == {
        "name",
        "threads",
        "fastest",
        "median",
        "p90",
        "ratio",
        "ratio_quartiles",
        "share_of_ceiling",
    }
    assert data["gmac"] > 0


def test_nothing_to_compare_with(setting: Setting) -> None:
    with at_once(), pytest.raises(GoneError, match=r"failing: failed \(ValueError: no kernel for Conv\)"):
        compare.compare(setting, [Contestant("failing", "numpy", "", fakes.failing, clips=(True,))])


def test_every_contestant_is_registered() -> None:
    assert CONTESTANTS[0].name == "clipfree INT8"
    names = [contestant.name for contestant in CONTESTANTS]
    assert len(set(names)) == len(names)
    written = set()
    for module in pkgutil.iter_modules(contestants.__path__, "contestants."):
        members = vars(importlib.import_module(module.name)).values()
        written |= {member.name for member in members if isinstance(member, Contestant)}
    assert written == set(names)


def test_choosing_some() -> None:
    chosen = [contestant.name for contestant in CONTESTANTS if compare.wanted(contestant, ["openvino", "ncnn int8"])]
    assert chosen == ["OpenVINO INT8", "OpenVINO BF16", "OpenVINO FP32", "ncnn INT8"]


def test_size() -> None:
    assert compare.read_size("360x640") == (360, 640)
    with pytest.raises(ValueError, match="invalid literal"):
        compare.read_size("360")


def test_another_target_holds_openvino_to_its_instructions():
    cpu = Cpu("A CPU", "x86_64", frozenset({"avx2", "avx512_vnni"}), 2)
    assert compare.limits("x86-avx2") == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert compare.limits("x86-avx512vnni") == {}
    assert compare.machine(cpu, "host") == "A CPU with AVX512-VNNI"
    assert compare.machine(cpu, "x86-avx2") == ("A CPU with AVX512-VNNI; clipfree for x86-avx2, OpenVINO held to AVX2")
