"""A bundle that enlarges films without a compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def bundle(stand_in_bundle: Path, tmp_path: Path, without_compiler: None) -> Path:
    return Path(shutil.copytree(stand_in_bundle, tmp_path / "tiny.clipfree"))
