"""The pages as a site: `make docs` builds it without a warning, and a reader finds every page in a menu."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import clipfree
from tests.browser import browser, needs_browser
from toolchain.cli.app import app
from toolchain.cli.examples import EXAMPLES
from toolchain.targets import list_targets

ROOT = Path(__file__).resolve().parents[1]

pytest.importorskip("mkdocstrings_handlers", reason="the site needs the extra docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, whose build fails with a link or an anchor that leads nowhere and with a page that no menu has."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", out],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_page_is_in_a_menu(site: Path) -> None:
    menu = text(site / "index.html")
    nav = set(re.findall(r'<a href="([^"#:]+)" class="md-nav__link', menu))
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    shown = {page for page in pages if not page.startswith("source/") and page not in ("404.html", "index.html")}
    assert shown <= nav


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in ("index.html", "tutorial.html", "reference/python.html"):
        assert not re.findall(r'(?:<script[^>]*src|<link[^>]*stylesheet[^>]*href)="https?:', text(site / page))


def test_commands_names_and_targets_are_those_of_the_code(site: Path) -> None:
    commands = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    for name in commands:
        assert f"clipfree {name}" in text(site / "reference" / "commands" / f"{name}.html")
    deploy = re.sub(r"<[^>]+>", "", text(site / "reference" / "commands" / "deploy.html"))
    assert all(html.escape(example, quote=False) in deploy for example in EXAMPLES["deploy"])
    names = text(site / "reference" / "python.html")
    assert all(f'id="clipfree.{name}"' in names for name in clipfree.__all__ if not name.startswith("_"))
    targets = text(site / "reference" / "targets.html")
    assert all(f"<code>{target.name}</code>" in targets for target in list_targets())


def test_what_lies_outside_the_folder_is_shown(site: Path) -> None:
    assert 'href="source/toolchain/kernels/bands.py.html"' in text(site / "streaming.html")
    assert "line buffers" in text(site / "source" / "toolchain" / "kernels" / "bands.py.html")


@needs_browser
def test_pages_fit_a_desk_and_a_phone(site: Path) -> None:
    pages = (
        "index",
        "tutorial",
        "boards",
        "reference/targets",
        "reference/commands/deploy",
        "project/benchmarks/index",
    )
    with browser() as shown:
        for width in (1280, 390):
            for page in pages:
                shown.show(site / f"{page}.html", width)
                assert shown.value("document.documentElement.scrollWidth") <= width, (page, width)
        assert shown.complaints == []
