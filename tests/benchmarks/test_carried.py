"""The matrix of families and targets: its hardest network, and what was committed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import carried
from tests.arm import missing
from tests.opencl.devices import device
from toolchain.targets import find_target

COMMITTED = Path(carried.__file__).with_name("results") / "carried.json"


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("target", ["x86-avx2", "cortex-a76", "opencl-cpu"])
def test_attention_in_a_smaller_picture(target: str, photo_folder: Path, tmp_path: Path):
    given = find_target(target)
    if given.gpu is not None:
        device()
    elif not given.triple.startswith("x86_64") and (lacking := missing(given)):
        pytest.skip(lacking)
    row = carried.carried("esa:4x1x2", target, photo_folder, tmp_path)
    assert carried.right(row), row
    assert row["tiles"].startswith("none, for an output pixel depends on the whole picture")


def test_what_was_committed_is_right():
    rows = json.loads(COMMITTED.read_text(encoding="utf-8"))
    wrong = [carried.said(row) for row in rows if not carried.right(row)]
    assert not wrong
    found = {(row["network"], row["target"]) for row in rows}
    assert found >= {(name, target) for name in carried.NETWORKS for target in ("host", "cortex-a76", "opencl-cpu")}


def test_a_row_that_is_wrong_says_so():
    row = {"network": "n", "target": "t", "inspect": "all", "deploy": "done", "as_inspect_says": True}
    assert carried.right({**row, "equal": True, "tiles": "equal"})
    for wrong in ({"equal": False}, {"tiles": "differ"}, {"as_inspect_says": False}):
        found = {**row, "equal": True, "tiles": "equal", **wrong}
        assert carried.said(found).startswith("WRONG")
    assert carried.said(row).startswith("WRONG")
