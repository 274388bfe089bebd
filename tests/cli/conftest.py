"""What tests of the command line share: a bundle and a picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import photograph


@pytest.fixture
def bundle(stand_in_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stand_in_bundle, tmp_path / "tiny.clipfree"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(photograph(37, 53, 9)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"
