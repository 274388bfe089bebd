"""Modules as text, for those who look at them."""

from __future__ import annotations

from typing import Any

SUFFIX = ".py"


def script(module: Any) -> bytes:
    """Return a module as TVMScript, without the numbers of its constants."""
    return bytes(module.script(show_meta=False), "utf-8")
