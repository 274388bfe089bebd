"""Documents that say what the code is: records of decisions are numbered, dated and listed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "docs" / "decisions"


def test_decisions_are_numbered_dated_and_listed() -> None:
    listed = (RECORDS / "README.md").read_text(encoding="utf-8")
    records = sorted(path for path in RECORDS.glob("*.md") if path.name != "README.md")
    for number, path in enumerate(records, start=1):
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
