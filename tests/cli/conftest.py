"""What tests of the command line share: a bundle, a picture, and the document that --json prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

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


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON document on stdout."""
    return json.loads(capsys.readouterr().out)
