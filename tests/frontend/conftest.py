from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

from toolchain.frontend import passes

HEAD = '''"""A pass of the tests."""

from toolchain.frontend.passes.base import graph_pass


@graph_pass()
def apply(graph, facts):
    """Rewrite."""
'''


@pytest.fixture
def new_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Write a file beside the passes: a name, and what its function does with ``graph`` and ``facts``."""
    folder, names = tmp_path / "passes", []
    folder.mkdir()
    monkeypatch.setattr(passes, "__path__", [*passes.__path__, str(folder)])

    def write(name: str, code: str) -> None:
        (folder / f"{name}.py").write_text(HEAD + indent(dedent(code), " " * 4), encoding="utf-8")
        names.append(name)

    yield write
    for name in names:
        sys.modules.pop(f"{passes.__name__}.{name}", None)
        vars(passes).pop(name, None)
