"""Requests every web address that pages, comments and docstrings name, and says which lead nowhere.

    python docs/addresses.py          # needs a network; a second for each address

Exit code 1 where one leads nowhere. What only names a format, and is never requested by anybody, is left out.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "docs": ("md", "py"),
    "benchmarks": ("md", "py"),
    "clipfree": ("py",),
    "toolchain": ("py", "html"),
    "examples": ("c", "cc", "ipynb"),
    "targets": ("toml",),
}
PLACES = ("*.md", "*.toml", "*.yml", *(f"{name}/**/*.{kind}" for name, kinds in FOLDERS.items() for kind in kinds))
NAMES = ("http://www.w3.org/", "http://ns.adobe.com/", "https://json-schema.org/draft/", "https://git-lfs")
"""How addresses begin that are names of formats, in files."""

_ADDRESS = re.compile(r"https?://[^\s\"'`<>()\[\]{}\\|]+")
_AGENT = "clipfree-docs (checks the links of its documentation)"
_TIMEOUT = 20.0  # seconds
_REST = 1.0  # seconds between requests


def addresses(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files that each address stands in, in the order of the addresses."""
    found: dict[str, list[Path]] = {}
    for file in files:
        for address in sorted(set(_named(file.read_text(encoding="utf-8")))):
            found.setdefault(address, []).append(file)
    return dict(sorted(found.items()))


def documents() -> list[Path]:
    """Return the files that may name addresses."""
    return sorted({path for place in PLACES for path in ROOT.glob(place)} - {Path(__file__).resolve()})


def _named(text: str) -> Iterator[str]:
    for found in _ADDRESS.findall(text):
        address = found.rstrip(".,;:!?*")
        if not address.startswith(NAMES):
            yield address


def request(address: str, *, timeout: float = _TIMEOUT) -> str:
    """Return what is wrong with an address, empty where a page answers; ``timeout`` is in seconds.

    The page itself is asked for where a server does not take the request for its head alone.
    """
    wrong = ""
    for method in ("HEAD", "GET"):
        asked = urllib.request.Request(address, method=method, headers={"User-Agent": _AGENT})
        try:
            with urllib.request.urlopen(asked, timeout=timeout):
                return ""
        except urllib.error.HTTPError as error:
            wrong = f"{error.code} {error.reason}"
            error.close()
        except (OSError, ValueError) as error:
            return str(getattr(error, "reason", error))
    return wrong


def main(found: Mapping[str, list[Path]] | None = None, *, rest: float = _REST) -> int:
    """Request all, one after the other, and print what came of each."""
    lost = 0
    for address, files in (addresses(documents()) if found is None else found).items():
        wrong = request(address)
        lost += bool(wrong)
        named = ", ".join(file.relative_to(ROOT).as_posix() if ROOT in file.parents else file.name for file in files)
        print(f"{'lost ' if wrong else 'there'} {address} ({named}){f': {wrong}' if wrong else ''}", flush=True)
        time.sleep(rest)
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
