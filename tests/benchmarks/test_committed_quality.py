"""The committed quality table, measured again on a small network."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

import quality
from quality_table import markdown
from result_cache import ROOT
from table import ROWS
from tests.quantize.helpers import shared

RESULT = ROOT / "benchmarks" / "results" / "quality.json"
NETWORK, SET = "ecbsr_m4c16_x3", "Set5"


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
    return document


def test_the_table_is_that_of_the_figures(committed: dict[str, Any]) -> None:
    assert RESULT.with_suffix(".md").read_text(encoding="utf-8") == markdown(committed)


@pytest.mark.slow
def test_the_figures_are_found_again(committed: dict[str, Any], tmp_path: Path) -> None:
    calib, pictures = shared("images/calib"), shared(f"images/{SET}")
    # The rows that no other tool's kernels take part in.
    rows = [row.name for row in ROWS if row.portable and any(row.name == known["name"] for known in committed["rows"])]
    options = argparse.Namespace(
        models=[f"zoo:{NETWORK}"], calib=calib, hr=[pictures], range=None, rows=rows, cache=tmp_path, time=False
    )
    found = quality.run(options, lambda text: None)
    (expected,) = (network for network in committed["networks"] if network["name"] == NETWORK)
    (network,) = found["networks"]
    assert network["sha256"] == expected["sha256"]
    for name in rows:
        for figure, value in network["cells"][name][SET].items():
            # Pictures that are nearly equal differ in a few pixels, which another processor's floats may decide.
            tolerance = 0.01 if not figure.startswith("fp32") else 0.1 if (value or 0) < 60 else 3
            assert value == pytest.approx(expected["cells"][name][SET][figure], abs=tolerance), (name, figure)
