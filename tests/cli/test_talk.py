"""How much commands say: quiet, as usual, verbose; a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from tests.boards import until
from toolchain.cli import main
from toolchain.cli.console import Console
from toolchain.cli.steps import Silent, show_steps

pytestmark = pytest.mark.usefixtures("without_compiler")


class Terminal(io.StringIO):
    """A stream that says it is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_quiet_says_where_the_bundle_is(quick_deploy: list[str], tmp_path: Path, capsys) -> None:
    assert main([*quick_deploy, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'o' / 'tiny.clipfree'}\n"
    assert not any(line for line in captured.err.splitlines() if not line.startswith("warning: "))


def test_verbose_says_what_happens_in_steps(quick_deploy: list[str], capsys) -> None:
    assert main([*quick_deploy, "-v"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "[4/8] quantize: measuring ranges" in lines
    assert "[7/8] verify: one pixel" in lines
    assert any(re.fullmatch(r"\[4/8\] quantize: .* \(\d+\.\d s\)", line) for line in lines)


def test_both_at_once_is_a_mistake(quick_deploy: list[str], capsys) -> None:
    assert main([*quick_deploy, "-q", "-v"]) == 2
    assert "--quiet and --verbose are two things" in capsys.readouterr().err


def test_bench_quietly_and_in_full(bundle: Path, capsys) -> None:
    words = ["bench", str(bundle), "--size", "8x8", "--repeats", "3", "--threads", "1"]
    assert main([*words, "-q"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(" threads")
    assert "GMAC a picture" not in captured.out
    assert "energy" not in captured.err
    assert main([*words, "-v"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{bundle}: INT8, 8 x 8 to 16 x 16 on ")
    assert re.search(r"^each call, in ms: \d+\.\d\d( \d+\.\d\d){2}$", captured.err, re.MULTILINE)


def test_pictures_that_are_left_out_are_named_quietly_too(bundle: Path, photo: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    words = ["run", str(bundle), str(photo), str(tmp_path / "damaged.png"), "-o", str(tmp_path / "big"), "-q"]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'big' / 'photo_x2.png'}\n"
    assert captured.err.startswith("left out: ")
    assert "photo.png: " not in captured.err


@pytest.mark.parametrize("plain", [False, True])
def test_a_summary_is_a_panel_on_a_terminal(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    Console(as_json=False).summary("a.clipfree", [("network", "x2 [RGB]"), ("", "more")])
    written = terminal.getvalue()
    assert ("\x1b[32m" in written) is not plain  # green
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written).splitlines()
    assert re.match("╭─ a.clipfree ─+╮", lines[0])
    assert re.match("│ network +x2 \\[RGB\\] +│", lines[1])
    assert {len(line) for line in lines} == {60}


def test_a_summary_is_lines_elsewhere(capsys) -> None:
    Console(as_json=False).summary("a.clipfree", [("network", "x2 RGB")])
    Console(as_json=False, quiet=True).summary("b.clipfree", [("network", "x2 RGB")])
    Console(as_json=True).summary("c.clipfree", [("network", "x2 RGB")])
    assert capsys.readouterr().out == "a.clipfree\n  x2 RGB\nb.clipfree\n"


def test_bars_are_nested_and_verbose_lines_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with show_steps(Console(as_json=False, verbose=True)) as steps:
        steps.running("[4/8] quantize", 0.1, "rounding weights", 0.5)
        until(lambda: re.search(" 50%.* rounding weights", terminal.getvalue()))  # drawn ten times a second
        steps.finished("[4/8] quantize: done (1.0 s)", 0.6)
    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "[4/8] quantize: rounding weights\n" in written
    assert "[4/8] quantize: done (1.0 s)\n" in written


def test_quiet_steps_are_silent(capsys) -> None:
    with show_steps(Console(as_json=False, quiet=True)) as steps:
        assert isinstance(steps, Silent)
        steps.running("[1/8] load", 0.0)
        steps.finished("[1/8] load", 0.1)
    assert capsys.readouterr().err == ""
