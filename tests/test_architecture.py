"""The layers hold, the picture of them is up to date, and what can be added is added in one place."""

from __future__ import annotations

import dataclasses
import importlib
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.boards import have_compiler
from tests.standin import QUICK, StandInBackend
from toolchain.backends import BACKENDS, backend_for
from toolchain.backends.open import load
from toolchain.bundle import RECIPE, open_bundle
from toolchain.kernels import intrinsics
from toolchain.quantize import estimators
from toolchain.quantize.estimators import ESTIMATORS, NAMES, find_estimator
from toolchain.targets import Target, find_target, list_targets
from toolchain.workflows.deploy import Request, deploy

ROOT = Path(__file__).resolve().parents[1]


def test_the_picture_is_drawn_from_todays_code() -> None:
    code = "import sys; sys.path.insert(0, 'docs'); import architecture; sys.stdout.write(architecture.draw())"
    drawn = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert drawn == (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8"), "run python docs/architecture.py"


@pytest.mark.parametrize("folder", ["toolchain", "tests", "benchmarks", "docs"])
def test_files_are_short(folder: str) -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert lengths
    assert not [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines >= 400]


def test_a_target_is_a_file(tmp_path: Path) -> None:
    text = (ROOT / "targets" / "cortex-a76.toml").read_text(encoding="utf-8")
    (tmp_path / "my-board.toml").write_text(text, encoding="utf-8")
    assert [target.name for target in list_targets(tmp_path)] == ["my-board"]
    assert find_target("my-board", folder=tmp_path).cpu == find_target("cortex-a76").cpu


WIDE = '''"""Eight pixels at a time, in plain arithmetic."""

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.intrinsics.instruction_set import InstructionSet


def make():
    """Eight pixels a vector."""
    return Dot("wide", 8, "int8", False, None, vectors=2, channels=4, columns=16, registers=16)


INSTRUCTION_SETS = (InstructionSet("wide", (), make),)
'''
BOARD = """
description = "my board"
triple = "{machine}-linux-gnu"
cpu = "generic"
attributes = []
instruction_set = "wide"
cores = 2
"""


@pytest.mark.skipif(not have_compiler, reason="no C compiler to link with")
def test_an_instruction_set_is_a_file_and_a_name_and_a_target_for_it_a_file(
    monkeypatch: pytest.MonkeyPatch, model_file: Path, photo_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "intrinsics"
    folder.mkdir()
    (folder / "wide.py").write_text(WIDE, encoding="utf-8")
    monkeypatch.setattr(intrinsics, "__path__", [*intrinsics.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"{intrinsics.__name__}.wide", raising=False)
    family = importlib.import_module(f"{intrinsics.__name__}.wide")
    for found in family.INSTRUCTION_SETS:
        monkeypatch.setitem(intrinsics.REGISTRY, found.name, found)
    board = tmp_path / "my-board.toml"
    board.write_text(BOARD.format(machine=platform.machine()), encoding="utf-8")
    bundle = open_bundle(deploy(Request(model_file, tmp_path, photo_folder, target=str(board), settings=QUICK)).path)
    assert (bundle.manifest.target.name, bundle.manifest.target.instruction_set) == ("my-board", "wide")
    picture, expected = bundle.golden()
    assert (load(bundle).upscale(picture) == expected).all()


def test_a_backend_is_an_entry(
    monkeypatch: pytest.MonkeyPatch, model_file: Path, photo_folder: Path, tmp_path: Path
) -> None:
    mine = StandInBackend()
    monkeypatch.setitem(BACKENDS, "mine", mine)
    monkeypatch.setattr(Target, "backend", "mine")
    assert backend_for(find_target("host")) is mine
    path = deploy(Request(model_file, tmp_path, photo_folder, settings=QUICK)).path
    bundle = open_bundle(path)
    picture, expected = bundle.golden()
    assert (load(bundle).upscale(picture) == expected).all()


DOUBLED = '''"""Twice what was seen."""

from toolchain.quantize.estimators.base import Estimator


class Doubled(Estimator):
    """Twice the range that was seen."""

    name = "doubled"

    def _range(self):
        return 2 * self.seen_low, 2 * self.seen_high
'''


def test_an_estimator_is_a_file_and_a_name(
    monkeypatch: pytest.MonkeyPatch, model_file: Path, photo_folder: Path, tmp_path: Path, without_compiler: None
) -> None:
    folder = tmp_path / "estimators"
    folder.mkdir()
    (folder / "doubled.py").write_text(DOUBLED, encoding="utf-8")
    monkeypatch.setattr(estimators, "__path__", [*estimators.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"{estimators.__name__}.doubled", raising=False)
    monkeypatch.setitem(ESTIMATORS, "doubled", find_estimator("doubled"))
    settings = dataclasses.replace(QUICK, activations="doubled")
    path = deploy(Request(model_file, tmp_path, photo_folder, settings=settings)).path
    assert "doubled" in (path / RECIPE).read_text(encoding="utf-8")


def test_every_estimator_is_a_name() -> None:
    files = {path.stem for path in Path(estimators.__file__).parent.glob("*.py")}
    assert files - {"__init__", "base", "histogram", "tails"} == {*NAMES}
