"""The quality table of a small network: every cell, what is kept on disk, and what becomes of those that fail."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

import quality
from quality_table import below, markdown
from runtimes import QEMU
from subject import Subject
from table import OURS, ROWS, Row
from tests.benchmarks import fakes
from toolchain.support.errors import InputError
from variants import Settled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(model_file: Path, photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> argparse.Namespace:
    return argparse.Namespace(
        models=[str(model_file)],
        calib=photo_folder,
        hr=[photo_folder],
        range=None,
        rows=None,
        cache=tmp_path_factory.mktemp("cache"),
        time=False,
    )


@pytest.fixture(scope="module")
def document(options: argparse.Namespace) -> dict[str, Any]:
    return quality.run(options, lambda text: None)


def again(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Another run, and what it said at its end."""
    said: list[str] = []
    return quality.run(options, said.append), said[-1]


def test_every_way_is_measured(document: dict[str, Any], model_file: Path) -> None:
    (network,) = document["networks"]
    cells = {row: found["photos0"] for row, found in network["cells"].items()}
    assert list(cells) == [row.name for row in ROWS]
    assert cells["fp32_clip"]["fp32_rgb"] is None  # equal
    assert cells["fp32"]["psnr_y"] < cells["fp32_clip"]["psnr_y"]  # what overshoots is farther off
    # The same codes, once requantized to pixels and once taken for them.
    assert cells["int8_clip"]["fp32_rgb"] > cells["int8_naive"]["fp32_rgb"] + 5
    assert cells["int8_ours"]["fp32_rgb"] > cells["int8_cfqp"]["fp32_rgb"] > cells["int8_naive"]["fp32_rgb"]
    assert cells["ort_clip"]["fp32_rgb"] > 30
    if QEMU is None:
        assert "apt install qemu-user-static" in cells["ort_avx2"]["failed"]
    else:
        assert cells["ort_avx2"]["fp32_rgb"] < cells["ort_cfqp"]["fp32_rgb"]  # its products saturate
    assert network["outputs"]["proved"]
    assert network["values_written_per_pixel"]["clip"] == 3 * 2**2
    assert network["values_written_per_pixel"]["network"] > 3 * 2**2


def test_a_second_run_computes_nothing(options: argparse.Namespace, document: dict[str, Any]) -> None:
    same, said = again(options)
    assert same == document
    assert said.startswith("0 results computed")


def test_only_what_is_missing_is_computed(options: argparse.Namespace, document: dict[str, Any]) -> None:
    (lost,) = (path for path in options.cache.iterdir() if json_of(path) == document["networks"][0]["outputs"])
    lost.unlink()
    same, said = again(options)
    assert same == document
    assert said.startswith("1 results computed")


def json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def test_a_killed_run_goes_on(
    options: argparse.Namespace, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(row: Row, *_: Any) -> dict[str, Any]:
        if row.name == "int8_cfqp":
            raise KeyboardInterrupt
        return measured(row, *_)

    measured = quality.measured
    monkeypatch.setattr(quality, "measured", killed)
    fresh = argparse.Namespace(**{**vars(options), "cache": tmp_path})
    with pytest.raises(KeyboardInterrupt):
        quality.run(fresh, lambda text: None)
    done = len(list(tmp_path.iterdir()))
    monkeypatch.setattr(quality, "measured", measured)
    same, said = again(fresh)
    assert same == document
    assert said.startswith(f"{len(list(tmp_path.iterdir())) - done} results computed")


def test_other_settings_are_another_network(
    options: argparse.Namespace, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No budget for more bits makes the same network again, which is not measured again; another seed does not.
    for settings, computed in (({"budget": 0.0}, 1), ({"seed": 1}, 2)):
        changed = replace(OURS, settings={**OURS.settings, **settings})
        monkeypatch.setattr(quality, "ROWS", [replace(row, network=changed) for row in ROWS if row.name == "int8_ours"])
        assert again(options)[1].startswith(f"{computed} results computed")


def test_a_tool_that_fails_leaves_the_others(
    options: argparse.Namespace, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(subject: Subject, settings: Settled) -> onnx.ModelProto:
        raise RuntimeError("no kernel\nand a long story")

    broken = [row if row.portable else replace(row, network=replace(row.network, make=fails)) for row in ROWS]
    monkeypatch.setattr(quality, "ROWS", broken)
    found, _ = again(options)
    cells = found["networks"][0]["cells"]
    assert cells["ort_clip"] == {"failed": "RuntimeError: no kernel"}
    assert cells["int8_ours"] == document["networks"][0]["cells"]["int8_ours"]
    assert "RuntimeError: no kernel" in markdown(found)


def test_the_table_says_where_cfqp_is_below_the_clip(document: dict[str, Any]) -> None:
    text = markdown(document)
    for row in ROWS:
        assert f"**{row.title}**: {row.meaning}." in text
    figure = document["networks"][0]["cells"]["int8_ours"]["photos0"]["psnr_y"]
    assert f"| {figure:.2f} |" in text
    assert not list(below(document, "int8_ours", "int8_naive"))
    ((name, group, lost),) = below(document, "int8_naive", "int8_ours")
    assert (name, group) == (document["networks"][0]["name"], "photos0")
    assert math.isclose(lost, figure - document["networks"][0]["cells"]["int8_naive"]["photos0"]["psnr_y"])


def test_times_are_taken_where_asked_for(
    options: argparse.Namespace, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, rival = (one for one in fakes.CONTESTANTS if one.name in ("own INT8", "rival FP32"))
    field = [replace(own, name="clipfree INT8"), replace(rival, name="onnxruntime FP32"), rival]
    monkeypatch.setattr("contestants.CONTESTANTS", field)
    monkeypatch.setattr("compare.start_ceiling", lambda race, stack: {})
    monkeypatch.setattr(quality, "SIZE", (24, 40))
    monkeypatch.setattr(quality, "ROUNDS", 2)
    timed = argparse.Namespace(**{**vars(options), "rows": ["fp32_clip"], "time": True})
    found, said = again(timed)
    assert said.startswith("1 results computed")
    times = found["networks"][0]["time"]["milliseconds"]
    assert sorted(times) == ["clipfree INT8", "onnxruntime FP32", "onnxruntime FP32, no clip"]
    assert f"| {times['clipfree INT8']:.1f} |" in markdown(found)
    assert "Milliseconds" not in markdown(document)


def test_unknown_rows_are_named(options: argparse.Namespace) -> None:
    with pytest.raises(InputError, match=r"no row 'fp16'; there are fp32_clip"):
        quality.run(argparse.Namespace(**{**vars(options), "rows": ["fp16"]}), lambda text: None)
