"""What ``--help`` shows: commands by their purpose, and examples that can be typed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

import pytest
import typer

from toolchain import __version__
from toolchain.cli import main
from toolchain.cli.app import app
from toolchain.cli.examples import EXAMPLES

ROOT = typer.main.get_command(app)


def commands(group: object = ROOT, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_help_of_every_command_shows_its_examples(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    for example in EXAMPLES[" ".join(words)]:
        assert example in shown


def test_examples_are_of_commands_there_are() -> None:
    assert set(EXAMPLES) == {" ".join(words) for words in commands()}


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, shown in EXAMPLES.items() for example in shown], ids=str
)
def test_examples_can_be_typed(name: str, example: str) -> None:
    typed = shlex.split(re.search(r"clipfree ([^#>|)]*)", example)[1])
    assert typed[: len(name.split())] == name.split()
    command = ROOT
    for word in name.split():
        command = command.commands[word]
    command.make_context(name, typed[len(name.split()) :])  # raises where options or arguments are not understood


def test_commands_stand_under_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(title) for title in ("Deploy and run", "Quality", "Speed", "Devices", "This installation")]
    assert places == sorted(places)
    assert "─ Commands" not in shown


def test_the_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version", "--json"], ["--json", "--version"]):
        assert main(words) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["command"], document["clipfree"]) == ("version", __version__)
        assert document["tvm"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"clipfree {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--json"],
        ["deploy", "--json"],
        ["deploy", "model.onnx", "--nonsense", "--json"],
        ["bench", "a.clipfree", "--repeats", "many", "--json"],
        ["targets", "--json"],
        ["nonsense", "--json"],
    ],
    ids=" ".join,
)
def test_words_that_are_not_understood_are_answered_by_a_document(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["exit_code"] == 2
    assert error["message"]
    assert "--help" in error["hint"]
    assert captured.err.startswith("clipfree: ")
