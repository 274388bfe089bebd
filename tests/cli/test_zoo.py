"""``clipfree zoo`` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.answers import document
from toolchain.cli import main
from toolchain.zoo.embedded import list_models


def test_every_embedded_network_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["zoo", "list"]) == 0
    printed = capsys.readouterr().out
    assert "zoo:xlsr_x3" in printed
    assert all(model.name in printed for model in list_models())


def test_a_card_says_how_the_network_was_trained(capsys: pytest.CaptureFixture[str]):
    assert main(["zoo", "show", "zoo:xlsr_x3", "--json"]) == 0
    card = document(capsys)["card"]
    assert card["steps"] > 0
    assert card["photographs"]


def test_an_exported_network_is_the_embedded_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["zoo", "export", "xlsr_x3", "-o", str(tmp_path)]) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written == tmp_path / "xlsr_x3.onnx"
    assert written.read_bytes() == next(m for m in list_models() if m.name == "xlsr_x3").path.read_bytes()


def test_an_unknown_network_is_answered_by_a_near_one(capsys: pytest.CaptureFixture[str]):
    assert main(["zoo", "show", "xlsr_x5"]) == 2
    assert "did you mean zoo:xlsr_x" in capsys.readouterr().err
