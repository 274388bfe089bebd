"""What commands print with --json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toolchain.cli import main


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON document that was printed."""
    return json.loads(capsys.readouterr().out)


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a command that goes well answers."""
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return document(capsys)
