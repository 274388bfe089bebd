"""Documents that say what the code is: links lead somewhere, decisions are listed, words of our own are in use."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from toolchain.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "docs" / "decisions"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
FOLDERS = ("toolchain", "tests", "benchmarks", "docs")


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """Those that a forge gives to the page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_headings(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", text):
        there = page.parent / target if target else page
        assert anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


def test_decisions_are_numbered_dated_and_listed() -> None:
    listed = (RECORDS / "README.md").read_text(encoding="utf-8")
    records = sorted(path for path in RECORDS.glob("*.md") if path.name != "README.md")
    assert len({path.name[:4] for path in records}) == len(records)
    for path in records:
        number = int(path.name[:4])
        title, status = path.read_text(encoding="utf-8").split("\n\n")[:2]
        assert path.name.startswith(f"{number:04}-")
        assert title.startswith(f"# {number}. ")
        date = re.match(r"(\d{4}-\d\d-\d\d)\. (Accepted|Replaced)", status)
        assert date, f"{path.name}: its second paragraph says when it was taken and whether it holds"
        assert f"| [{number}]({path.name}) | {date[1]} | {title.split('. ', 1)[1]} |" in listed


def test_every_word_of_the_glossary_is_used_where_it_says() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*(\w+)\*\*.* \| \[\S+\]\(\.\./([^)]+)\)[^|]*\|$", text, flags=re.MULTILINE)
    assert len(rows) == text.count("| **")
    for word, path in rows:
        files = [ROOT / path] if path.endswith(".py") else sorted((ROOT / path).glob("*.py"))
        found = "\n".join(file.read_text(encoding="utf-8") for file in files)
        assert re.search(rf"(\b|_){word}", found, flags=re.IGNORECASE), f"{path} does not speak of '{word}'"


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_that_are_named_exist(page: Path) -> None:
    there = {path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    for name in re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)+\.py)`", page.read_text(encoding="utf-8")):
        assert any(path == name or path.endswith(f"/{name}") for path in there), f"{page.name} names {name}"


def shown_commands(page: Path, program: str = "clipfree") -> Iterator[list[str]]:
    """The words of each command of a program in the page's blocks of code, without pipes and redirections."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for block in (text for language, text in blocks if language in ("", "sh", "bash")):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("|"):
                if part.strip().startswith(f"{program} "):
                    yield shlex.split(re.sub(r"[<>] *\S+", "", part), comments=True)[1:]


def named_commands(page: Path) -> Iterator[list[str]]:
    """The words of each command ``clipfree`` that the page's sentences show whole: what changed names options alone."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    if page.name != "CHANGELOG.md":
        for command in re.findall(r"`clipfree ([^`]+)`", text):
            yield shlex.split(command.replace("COMMAND", "deploy"))


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_are_shown_exist_with_their_options(page: Path) -> None:
    for words in [*shown_commands(page), *named_commands(page)]:
        shown = CliRunner().invoke(app, [*words, "--help"])  # which is looked at when all names of options are known
        assert shown.exit_code == 0, f"{page.name}: clipfree {shlex.join(words)}: {shown.output}"


def test_the_front_page_shows_commands() -> None:
    assert len(list(shown_commands(ROOT / "README.md"))) == 3
